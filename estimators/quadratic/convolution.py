"""Sums over all pairs of modes, Σ g(l₁) h(l₂) with l₁ + l₂ = L, as products of maps.

A product of two maps holds waves twice as short as theirs. On their own grid these would come
back as long ones, so products are taken on a finer grid, on which every sum is exact.
"""

import ducc0.fft
import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.flat_sky import FlatSky


class ProductGrid:
    """A grid just fine enough for the product of two fields.

    Args:
      sky: the patch whose modes go in and come out; its Nyquist lines do neither.
      used: half plane of bools, the modes that are not zero.
      wrapped: take products on the patch's own grid, where Σ also runs over pairs that add up to L
        only when each wave is taken modulo the grid's sampling.
    """

    def __init__(self, sky: FlatSky, used: NDArray[np.bool_], wrapped: bool = False):
        rows, columns = np.nonzero(used)
        highest = int(max(np.minimum(rows, sky.npix - rows).max(), columns.max()))
        wanted = min((sky.npix - 1) // 2, 2 * highest)
        # A sum of modes up to 2 highest must not come back as one of those that are wanted.
        exact = ducc0.fft.good_size(2 * highest + wanted + 1, True)
        npix = sky.npix if wrapped else exact
        self._sky = sky
        self._fine = FlatSky(npix, sky.side)

    @property
    def npix(self) -> int:
        """Pixels on a side."""
        return self._fine.npix

    def maps(self, modes: NDArray) -> NDArray[np.floating]:
        """Sums modes at the pixels of the fine grid.

        Args:
          modes: half planes of the patch, (..., npix, npix // 2 + 1); real ones are complex ones
            without an imaginary part.

        Returns:
          Maps on the fine grid, of the same precision.
        """
        complex_dtype = np.result_type(modes.dtype, np.complex64)
        return self._fine.to_map(_resized(modes, self._fine.npix).astype(complex_dtype, copy=False))

    def modes(self, maps: NDArray[np.floating]) -> NDArray[np.complexfloating]:
        """Returns the half planes, of the patch, of maps on the fine grid."""
        return _resized(self._fine.to_modes(maps), self._sky.npix)


def _resized(modes: NDArray, npix: int) -> NDArray:
    """Copies half planes into those of another grid, without either grid's Nyquist lines."""
    out = np.zeros((*modes.shape[:-2], npix, npix // 2 + 1), modes.dtype)
    top = (min(modes.shape[-2], npix) - 1) // 2
    out[..., : top + 1, : top + 1] = modes[..., : top + 1, : top + 1]
    if top:
        out[..., -top:, : top + 1] = modes[..., -top:, : top + 1]
    return out
