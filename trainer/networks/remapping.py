"""Maps evaluated between their pixels by `keras.ops`: `lensing.remap` for layers, in float32.

A type-2 non-uniform FFT as in `nufft`, with the same kernel and the same fine grid. Eight fine
pixels in a row are copied side by side, for each fine pixel that they may begin at, so that a point
is eight short rows, not 64 numbers, far apart in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from lensing_tfds.sky import kaiser_bessel
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.kaiser_bessel import BEFORE, TAPS
from trainer.networks.modes import Modes, as_tensor, to_maps


class Remapping:
    """Evaluates band-limited fields at deflected positions, T̃(x) = T(x + ∇φ), periodically.

    Differentiable with respect to both. Where a deflection is not finite, so is not the result.

    Args:
      sky: the patch, of at least 8 pixels on a side.
    """

    def __init__(self, sky: FlatSky):
        self._sky, npix = sky, sky.npix
        self._fine = kaiser_bessel.fine_size(npix)
        # Where pixel i is on the fine grid: whole fine pixels, and the rest to full precision.
        pixels = np.arange(npix) * self._fine
        self._whole = (pixels // npix).astype(np.float32)
        self._rest = (pixels % npix / npix).astype(np.float32)
        self._polynomials = kaiser_bessel.tap_polynomials(npix)
        self._factors = self._deconvolution()

    def at(self, fields: Sequence[Modes], deflection: Modes) -> list[Modes]:
        """Remaps several fields by one deflection.

        Args:
          fields: modes of complex maps, whose real and imaginary part are two real fields.
          deflection: ∇φ, the maps of its y and of its x component, (n, npix, npix), radians.

        Returns:
          The maps of each field's two parts, each (n, npix, npix).
        """
        parts = [part for modes in fields for part in self._on_fine_grid(modes)]
        values = self._sums(parts, deflection)
        return [(values[..., i], values[..., i + 1]) for i in range(0, len(parts), 2)]

    def _deconvolution(self) -> np.ndarray:
        """Computes what undoes the kernel in the modes of the fine grid, (fine, fine).

        A mode on an even grid's Nyquist line is half of it at either frequency; on both axes its
        sum is cos(n (x + y)), see `lensing.remap`.
        """
        npix, half = self._sky.npix, self._sky.npix // 2
        along = np.zeros(self._fine)
        along[: half + 1] = kaiser_bessel.deconvolution(npix)
        along[-half:] = along[half:0:-1]
        if npix % 2 == 0:
            along[[half, -half]] /= 2
        factors = np.outer(along, along)
        if npix % 2 == 0:
            corner = factors[half, half]
            factors[half, half] = factors[-half, -half] = 2 * corner
            factors[half, -half] = factors[-half, half] = 0
        return factors.astype(np.float32)

    def _on_fine_grid(self, modes: Modes) -> Modes:
        """The maps of both parts on the fine grid, (n, fine, fine)."""
        half, zeros = self._sky.npix // 2, self._fine - 2 * (self._sky.npix // 2) - 1

        def along(x: Any, axis: int) -> Any:
            before = (slice(None),) * axis
            low, high = x[*before, : half + 1], x[*before, x.shape[axis] - half :]
            padding = [(0, zeros if i == axis else 0) for i in range(3)]
            return ops.concatenate([ops.pad(low, padding), high], axis=axis)

        factors = as_tensor(self._factors)
        re, im = (factors * along(along(x, 1), 2) for x in modes)
        return to_maps((re, im))

    def _sums(self, maps: Sequence[Any], deflection: Modes) -> Any:
        """Sums the fine pixels of k maps, each (n, fine, fine), around the points: (..., k)."""
        fine, npix = self._fine, self._sky.npix
        shifted = []
        for grid in maps:
            for axis in (1, 2):
                first = grid[:, : TAPS - 1] if axis == 1 else grid[:, :, : TAPS - 1]
                grid = ops.concatenate([grid, first], axis=axis)
            shifted += [grid[:, :, tap : tap + fine] for tap in range(TAPS)]
        rows = ops.reshape(ops.stack(shifted, axis=-1), (-1, len(shifted)))
        at_y, weights_y = self._taps_along(deflection[0], self._whole[:, None], self._rest[:, None])
        at_x, weights_x = self._taps_along(deflection[1], self._whole, self._rest)
        # Counted: how many there are is not known where a network is written down (`keras_only`).
        example = ops.cumsum(ops.ones_like(at_y[:, :1, :1]), axis=0) - 1
        corner = (example * (fine + TAPS - 1) + at_y) * fine + at_x
        # Row after row: all at once they would be 64 numbers a point, which no cache holds.
        total = sum(
            ops.take(rows, corner + tap * fine, axis=0) * weights_y[..., tap, None]
            for tap in range(TAPS)
        )
        total = ops.reshape(total, (-1, npix, npix, len(maps), TAPS))
        return ops.einsum("nyxkt,nyxt->nyxk", total, weights_x)

    def _taps_along(self, shift: Any, whole: np.ndarray, rest: np.ndarray) -> tuple[Any, Any]:
        """Points along an axis: the number of the first tap, and the kernel at each."""
        at = as_tensor(rest) + shift * (self._fine / self._sky.side)
        below = ops.floor(at)
        z = 2 * (at - below) - 1
        # Not added: `keras.ops.add` on TensorFlow takes a column of as many pixels for a row.
        first = below - as_tensor(BEFORE - whole)
        first = first - self._fine * ops.floor(first / self._fine)
        # Whatever the deflection, NaN even, nothing outside the grid is read.
        index = ops.clip(ops.cast(first, "int32"), 0, self._fine - 1)
        *others, weights = map(as_tensor, self._polynomials)
        for coefficients in reversed(others):
            weights = weights * z[..., None] + coefficients
        return index, weights
