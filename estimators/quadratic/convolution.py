"""Sums over all pairs of modes, Σ g(l₁) h(l₂) with l₁ + l₂ = L, as products of maps.

A product of two maps holds waves twice as short as theirs. On their own grid these would come
back as long ones, so products are taken on a finer grid, on which every sum is exact.
"""

import ducc0.fft
import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.flat_sky import FlatSky, as_pairs


class ProductGrid:
    """A grid just fine enough for the product of two fields.

    Args:
      sky: the patch whose modes go in and come out; its Nyquist lines do neither.
      used: half plane of bools, the modes that go in.
      wrapped: take products on the patch's own grid, where Σ also runs over pairs that add up to L
        only when each wave is taken modulo the grid's sampling.

    Attributes:
      sky: as given.
    """

    def __init__(self, sky: FlatSky, used: NDArray[np.bool_], wrapped: bool = False):
        rows, columns = np.nonzero(used)
        highest = int(max(np.minimum(rows, sky.npix - rows).max(), columns.max()))
        top = (sky.npix - 1) // 2
        wanted = min(top, 2 * highest)
        # A sum of modes up to 2 highest must not come back as one of those that are wanted.
        exact = ducc0.fft.good_size(2 * highest + wanted + 1, True)
        self.sky = sky
        self._fine = FlatSky(sky.npix if wrapped else exact, sky.side)
        # The largest frequency, along either axis, of what goes in and of what comes out.
        self._in, self._out = min(highest, top), top if wrapped else wanted

    @property
    def npix(self) -> int:
        """Pixels on a side."""
        return self._fine.npix

    def maps(self, modes: NDArray) -> NDArray[np.floating]:
        """Sums modes at the pixels of the fine grid; those that are not used are left out.

        Args:
          modes: half planes of the patch, (..., npix, npix // 2 + 1); real ones are complex ones
            without an imaginary part.

        Returns:
          Maps on the fine grid, of the same precision.
        """
        padded = self._padded(modes.shape[:-2], np.result_type(modes.dtype, np.complex64))
        for rows in _rows(self._in):
            padded[..., rows, :] = modes[..., rows, : self._in + 1]
        return self._summed(padded)

    def filtered_maps(
        self, modes: NDArray[np.complexfloating], factors: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Sums modes times real factors at the pixels of the fine grid.

        Args:
          modes: half planes of the patch, C-contiguous, (n, npix, npix // 2 + 1).
          factors: several, each number twice (see `flat_sky.as_pairs`), of the same precision:
            (k, npix, 2 (npix // 2 + 1)).

        Returns:
          Maps on the fine grid, (k, n, npix, npix) of the same precision.
        """
        padded = self._padded((len(factors), len(modes)), modes.dtype)
        into, pairs, columns = as_pairs(padded), as_pairs(modes), slice(2 * self._in + 2)
        for rows in _rows(self._in):
            np.multiply(
                pairs[:, rows, columns], factors[:, None, rows, columns], out=into[..., rows, :]
            )
        return self._summed(padded)

    def modes(self, maps: NDArray[np.floating]) -> NDArray[np.complexfloating]:
        """Returns the half planes, of the patch, of maps on the fine grid."""
        columns = self._out + 1
        fine = self._fine.to_modes(maps, columns)
        out = np.zeros((*maps.shape[:-2], *self.sky.ell.shape), fine.dtype)
        for rows in _rows(self._out):
            out[..., rows, :columns] = fine[..., rows, :columns]
        return out

    def _padded(self, shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
        """Zeros, for the rows of the fine grid and the columns that hold anything."""
        return np.zeros((*shape, self.npix, self._in + 1), dtype)

    def _summed(self, padded: NDArray[np.complexfloating]) -> NDArray[np.floating]:
        columns = padded.shape[-1]
        lines = np.empty((*padded.shape[:-1], self.npix // 2 + 1), padded.dtype)
        lines[..., columns:] = 0
        ducc0.fft.c2c(padded, axes=(-2,), forward=False, out=lines[..., :columns], nthreads=1)
        return ducc0.fft.c2r(lines, axes=(-1,), lastsize=self.npix, forward=False, nthreads=1)


def _rows(top: int) -> list[slice]:
    """The rows, of any grid, of frequencies 0 to top and −top to −1."""
    return [slice(top + 1), slice(-top, None)] if top else [slice(1)]
