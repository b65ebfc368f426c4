"""The Wiener filter of maps with a mask and uneven noise as Keras layers, always in float32.

They are `estimators.filtering`, from whose numbers they are made, and stop where it stops. Two
fields of a patch are one complex one, as `modes` has them: E + iB, and Q + iU, which is E + iB
turned by 2φ_l. With ŷ = M^-½ y and M the inverse of its diagonal, conjugate gradients need no other
preconditioner but what is in a border.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from estimators.filtering.masked_patch import MaskedPatch
from estimators.filtering.planes import Planes
from trainer.networks.border_layer import BorderModes
from trainer.networks.modes import Modes, as_tensor, less, plus, split, times, to_maps, to_modes
from trainer.networks.patch_layer import PatchLayer

SIGNAL, MASK = "signal", "mask"
"""Names of what `SeenMaps` gives beside the weighted maps of the channels."""

MOST_STEPS = {"T": (64, 32), "EB": (24, 12)}
"""The most steps of a first filter, and of one that begins near its end.

As of v15's T and of v13's polarization, which take 59 and 23, and 15 and 3, with a margin; without
an end they could not be written down for Keras alone.
"""

_NOTHING = 1e-5
"""Of a channel's standard deviation: what rounding leaves of the zeros in a hole."""


@keras.saving.register_keras_serializable(package="lensing_tfds")
class SeenMaps(PatchLayer):
    """Weights maps by what was seen of them, as `WienerFilter.weighted` does; made by `of`.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      channels: of the maps, "T", "Q", "U" in this order.
      holes: of channels whose maps are masked, each map's in other places, the largest absolute
        value, µK, of a pixel in a hole, one a channel; none where there are no holes.
      **options: Keras's own.
    """

    def __init__(
        self,
        npix: int,
        side: float,
        channels: Sequence[str],
        holes: Sequence[float] = (),
        **options: Any,
    ):
        super().__init__(npix, side, **options)
        self.channels, self.holes = tuple(channels), tuple(holes)
        self.factors = self.constant("factors", 3, npix, npix)  # of signal and data; the mask

    @classmethod
    def of(
        cls,
        patch: MaskedPatch,
        channels: Sequence[str],
        hole_std: Sequence[float] = (),
        **options: Any,
    ) -> Self:
        """Makes the layer of a patch.

        Args:
          patch: mask and noise.
          channels: of its maps.
          hole_std: standard deviations of the channels of maps with holes, µK.
          **options: Keras's own.
        """
        holes = [_NOTHING * std for std in hole_std]
        layer = cls(patch.sky.npix, patch.sky.side, channels, holes, **options)
        layer.factors.assign(np.stack([*patch.seen(), patch.mask]))
        return layer

    def call(self, maps: Any) -> dict[str, Any]:
        """Returns weighted maps, named by `map_of`, "signal" and "mask", each (n, npix, npix)."""
        seen = ops.ones_like(maps[..., 0])
        if self.holes:
            is_data = ops.abs(maps) > as_tensor(np.array(self.holes))
            seen = ops.cast(ops.any(is_data, axis=-1), "float32")
        found = {
            map_of(name): maps[..., i] * self.factors[1] for i, name in enumerate(self.channels)
        }
        return found | {SIGNAL: seen * self.factors[0], MASK: seen * self.factors[2]}

    def compute_output_spec(self, maps: Any) -> dict[str, Any]:
        names = (*map(map_of, self.channels), SIGNAL, MASK)
        return {name: self.modes_like(maps)[0] for name in names}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"channels": list(self.channels), "holes": list(self.holes)}


@keras.saving.register_keras_serializable(package="lensing_tfds")
class WienerFilter(PatchLayer):
    """Filters weighted maps, T or Q and U, by conjugate gradients; made by `of`.

    No gradient passes; of maps less a template that of the template does.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      names: of the fields, "T" or "EB".
      tolerance: of the residual, as of `conjugate_gradients.solve`.
      most_steps: of a first filter, and of one that begins near its end.
      white: the inverse of white noise; None where it is not white.
      border: arguments of `BorderModes`; none where no border is.
      **options: Keras's own.
    """

    def __init__(
        self,
        npix: int,
        side: float,
        names: str,
        tolerance: float,
        most_steps: Sequence[int],
        white: float | None = None,
        border: Mapping[str, Any] | None = None,
        **options: Any,
    ):
        super().__init__(npix, side, **options)
        self.border = None if border is None else BorderModes(npix, side, **border)
        self.names, self.tolerance, self.white = names, tolerance, white
        self.most_steps = tuple(most_steps)
        self.roots, self.to_fields, self.prior = (
            self.half_planes(name, len(names)) for name in ("roots", "to_fields", "prior")
        )
        self.inverse_noise = self.half_planes("inverse_noise", 1) if white is None else None

    @classmethod
    def of(
        cls,
        planes: Planes,
        npix: int,
        side: float,
        tolerance: float,
        most_steps: Sequence[int] | None = None,
        **options: Any,
    ) -> Self:
        """Makes the layer of a system's numbers.

        Args:
          planes: in NumPy.
          npix: pixels on a side.
          side: length of a side, radians.
          tolerance: of the residual of E and B, of which T's is a part, as of `Planes.tolerance`.
          most_steps: None is `MOST_STEPS`.
          **options: Keras's own.
        """
        white = float(planes.inverse_noise[0, 0]) if planes.is_white else None
        steps = most_steps or MOST_STEPS[planes.names]
        border = None
        if planes.border is not None:
            border = BorderModes.of(planes.border, planes.preconditioner[0])
            options |= {"border": border.functions}
        layer = cls(npix, side, planes.names, planes.tolerance(tolerance), steps, white, **options)
        if border is not None and layer.border is not None:
            layer.border.set_weights(border.get_weights())
        half = np.sqrt(planes.preconditioner)
        layer.roots.assign(planes.roots * half)
        layer.to_fields.assign(planes.to_fields * half)
        layer.prior.assign(planes.preconditioner)
        if layer.inverse_noise is not None:
            layer.inverse_noise.assign(planes.inverse_noise[None])
        return layer

    @property
    def channels(self) -> str:
        """The Stokes parameters of the maps."""
        return "T" if self.names == "T" else "QU"

    def call(
        self,
        seen: Mapping[str, Any],
        fields: Mapping[str, Modes] | None = None,
        near: Mapping[str, Modes] | None = None,
    ) -> dict[str, Modes]:
        """Returns the fields that a periodic patch with the same filtered maps would have had.

        Args:
          seen: as `SeenMaps` gives them.
          fields: of the maps; None where these are filtered whole.
          near: the same less a template with the beam: filtered are the maps less this template,
            whose fields these nearly are.
        """
        signal, (first, *other) = seen[SIGNAL], [seen[map_of(name)] for name in self.channels]
        data = _stopped((first, other[0] if other else ops.zeros_like(first)))
        if fields is None or near is None:
            found = self._unpacked(self._solved(data, signal, None))
            return {name: _stopped(modes) for name, modes in found.items()}
        begun = {name: _stopped(near[name]) for name in self.names}
        template = less(self._packed(fields), self._packed(begun))
        data = less(data, times(signal, to_maps(self._turned(template))))
        found = self._unpacked(self._solved(_stopped(data), signal, begun))
        return {
            name: plus(_stopped(modes), less(near[name], begun[name]))
            for name, modes in found.items()
        }

    def _solved(self, data: Modes, signal: Any, near: Mapping[str, Modes] | None) -> Modes:
        """Solves for ŷ of maps, from that of near fields on, and returns its packed fields."""
        roots, prior, to_fields = (
            _Scales(self.whole(planes)) for planes in (self.roots, self.prior, self.to_fields)
        )
        inverse_noise = None if self.inverse_noise is None else self.whole(self.inverse_noise)[0]

        def gathered(maps: Modes) -> Modes:
            if inverse_noise is None:
                maps = times(self.white, maps)
            else:
                maps = to_maps(times(inverse_noise, to_modes(maps)))
            return roots.of(self._turned_back(to_modes(times(signal, maps))))

        def operator(y: Modes) -> Modes:
            mirrored = _mirrored(y) if roots.mixes else None
            seen = to_maps(self._turned(roots.of(y, mirrored)))
            return plus(prior.of(y, mirrored), gathered(times(signal, seen)))

        def preconditioned(residual: Modes) -> Modes:
            return residual if self.border is None else plus(residual, self.border.call(residual))

        residual = right = gathered(data)
        goal = self.tolerance**2 * _dot(right, preconditioned(right))
        x = times(0.0, right)
        if near is not None:
            white = {
                name: times(_inverse(self.whole(self.to_fields)[i]), near[name])
                for i, name in enumerate(self.names)
            }
            x = self._packed(white)
            residual = less(right, operator(x))

        def step(*state: Any) -> tuple[Any, ...]:
            x, residual, direction, length = state[0:2], state[2:4], state[4:6], state[6]
            active = length > goal  # those that are solved rest
            ahead = operator(direction)
            curvature = ops.where(active, _dot(direction, ahead), ops.ones_like(length))
            scale = ops.where(active, length / curvature, ops.zeros_like(length))
            x = plus(x, times(scale, direction))
            residual = less(residual, times(scale, ahead))
            downhill = preconditioned(residual)
            new = ops.where(active, _dot(residual, downhill), length)
            turn = new / ops.where(active, length, ops.ones_like(length))
            turn = ops.where(active, turn, ops.zeros_like(length))
            direction = plus(downhill, times(turn, direction))
            return (*x, *residual, *direction, new)

        downhill = preconditioned(residual)
        state = (*x, *residual, *downhill, _dot(residual, downhill))
        steps = self.most_steps[near is not None]
        if keras.backend.is_keras_tensor(state[0]):  # which records no loops
            for _ in range(steps):
                state = step(*state)
        else:
            state = ops.while_loop(
                lambda *now: ops.any(now[-1] > goal), step, state, maximum_iterations=steps
            )
        return to_fields.of((state[0], state[1]))

    def _packed(self, fields: Mapping[str, Modes]) -> Modes:
        """T, or E + iB."""
        (re, im), *others = (fields[name] for name in self.names)
        for other_re, other_im in others:
            re, im = re - other_im, im + other_re
        return re, im

    def _unpacked(self, modes: Modes) -> dict[str, Modes]:
        return dict(zip(self.names, split(modes) if self.names == "EB" else (modes,), strict=True))

    def _turned(self, modes: Modes) -> Modes:
        """Q + iU of E + iB; T is T."""
        if self.names == "T":
            return modes
        (cosine, sine), (re, im) = self.angles(), modes
        return cosine * re - sine * im, cosine * im + sine * re

    def _turned_back(self, modes: Modes) -> Modes:
        return modes if self.names == "T" else self.to_eb(modes)

    def compute_output_spec(
        self, seen: Mapping[str, Any], fields: Any = None, near: Any = None
    ) -> dict[str, Modes]:
        return {name: self.modes_like(seen[SIGNAL]) for name in self.names}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "names": self.names,
            "tolerance": self.tolerance,
            "most_steps": list(self.most_steps),
            "white": self.white,
            "border": None if self.border is None else self.border.functions,
        }


class _Scales:
    """Real, even factors of the modes of T, or of E and of B where these are E + iB.

    Args:
      planes: (fields, npix, npix).
    """

    def __init__(self, planes: Any):
        self.mixes = planes.shape[0] == 2
        self._mean = (planes[0] + planes[1]) / 2 if self.mixes else planes[0]
        self._difference = (planes[0] - planes[1]) / 2 if self.mixes else None

    def of(self, modes: Modes, mirrored: Modes | None = None) -> Modes:
        """Multiplies modes, of which those of the conjugate map may be known."""
        if not self.mixes:
            return times(self._mean, modes)
        mirrored = _mirrored(modes) if mirrored is None else mirrored
        return plus(times(self._mean, modes), times(self._difference, mirrored))


def map_of(channel: str) -> str:
    """Returns the name of a channel's weighted map."""
    return f"map of {channel}"


def _mirrored(modes: Modes) -> Modes:
    """Modes of the conjugate map: of E + iB those of E - iB."""
    re, im = (ops.roll(ops.flip(x, (1, 2)), (1, 1), axis=(1, 2)) for x in modes)
    return re, -im


def _stopped(modes: Modes) -> Modes:
    return ops.stop_gradient(modes[0]), ops.stop_gradient(modes[1])


def _dot(one: Modes, other: Modes) -> Any:
    """Scalar products over all modes of all fields, (n, 1, 1)."""
    product = one[0] * other[0] + one[1] * other[1]
    return ops.sum(product, axis=(1, 2), keepdims=True)


def _inverse(plane: Any) -> Any:
    """Returns 1 / plane, zero where it is."""
    above = plane > 0
    return ops.where(above, 1 / ops.where(above, plane, ops.ones_like(plane)), 0.0)
