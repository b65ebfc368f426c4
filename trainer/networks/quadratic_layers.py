"""Quadratic estimates of κ, lensing templates and gains as Keras layers, always in float32.

Each is made of the numbers of its counterpart in `estimators`, which is the one definition of them:
they travel in the model's file as weights that are not trained. A layer that has lost them, as one
made by `from_config` alone, gives NaN.

Between layers fields are `Modes`, see `trainer.networks.modes`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from estimators.iterated.iterated_estimator import Stage, rings_of
from estimators.lensing_template import LensingTemplate
from estimators.quadratic import quadratic_estimator
from lensing_tfds.sky.flat_sky import FlatSky
from trainer.networks.by_example import by_example
from trainer.networks.modes import (
    Modes,
    as_tensor,
    centred,
    in_fft_order,
    less,
    maps_of,
    padded,
    plus,
    resized,
    split,
    times,
    to_maps,
    to_modes,
    top_of,
)
from trainer.networks.patch_layer import PatchLayer


@keras.saving.register_keras_serializable(package="lensing_tfds")
class ObservedFields(PatchLayer):
    """Takes maps of Stokes parameters to the modes of T, of E and B or of all, as `fields_of`.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      channels: of the maps, "T", "Q", "U" in this order.
      **options: Keras's own.
    """

    def __init__(self, npix: int, side: float, channels: Sequence[str], **options: Any):
        super().__init__(npix, side, **options)
        self.channels = tuple(channels)

    def call(self, maps: Any) -> dict[str, Modes]:
        channel = {name: maps[..., i] for i, name in enumerate(self.channels)}
        fields = {}
        if "T" in channel:
            fields["T"] = to_modes((channel["T"], ops.zeros_like(channel["T"])))
        if "Q" in channel:
            fields["E"], fields["B"] = split(self.to_eb(to_modes((channel["Q"], channel["U"]))))
        return fields

    def compute_output_spec(self, maps: Any) -> dict[str, Modes]:
        names = ("T",) * ("T" in self.channels) + ("E", "B") * ("Q" in self.channels)
        return {name: self.modes_like(maps) for name in names}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"channels": list(self.channels)}


@keras.saving.register_keras_serializable(package="lensing_tfds")
class QuadraticEstimator(PatchLayer):
    """Estimates κ from two fields, as `estimators.quadratic` does; made by `of`.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      pair: "TT", "EE", "EB", "TE" or "TB".
      gradients: of each term of the weights, "left" or "right".
      product_npix: pixels on a side of the grid for the products.
      curl: whether it estimates field rotation.
      **options: Keras's own.
    """

    def __init__(
        self,
        npix: int,
        side: float,
        pair: str,
        gradients: Sequence[str],
        product_npix: int,
        curl: bool = False,
        **options: Any,
    ):
        super().__init__(npix, side, **options)
        self.pair, self.steep, self.curl = pair, tuple(gradients), curl
        self.product_npix = product_npix
        self.left = self.half_planes("left", len(self.steep))
        self.right = self.half_planes("right", len(self.steep))
        self.normalisation = self.half_planes("normalisation", 1)

    @classmethod
    def of(cls, estimator: quadratic_estimator.QuadraticEstimator, **options: Any) -> Self:
        """Makes the layer of an estimator, with its weights, its grid and its normalisation."""
        sky, weights = estimator.observation.sky, estimator.weights
        gradients = [term.gradient for term in weights]
        layer = cls(
            *(sky.npix, sky.side, estimator.pair, gradients, estimator.grid.npix, estimator.curl),
            **options,
        )
        layer.left.assign(np.stack([term.left for term in weights]))
        layer.right.assign(np.stack([term.right for term in weights]))
        layer.normalisation.assign(estimator.normalisation[None])
        return layer

    def call(self, x: Modes, y: Modes) -> Modes:
        top, npix = top_of(self.sky.npix, self.product_npix), self.product_npix
        ell = as_tensor(self.sky.fundamental * np.arange(-top, top + 1))
        norm = self._centred(self.normalisation)[0] / (2 * npix**2)
        v_y, v_x = norm * ell[:, None], norm * ell
        if self.curl:
            v_y, v_x = v_x, -v_y
        weights, terms = (self._centred(self.left), self._centred(self.right)), []
        for number, gradient in enumerate(self.steep):
            right = gradient == "right"
            steep, flat = weights[right][number], weights[not right][number]
            terms.append((right, (steep * ell[:, None], steep * ell), flat))

        def estimated(pair: tuple[Modes, Modes]) -> Modes:
            of_x, of_y = pair
            fields = centred(of_x, top), centred(of_y, top)
            steep = [_descent(slope, fields[right]) for right, slope, _ in terms]
            flat = [times(value, fields[not right]) for right, _, value in terms]
            # The slopes' maps have the phase of `padded`, and so have the products: centred modes.
            flows = [
                times(values, to_maps(padded(modes, npix)))
                for values, modes in zip(maps_of(flat, npix), steep, strict=True)
            ]
            flow = ops.fft2(functools.reduce(plus, flows))
            re, im = (part[:, : 2 * top + 1, : 2 * top + 1] for part in flow)
            # The divergence, i l·F, of F_y + i F_x: its real map is κ, the imaginary one the curl.
            re, im = v_x * re - v_y * im, v_x * im + v_y * re
            kappa = re + ops.flip(re, (1, 2)), im - ops.flip(im, (1, 2))
            return in_fft_order(kappa, self.sky.npix)

        return by_example(estimated, (x, y), npix)

    def _centred(self, half_planes: Any) -> Any:
        """Real, even functions of l in the order of `centred`."""
        top = top_of(self.sky.npix, self.product_npix)
        right = ops.roll(half_planes, top, axis=-2)[..., : 2 * top + 1, : top + 1]
        return ops.concatenate([ops.flip(right[..., 1:], (-2, -1)), right], axis=-1)

    def compute_output_spec(self, x: Modes, y: Modes) -> Modes:
        return self.modes_like(x[0])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "pair": self.pair,
            "gradients": list(self.steep),
            "product_npix": self.product_npix,
            "curl": self.curl,
        }


def _descent(slope: tuple[Any, Any], modes: Modes) -> Modes:
    """Minus the gradient of a filtered field, as `PatchLayer.gradient` of centred modes.

    Args:
      slope: the filter times l_y and times l_x.
      modes: of the field.
    """
    (w_y, w_x), (re, im) = slope, modes
    return w_y * im + w_x * re, w_x * im - w_y * re


@keras.saving.register_keras_serializable(package="lensing_tfds")
class Delensing(PatchLayer):
    """Takes off observed fields what lensing by an estimate of κ did to them; made by `of`.

    T, E and B less the beam times the template of `estimators.lensing_template`.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      product_npix: pixels on a side of the grid for the products.
      **options: Keras's own.
    """

    def __init__(self, npix: int, side: float, product_npix: int, **options: Any):
        super().__init__(npix, side, **options)
        self.product_npix = product_npix
        self.filters = self.half_planes("filters", 3)  # of T, of E, and the beam

    @classmethod
    def of(
        cls, template: LensingTemplate, beam: NDArray, fields: Sequence[str], **options: Any
    ) -> Self:
        """Makes the layer of a template.

        Args:
          template: in NumPy.
          beam: b_l of the modes used, half plane.
          fields: that there are, of "T", "E" and "B".
          **options: Keras's own.
        """
        sky = template.grid.sky
        layer = cls(sky.npix, sky.side, template.grid.npix, **options)
        # Where spectra are measured, those of a field that is not there are not known.
        nothing = np.zeros_like(beam)
        filters = [template.wiener(name) if name in fields else nothing for name in ("T", "E")]
        layer.filters.assign(np.stack([*filters, beam]))
        return layer

    def call(self, fields: Mapping[str, Modes], kappa: Modes) -> dict[str, Modes]:
        of_t, of_e, beam = (self.whole(self.filters[i]) for i in range(3))
        deflection = self.gradients(self.potential(kappa), self.product_npix)
        residual = {}
        if "T" in fields:
            lensed = self._lensed(times(of_t, fields["T"]), deflection)
            delta = resized(to_modes((lensed, ops.zeros_like(lensed))), self.sky.npix)
            residual["T"] = less(fields["T"], times(beam, delta))
        if "E" in fields:
            filtered = times(of_e, fields["E"])
            q, u = (self._lensed(times(f, filtered), deflection) for f in self.angles())
            delta = self.to_eb(resized(to_modes((q, u)), self.sky.npix))
            delta_e, delta_b = split(times(beam, delta))
            residual["E"] = less(fields["E"], delta_e)
            residual["B"] = less(fields["B"], delta_b)
        return residual

    def compute_output_spec(self, fields: Mapping[str, Modes], kappa: Modes) -> dict[str, Modes]:
        return {name: self.modes_like(kappa[0]) for name in fields}

    def _lensed(self, modes: Modes, deflection: Modes) -> Any:
        d_y, d_x = self.gradients(modes, self.product_npix)
        return d_y * deflection[0] + d_x * deflection[1]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"product_npix": self.product_npix}


@keras.saving.register_keras_serializable(package="lensing_tfds")
class RingGains(PatchLayer):
    """Adds features up, each times a gain in each ring of L, as a stage of `estimators.iterated`.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      features: how many.
      residual_b: of the stage: the power of B, µK², by which its features were weighed, ring by
        ring; kept for who fits another stage to it.
      power: likewise that of the remapped T.
      mean_field: whether a mean is taken off the sum.
      damped: of the stage; likewise kept.
      **options: Keras's own.
    """

    def __init__(
        self,
        npix: int,
        side: float,
        features: int,
        residual_b: Sequence[float] = (),
        power: Sequence[float] = (),
        mean_field: bool = False,
        damped: bool = False,
        **options: Any,
    ):
        super().__init__(npix, side, **options)
        self.features, self.residual_b, self.power = features, tuple(residual_b), tuple(power)
        self.damped = damped
        rings = rings_of(self.sky)
        self.gains = self.add_weight(
            shape=(features, rings.num),
            initializer=keras.initializers.Constant(float("nan")),
            name="gains",
        )
        self.mean_field = self.constant("mean_field", 2, npix, npix) if mean_field else None
        self._rings = np.asarray(self.sky.full_plane(rings.index), np.int32)

    @classmethod
    def of(cls, stage: Stage, sky: FlatSky, **options: Any) -> Self:
        """Makes the layer of a stage, with its gains."""
        weighed_by = stage.residual_b.tolist(), stage.power.tolist()
        has_mean = stage.mean_field.ndim > 0
        kept = (*weighed_by, has_mean, stage.damped)
        layer = cls(sky.npix, sky.side, len(stage.gains), *kept, **options)
        layer.gains.assign(stage.gains)
        if layer.mean_field is not None:
            mean = sky.full_plane(stage.mean_field)
            layer.mean_field.assign(np.stack([mean.real, mean.imag]))
        return layer

    @property
    def stage(self) -> Stage:
        """The stage with the gains as they are now."""
        stage = Stage(
            ops.convert_to_numpy(self.gains).astype(np.float64),
            np.asarray(self.residual_b, np.float64),
            np.asarray(self.power, np.float64),
            damped=self.damped,
        )
        if self.mean_field is None:
            return stage
        re, im = ops.convert_to_numpy(self.mean_field)[..., : self.sky.npix // 2 + 1]
        return dataclasses.replace(stage, mean_field=(re + 1j * im).astype(np.complex128))

    def call(self, features: Sequence[Modes]) -> Modes:
        gains = ops.take(self.gains, self._rings, axis=1)
        weighed = (times(gains[i], feature) for i, feature in enumerate(features))
        total = functools.reduce(plus, weighed)
        if self.mean_field is None:
            return total
        return less(total, (self.mean_field[0], self.mean_field[1]))

    def compute_output_spec(self, features: Sequence[Modes]) -> Modes:
        return self.modes_like(features[0][0])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "features": self.features,
            "residual_b": list(self.residual_b),
            "power": list(self.power),
            "mean_field": self.mean_field is not None,
            "damped": self.damped,
        }


@keras.saving.register_keras_serializable(package="lensing_tfds")
class KappaMap(PatchLayer):
    """Takes the modes of a real field to its map, (n, npix, npix, 1)."""

    def call(self, modes: Modes) -> Any:
        values, _ = to_maps(modes)
        return values[..., None]

    def compute_output_spec(self, modes: Modes) -> Any:
        re, _ = modes
        return keras.KerasTensor((*re.shape, 1), "float32")
