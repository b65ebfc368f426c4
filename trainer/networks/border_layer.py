"""Modes in a border of zeros, for conjugate gradients of T's Wiener filter, as a Keras layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from estimators.filtering import border_modes
from trainer.networks.modes import Modes, plus, times
from trainer.networks.patch_layer import PatchLayer


@keras.saving.register_keras_serializable(package="lensing_tfds")
class BorderModes(PatchLayer):
    """Adds inverses among functions in a border; `estimators.filtering.border_modes`, made by `of`.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      strips: of each, 1 if rows are zero and 0 if columns are, its sines and its waves.
      crossing: sines along y and along x where two strips cross; none where they do not.
      **options: Keras's own.
    """

    def __init__(
        self,
        npix: int,
        side: float,
        strips: Sequence[Sequence[int]],
        crossing: Sequence[int] = (),
        **options: Any,
    ):
        super().__init__(npix, side, **options)
        self.strips = tuple(map(tuple, strips))
        self.crossing = tuple(crossing)
        self.scale = self.half_planes("scale", 1)
        self.across = [
            self._pair(f"across{i}", sines, npix) for i, (_, sines, _) in enumerate(self.strips)
        ]
        self.inverses = [
            self.constant(f"inverse{i}", waves, sines, sines)
            for i, (_, sines, waves) in enumerate(self.strips)
        ]
        self.along = [self._pair(f"along_{axis}", sines, npix) for axis, sines in self._crossing()]
        if self.crossing:
            size = int(np.prod(self.crossing))
            self.crossing_inverse = self.constant("crossing_inverse", size, size)
        self.built = True  # all its arrays are there, and the filter calls it as a part of itself

    @classmethod
    def of(
        cls,
        border: border_modes.BorderModes,
        preconditioner: NDArray[np.float64],
        **options: Any,
    ) -> Self:
        """Makes the layer of the functions of a patch, for ŷ = M^-½ y, M the preconditioner.

        Args:
          border: in NumPy.
          preconditioner: as of `Planes.preconditioner`, of T, a half plane.
          **options: Keras's own.
        """
        strips = [(int(s.is_rows), len(s.across), len(s.inverse)) for s in border.strips]
        along = () if border.crossing is None else border.crossing[:2]
        layer = cls(border.sky.npix, border.sky.side, strips, tuple(map(len, along)), **options)
        layer.scale.assign((border.scale / np.sqrt(preconditioner))[None])
        for strip, across, inverse in zip(border.strips, layer.across, layer.inverses, strict=True):
            across.assign(_parts(strip.across))
            inverse.assign(strip.inverse)
        if border.crossing is not None:
            for values, variable in zip(border.crossing[:2], layer.along, strict=True):
                variable.assign(_parts(values))
            layer.crossing_inverse.assign(border.crossing.inverse)
        return layer

    def call(self, modes: Modes) -> Modes:
        """Returns modes of the same shape, of T, to be added to those given."""
        scale = self.whole(self.scale)[0]
        scaled = times(scale, modes)
        found = times(0.0, modes)
        for strip, across, inverse in zip(self.strips, self.across, self.inverses, strict=True):
            if strip[0]:
                found = plus(found, self._in_strip(scaled, across, inverse))
            else:
                turned = _transposed(scaled)
                found = plus(found, _transposed(self._in_strip(turned, across, inverse)))
        if self.crossing:
            found = plus(found, self._in_crossing(scaled))
        return times(scale, found)

    def _in_strip(self, modes: Modes, across: Any, inverse: Any) -> Modes:
        """Of modes (n, across the strip, along it)."""
        waves, npix = inverse.shape[0], self.sky.npix
        few: Modes = tuple(_first(x, waves) for x in modes)
        parts = _product("jy,nyk->knj", _conjugate(across), few)
        blocks = ops.concatenate([inverse, ops.flip(inverse[1:], 0)], axis=0)
        parts = tuple(ops.einsum("kij,knj->kni", blocks, x) for x in parts)
        of_few = _product("iy,kni->nyk", across, parts)
        middle = ops.zeros_like(modes[0][..., : npix + 1 - 2 * waves])
        re, im = (
            ops.concatenate([x[..., :waves], middle, x[..., waves:]], axis=-1) for x in of_few
        )
        return re, im

    def _in_crossing(self, scaled: Modes) -> Modes:
        along_y, along_x = self.along
        rows = _product("iy,nyx->nix", _conjugate(along_y), scaled)
        parts, _ = _product("jx,nix->nij", _conjugate(along_x), rows)  # of real maps: real
        size = self.crossing_inverse.shape[0]
        parts = ops.matmul(ops.reshape(parts, (-1, size)), self.crossing_inverse)
        parts = ops.reshape(parts, (-1, *self.crossing))
        rows = tuple(ops.einsum("iy,nij->nyj", along_y[i], parts) for i in range(2))
        return _product("jx,nyj->nyx", along_x, rows)

    def _pair(self, name: str, *shape: int) -> Any:
        """A complex constant: its real and its imaginary part."""
        return self.constant(name, 2, *shape)

    def _crossing(self) -> list[tuple[str, int]]:
        return list(zip("yx", self.crossing, strict=False))

    def compute_output_spec(self, modes: Modes) -> Modes:
        return self.modes_like(modes[0])

    @property
    def functions(self) -> dict[str, Any]:
        """The arguments that say which functions there are."""
        return {"strips": list(map(list, self.strips)), "crossing": list(self.crossing)}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self.functions


def _parts(values: NDArray[np.complexfloating]) -> NDArray[np.floating]:
    return np.stack([values.real, values.imag])


def _first(x: Any, waves: int) -> Any:
    """The waves below a number, and their mirror images, in FFT order."""
    return ops.concatenate([x[..., :waves], x[..., x.shape[-1] + 1 - waves :]], axis=-1)


def _conjugate(pair: Any) -> Any:
    return ops.stack([pair[0], -pair[1]])


def _transposed(modes: Modes) -> Modes:
    re, im = (ops.swapaxes(x, 1, 2) for x in modes)
    return re, im


def _product(equation: str, one: Any, other: Any) -> Modes:
    """A sum of products of complex numbers, given as their parts."""
    a, b, c, d = one[0], one[1], other[0], other[1]
    re = ops.einsum(equation, a, c) - ops.einsum(equation, b, d)
    return re, ops.einsum(equation, a, d) + ops.einsum(equation, b, c)
