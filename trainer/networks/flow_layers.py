"""Features of remapped T as layers; the counterpart of `estimators.iterated.remapping`.

A flow is ∇(g T) · (w T), of which the divergence is taken on the map's own pixels, Nyquist lines
included; it is not normalised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from estimators.iterated.iterated_estimator import rings_of
from estimators.iterated.remapping import INVERSIONS, LEAST_POWER, RemapFeatures
from estimators.iterated.template_and_remapping import MOST_SIGMA
from lensing_tfds.sky.flat_sky import FlatSky
from trainer.networks.modes import (
    Modes,
    as_tensor,
    less,
    plus,
    split,
    times,
    to_maps,
    to_modes,
)
from trainer.networks.patch_layer import PatchLayer
from trainer.networks.remapping import Remapping


@keras.saving.register_keras_serializable(package="lensing_tfds")
class Flows(PatchLayer):
    """Estimates κ from T, by as many flows as a stage has; made by `of`.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      is_first: whether it is stage 0, whose first flow has the map's mean and Nyquist lines too.
      **options: Keras's own.
    """

    def __init__(self, npix: int, side: float, is_first: bool, **options: Any):
        super().__init__(npix, side, **options)
        self.is_first = is_first
        rings = rings_of(self.sky)
        self.power = self.constant("power", rings.num)
        self.unlensed = self.half_planes("unlensed", 1)
        self._rings = np.asarray(self.sky.full_plane(rings.index), np.int32)
        self._counts = rings.num_modes.astype(np.float32)
        self._inner = self.sky.full_plane(self.sky.inner).astype(np.float32)

    @classmethod
    def of(cls, features: RemapFeatures, sky: FlatSky, **options: Any) -> Self:
        """Makes the layer of a stage's features, with the powers that weigh them."""
        layer = cls(sky.npix, sky.side, bool(features.estimators), **options)
        layer.power.assign(features.power)
        layer.unlensed.assign(features.unlensed[None])
        return layer

    def call(self, t: Modes) -> list[Modes]:
        """Returns the estimates, those of `RemapFeatures` without quadratic estimators."""
        power = ops.maximum(self.power, self._own_power(t))
        spread = ops.take(power, self._rings, axis=1)
        wiener = ops.minimum(self.whole(self.unlensed)[0] / spread, 1.0)
        inner = times(self._inner, t)
        flat = self._weighed(inner, power)
        found = [self._flow(steep, flat) for steep in (times(wiener, inner), inner)]
        if self.is_first:
            found.insert(0, self._flow(t, self._weighed(t, self.power[None])))
        return found

    def compute_output_spec(self, t: Modes) -> list[Modes]:
        return [self.modes_like(t[0]) for _ in range(2 + self.is_first)]

    def _own_power(self, t: Modes) -> Any:
        """The power of each map in each ring, µK², (n, rings)."""
        squares = ops.reshape(t[0] ** 2 + t[1] ** 2, (-1, self.sky.npix**2))
        sums = ops.segment_sum(
            ops.transpose(squares), self._rings.ravel(), num_segments=len(self._counts)
        )
        return ops.transpose(sums) * as_tensor(self.sky.area / self._counts)

    def _weighed(self, t: Modes, power: Any) -> Any:
        """The map of T, each mode over the power, (n or 1, rings)."""
        weights = LEAST_POWER * ops.max(self.power) / power
        values, _ = to_maps(times(ops.take(weights, self._rings, axis=1), t))
        return values

    def _flow(self, steep: Modes, flat: Any) -> Modes:
        """The divergence of ∇steep · flat."""
        d_y, d_x = to_maps(self.gradient(steep))
        return _divergence(self, (flat * d_y, flat * d_x))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"is_first": self.is_first}


class _RemapsByKappa(PatchLayer):
    """A layer that takes lensing by an estimate of κ off T, as `remapping.remapped`.

    Arguments as of `Unlens`.
    """

    def __init__(self, npix: int, side: float, **options: Any):
        super().__init__(npix, side, **options)
        self._remapping = Remapping(self.sky)

    def unlensed(self, t: Modes, kappa: Modes) -> Modes:
        """Returns the modes of T remapped by κ."""
        components = self.gradient(self.potential(kappa))
        d_y, d_x = (-d for d in to_maps(components))
        for _ in range(INVERSIONS - 1):
            ((d_y, d_x),) = [(-y, -x) for y, x in self._remapping.at([components], (d_y, d_x))]
        ((left, _),) = self._remapping.at([t], (d_y, d_x))
        return to_modes((left, ops.zeros_like(left)))


@keras.saving.register_keras_serializable(package="lensing_tfds")
class Unlens(_RemapsByKappa):
    """Takes lensing by an estimate of κ off T.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      **options: Keras's own.
    """

    def call(self, t: Modes, kappa: Modes) -> Modes:
        return self.unlensed(t, kappa)

    def compute_output_spec(self, t: Modes, kappa: Modes) -> Modes:
        return self.modes_like(t[0])


@keras.saving.register_keras_serializable(package="lensing_tfds")
class DampedStep(_RemapsByKappa):
    """Goes from one estimate of κ towards another, as `RemapFeatures.reached`; made by `of`.

    Arguments as of `Unlens`.
    """

    def __init__(self, npix: int, side: float, **options: Any):
        super().__init__(npix, side, **options)
        self.weights_of_power = self.half_planes("weights_of_power", 1)

    @classmethod
    def of(cls, features: RemapFeatures, sky: FlatSky, **options: Any) -> Self:
        """Makes the layer of a stage's features, with the weights of χ²."""
        layer = cls(sky.npix, sky.side, **options)
        layer.weights_of_power.assign(features.weights[None])
        return layer

    def call(self, t: Modes, left: Modes, kappa: Modes, new: Modes) -> Modes:
        """Returns the estimate between two of κ, by T and by what of it remapping by κ left."""
        middle = times(0.5, plus(kappa, new))
        re, im = _joined(left, self.unlensed(_joined(t, t), _joined(middle, new)))
        weighed = (re**2 + im**2) * self.whole(self.weights_of_power)[0]
        chi_squared = ops.reshape(ops.sum(weighed, axis=(1, 2)), (3, -1))
        # Where the parabola is least, which the gradient takes as given.
        share = ops.stop_gradient(_step_of_least(*(chi_squared[i] for i in range(3))))
        return plus(kappa, times(share[:, None, None], less(new, kappa)))

    def compute_output_spec(self, t: Modes, left: Modes, kappa: Modes, new: Modes) -> Modes:
        return self.modes_like(new[0])


@keras.saving.register_keras_serializable(package="lensing_tfds")
class WhereSeen(PatchLayer):
    """Gives estimates of what κ left, which are functions of unlensed positions, where κ is.

    Arguments as of `Unlens`.
    """

    def __init__(self, npix: int, side: float, **options: Any):
        super().__init__(npix, side, **options)
        self._remapping = Remapping(self.sky)

    def call(self, left: Sequence[Modes], kappa: Modes) -> list[Modes]:
        deflection = to_maps(self.gradient(self.potential(kappa)))
        moved = self._remapping.at([self.gradient(self.potential(one)) for one in left], deflection)
        return [times(-0.5, _divergence(self, maps)) for maps in moved]

    def compute_output_spec(self, left: Sequence[Modes], kappa: Modes) -> list[Modes]:
        return [self.modes_like(kappa[0]) for _ in left]


@keras.saving.register_keras_serializable(package="lensing_tfds")
class WithoutSpikes(PatchLayer):
    """Holds an estimate of κ within a multiple of its rms, as `without_spikes`.

    Arguments as of `Unlens`.
    """

    def call(self, kappa: Modes) -> Modes:
        values, _ = to_maps(kappa)
        most = MOST_SIGMA * ops.sqrt(ops.mean(values**2, axis=(1, 2), keepdims=True))
        held = ops.minimum(ops.maximum(values, -most), most)
        return to_modes((held, ops.zeros_like(held)))

    def compute_output_spec(self, kappa: Modes) -> Modes:
        return self.modes_like(kappa[0])


def _joined(*modes: Modes) -> Modes:
    """Modes after one another, as of so many more maps."""
    re, im = (ops.concatenate(parts) for parts in zip(*modes, strict=True))
    return re, im


def _step_of_least(here: Any, middle: Any, there: Any) -> Any:
    """As `remapping.step_of_least`."""
    curvature, slope = 2 * (here - 2 * middle + there), 4 * middle - 3 * here - there
    flat = curvature <= 0
    least = -slope / (2 * ops.where(flat, 1.0, curvature))
    ends = ops.where(there < here, 1.0, 0.0)
    return ops.clip(ops.where(flat, ends, least), 0.0, 1.0)


def _divergence(layer: PatchLayer, maps: Modes) -> Modes:
    """The modes of ∂_y of one map and ∂_x of the other, added up."""
    (re, im), (ly, lx) = to_modes(maps), layer.multipoles()
    real, _ = split((lx * re - ly * im, lx * im + ly * re))  # of (i l_y + l_x) (F_y + i F_x)
    return real
