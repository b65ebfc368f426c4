"""Sums over two pairs of modes with one L, joined by lensing: what N1 consists of.

At fixed L these are

    S_ij = Σ a(l₁) a'(l₁') q_i q_j C_φφ(q),    q = l₁ − l₁',

with a and a' products of a weight and of factors of l₁ and L − l₁ (or of l₁' and L − l₁'). They are
convolutions, and taken as products of Fourier transforms: exact, in N log N steps, not N².
"""

from __future__ import annotations

import ducc0.fft
import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.kernels import Kernel, Plane
from lensing_tfds.sky.flat_sky import FlatSky

Square = NDArray[np.float64]
"""A real function of l on all frequencies from −top to top, in this order: (2 top + 1,) * 2."""


class PairSums:
    """Sums over the modes of a patch, for given lensing.

    Args:
      sky: the patch.
      used: half plane of bools, the modes that pairs are made of.
      kappa_power: C_κκ of the modes that lens, half plane of `lensing_sky`.
      lensing_sky: a grid on the same patch, as fine as the modes that lens.
    """

    def __init__(
        self, sky: FlatSky, used: NDArray[np.bool_], kappa_power: Plane, lensing_sky: FlatSky
    ):
        rows, columns = np.nonzero(used)
        self.sky = sky
        self._top = int(max(np.minimum(rows, sky.npix - rows).max(), columns.max()))
        reach = min(2 * self._top, (lensing_sky.npix - 1) // 2)
        # No difference of two modes may come back as one that lenses.
        self._npix = ducc0.fft.good_size(2 * self._top + reach + 1, True)
        grid = FlatSky(self._npix, sky.side)
        phi = np.zeros_like(kappa_power)
        np.divide(4 * kappa_power, lensing_sky.ell**4, out=phi, where=lensing_sky.ell > 0)
        near = np.zeros(grid.ell.shape)
        for rows_of in (slice(reach + 1), slice(-reach, None)):
            near[rows_of, : reach + 1] = phi[rows_of, : reach + 1]
        y, x = grid.ly, grid.lx
        # Half of the positions will do: each counts for its mirror image too.
        counts = grid.mode_counts / self._npix**2
        planes = np.stack([near * y * y, near * y * x, near * x * x])
        # Even functions of l, so that their sums are even ones of position.
        maps = grid.to_map(planes.astype(complex))
        self._lensing = maps[:, :, : self._npix // 2 + 1] * counts
        step = sky.fundamental
        frequency = np.arange(-self._top, self._top + 1) * step
        self._ly, self._lx = frequency[:, None], frequency[None, :]

    def square(self, plane: Plane) -> Square:
        """Returns a half plane's even function on all its frequencies up to the highest used."""
        full = self.sky.full_plane(plane)
        return np.roll(full, (self._top, self._top), (0, 1))[
            : 2 * self._top + 1, : 2 * self._top + 1
        ]

    def opposite(self, square: Square, mode: tuple[int, int]) -> Square:
        """Returns a function of L − l, by l; zero where L − l is out of range.

        Args:
          square: the function.
          mode: the frequency (y, x) of L.
        """
        out = np.zeros_like(square)
        turned = square[::-1, ::-1]
        into, of = zip(*(_overlap(shift, len(square)) for shift in mode), strict=True)
        out[into] = turned[of]
        return out

    def vectors(self, mode: tuple[int, int]) -> tuple[tuple[Square, Square], tuple[Square, Square]]:
        """Returns the (y, x) components of l and of L − l, by l."""
        y, x = (self.sky.fundamental * number for number in mode)
        ly, lx = np.broadcast_arrays(self._ly, self._lx)
        return (ly, lx), (y - ly, x - lx)

    def kernel(self, kernel: Kernel, along: tuple[float, float], mode: tuple[int, int]) -> Square:
        """Returns a kernel's value at l and L − l, by l.

        Args:
          kernel: a function of l₁ and l₂, whose terms' L·l is `along`·l.
          along: (y, x).
          mode: the frequency of L.
        """
        first, second = self.vectors(mode)
        total = np.zeros((2 * self._top + 1,) * 2)
        for term in kernel:
            vector = first if term.gradient == "left" else second
            slope = along[0] * vector[0] + along[1] * vector[1]
            total += self.square(term.left) * self.opposite(self.square(term.right), mode) * slope
        return total

    def transform(self, square: Square) -> NDArray[np.complex128]:
        """Returns Σ a(l) exp(−il·x) on a half of the positions, for `joined`."""
        padded = np.zeros((self._npix, self._npix))
        padded[: len(square), : len(square)] = square
        return ducc0.fft.r2c(padded, axes=(0, 1), forward=True, nthreads=1)

    def joined(
        self, first: NDArray[np.complex128], second: NDArray[np.complex128], component: int
    ) -> float:
        """Returns S of two transforms, with q_y q_y, q_y q_x or q_x q_x (component 0, 1 or 2)."""
        lensing = self._lensing[component]
        return float(
            np.einsum("ij,ij,ij", first.real, second.real, lensing)
            + np.einsum("ij,ij,ij", first.imag, second.imag, lensing)
        )


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Slices of a line that take what of it stays, moved by some places: to where, from where."""
    if shift >= 0:
        return slice(min(shift, size), size), slice(0, max(size - shift, 0))
    return slice(0, max(size + shift, 0)), slice(min(-shift, size), size)
