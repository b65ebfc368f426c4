"""Band-limited real fields evaluated between their pixels: a type-2 non-uniform FFT.

The modes, divided by the transform of a narrow kernel, are summed on a finer grid by FFTs; at a
point the field is then the sum of the 8 x 8 fine pixels around it, weighted by the kernel (Dutt &
Rokhlin 1993; Barnett, Magland & af Klinteberg 2019, arXiv:1808.06736). The kernel is
`kaiser_bessel`'s.

Made for what lensing asks: real fields in single precision, as many points as pixels, each near its
own pixel. The rms error is 4e-6 of the rms of a white field, less of a smooth one.
"""

import functools
from collections.abc import Sequence

import ducc0.fft
import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky import kaiser_bessel
from lensing_tfds.sky.flat_sky import as_pairs, pairs_of
from lensing_tfds.sky.kaiser_bessel import AFTER, BEFORE, fine_size
from lensing_tfds.sky.taps import gather, spread

Floats = NDArray[np.float32]


class RealNufft:
    """Evaluates fields of one grid at displaced pixels; holds scratch memory: one for a thread.

    Args:
      npix: pixels on a side, at least 8.
      block: how many examples are transformed together.
      fields: how many fields of an example share their displacements, 1 to 3.
    """

    def __init__(self, npix: int, block: int, fields: int = 1):
        self._npix, self._fine = npix, fine_size(npix)
        self._taps, self._deconvolution = _tables(npix)
        self._plane = np.zeros((block, self._fine, self._fine // 2 + 1), np.complex64)
        side = self._fine + BEFORE + AFTER
        self._grids = np.empty((fields, block, side, side), np.float32)

    def at_displaced_pixels(
        self,
        modes: Sequence[NDArray[np.complex64]],
        shifts: tuple[Floats, Floats],
        pixel: float,
        out: Floats,
    ) -> None:
        """Evaluates fields at their pixels' displaced positions, periodically.

        The field is the real part of the sum in FFT order, in which an even grid's Nyquist
        frequencies are n = -npix/2.

        Args:
          modes: half planes of each field, shape (batch, npix, npix // 2 + 1).
          shifts: displacements along y and x, each of shape (batch, npix, npix).
          pixel: side of a pixel in the units of the displacements.
          out: the maps of each field, shape (fields, batch, npix, npix).
        """
        to_fine_pixels = np.float32(self._fine / (self._npix * pixel))
        batch, block = len(shifts[0]), self._grids.shape[1]
        for start in range(0, batch, block):
            part = slice(start, start + block)
            for field, grid in zip(modes, self._grids, strict=True):
                self._sum_on_fine_grid(field[part], grid[: len(field[part])])
            gather(
                self._grids.reshape(*self._grids.shape[:2], -1),
                self._grids.shape[2],
                shifts[0][part],
                shifts[1][part],
                to_fine_pixels,
                self._taps,
                out[:, part],
            )

    def _sum_on_fine_grid(self, modes: NDArray[np.complex64], grid: Floats) -> None:
        """Sums modes on the fine grid and its periodic margins.

        Args:
          modes: at most a block of half planes, shape (batch, npix, npix // 2 + 1).
          grid: the result, shape (batch, side, side).
        """
        npix, fine, half, upper = self._npix, self._fine, self._npix // 2, (self._npix + 1) // 2
        plane = self._plane[: len(modes)]
        columns = plane[:, :, : half + 1]  # the others stay zero
        # Pairs of real numbers: NumPy would turn real factors of complex numbers into complex ones.
        pairs, deconvolution = as_pairs(modes), self._deconvolution
        out = as_pairs(plane)[:, :, : 2 * (half + 1)]
        np.multiply(pairs[:, :upper], deconvolution[:upper], out=out[:, :upper])
        columns[:, upper : fine - half] = 0
        np.multiply(pairs[:, upper:], deconvolution[upper:], out=out[:, fine - half :])
        if npix % 2 == 0:
            columns[:, half] = columns[:, -half]
            # Nyquist on both axes is cos(n (x + y)): one pair of frequencies holds all of it.
            columns[:, half, half] *= 2
            columns[:, -half, half] = 0
        ducc0.fft.c2c(columns, axes=(1,), forward=False, out=columns, nthreads=1)
        inner = grid[:, BEFORE : BEFORE + fine, BEFORE : BEFORE + fine]
        ducc0.fft.c2r(plane, axes=(2,), lastsize=fine, forward=False, out=inner, nthreads=1)
        grid[:, :BEFORE] = grid[:, fine : fine + BEFORE]
        grid[:, -AFTER:] = grid[:, BEFORE : BEFORE + AFTER]
        grid[:, :, :BEFORE] = grid[:, :, fine : fine + BEFORE]
        grid[:, :, -AFTER:] = grid[:, :, BEFORE : BEFORE + AFTER]

    def from_displaced_pixels(
        self,
        maps: Floats,
        shifts: tuple[Floats, Floats],
        pixel: float,
        out: Sequence[NDArray[np.complex64]],
    ) -> None:
        """Applies the transpose of `at_displaced_pixels`, over npix²: a type-1 non-uniform FFT.

        With no displacement this is the FFT that makes modes of maps. The transpose is that of the
        sums as they are computed, to float32's rounding.

        Args:
          maps: values at the displaced pixels of each field, shape (fields, batch, npix, npix).
          shifts: displacements along y and x, each of shape (batch, npix, npix).
          pixel: side of a pixel in the units of the displacements.
          out: the half planes of each field, shape (batch, npix, npix // 2 + 1).
        """
        to_fine_pixels = np.float32(self._fine / (self._npix * pixel))
        batch, block = len(shifts[0]), self._grids.shape[1]
        for start in range(0, batch, block):
            part = slice(start, start + block)
            self._grids[...] = 0
            spread(
                maps[:, part],
                self._grids.shape[2],
                shifts[0][part],
                shifts[1][part],
                to_fine_pixels,
                self._taps,
                self._grids.reshape(*self._grids.shape[:2], -1),
            )
            for field, grid in zip(out, self._grids, strict=True):
                self._modes_of_fine_grid(grid[: len(field[part])], field[part])

    def _modes_of_fine_grid(self, grid: Floats, modes: NDArray[np.complex64]) -> None:
        """The transpose of `_sum_on_fine_grid`, over npix²; the grid is overwritten."""
        npix, fine, half, upper = self._npix, self._fine, self._npix // 2, (self._npix + 1) // 2
        end = BEFORE + fine
        grid[:, :, BEFORE : BEFORE + AFTER] += grid[:, :, end:]
        grid[:, :, end - BEFORE : end] += grid[:, :, :BEFORE]
        grid[:, BEFORE : BEFORE + AFTER] += grid[:, end:]
        grid[:, end - BEFORE : end] += grid[:, :BEFORE]
        inner = grid[:, BEFORE:end, BEFORE:end]
        rows = ducc0.fft.r2c(inner, axes=(2,), forward=True, nthreads=1)[:, :, : half + 1]
        columns = ducc0.fft.c2c(rows, axes=(1,), forward=True, nthreads=1)
        if npix % 2 == 0:
            # In FFT order a Nyquist mode's sum is real: what its frequencies hold is averaged.
            corner = 2 * columns[:, half, half].real
            columns[:, -half] += columns[:, half]
            columns[:, -half, half] = corner
        deconvolution = self._deconvolution * np.float32(1 / npix**2)
        np.multiply(
            as_pairs(columns)[:, :upper], deconvolution[:upper], out=as_pairs(modes)[:, :upper]
        )
        np.multiply(
            as_pairs(columns)[:, fine - half :],
            deconvolution[upper:],
            out=as_pairs(modes)[:, upper:],
        )
        if npix % 2 == 0:
            column = modes[:, :, half]
            column += np.roll(column[:, ::-1], 1, axis=-1).conj()


@functools.lru_cache(maxsize=16)
def _tables(npix: int) -> tuple[Floats, Floats]:
    """Returns the kernel's polynomials at the taps, and the factors that undo it in the modes.

    Returns:
      float32 of shapes (degree + 1, taps) and (npix, 2 (npix // 2 + 1)), each factor twice.
    """
    half, along_x = npix // 2, kaiser_bessel.deconvolution(npix)
    along_y = along_x[np.abs(np.fft.fftfreq(npix, 1 / npix).round().astype(int))]
    if npix % 2 == 0:  # a Nyquist mode is shared by the frequencies npix/2 and -npix/2
        along_x[half] /= 2
        along_y[half] /= 2
    return kaiser_bessel.tap_polynomials(npix), pairs_of(along_y[:, None] * along_x)
