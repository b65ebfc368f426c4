"""Sets of Fourier modes over which power is averaged."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.flat_sky import FlatSky


@dataclasses.dataclass(frozen=True, eq=False)
class Bins:
    """Disjoint sets of modes of a patch.

    A mode of the half plane counts as often as it and its mirror image stand in the whole plane.

    Attributes:
      index: for each mode of the half plane the number of its bin, -1 for none; int64 of shape
        (npix, npix // 2 + 1).
      sky: the patch.
      num: how many bins there are; some may be empty.
    """

    index: NDArray[np.int64]
    sky: FlatSky
    num: int

    @classmethod
    def between(cls, edges: Sequence[float] | NDArray[np.floating], sky: FlatSky) -> Bins:
        """Returns rings of modes, ring i with edges[i] <= |l| < edges[i + 1].

        Args:
          edges: multipoles, increasing.
          sky: the patch.
        """
        index = np.searchsorted(edges, sky.ell, side="right") - 1
        return cls(np.where(index < len(edges) - 1, index, -1), sky, len(edges) - 1)

    @classmethod
    def fundamental(cls, sky: FlatSky, fewest: int = 1) -> Bins:
        """Returns rings one fundamental multipole wide around its multiples: every mode is in one.

        Ring 0 is the mean of the map.

        Args:
          sky: the patch.
          fewest: modes that the last ring has at least: those in the plane's corners, which have
            fewer and fewer, are put into one.
        """
        index = np.rint(sky.ell / sky.fundamental).astype(np.int64)
        modes = np.bincount(index.ravel(), sky.mode_counts.ravel())
        last = int(np.flatnonzero(np.cumsum(modes[::-1])[::-1] >= fewest).max())
        return cls(np.minimum(index, last), sky, last + 1)

    @functools.cached_property
    def _order(self) -> NDArray[np.int64]:
        """The places of the modes in the flat half plane, bin after bin."""
        order = np.argsort(self.index, axis=None, kind="stable")
        return order[np.searchsorted(self.index.ravel()[order], 0) :]

    @functools.cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.flatnonzero(np.diff(self.index.ravel()[self._order], prepend=-1))

    @functools.cached_property
    def _filled(self) -> NDArray[np.int64]:
        """The numbers of the bins that are not empty."""
        return self.index.ravel()[self._order][self._starts]

    @functools.cached_property
    def _counts(self) -> NDArray[np.float64]:
        return self.gather(self.sky.mode_counts)

    @functools.cached_property
    def num_modes(self) -> NDArray[np.float64]:
        """Modes of each bin in the whole plane: the independent numbers of a real field."""
        return self._sums(self._counts)

    @functools.cached_property
    def ell(self) -> NDArray[np.float64]:
        """Mean |l| of each bin's modes; 0 of an empty one."""
        return self.mean(self.sky.ell)

    @functools.cached_property
    def limits(self) -> NDArray[np.float64]:
        """Smallest and largest |l| of each bin that is not empty, shape (2, bins)."""
        ell = self.gather(self.sky.ell)
        return np.stack(
            [np.minimum.reduceat(ell, self._starts), np.maximum.reduceat(ell, self._starts)]
        )

    def gather(self, half_plane: NDArray) -> NDArray:
        """Returns the modes that are in any bin, bin after bin: shape (..., modes)."""
        return half_plane.reshape(*half_plane.shape[:-2], -1)[..., self._order]

    def places(self) -> Iterator[tuple[int, slice]]:
        """Yields each bin that is not empty, and where its modes are in what `gather` returns."""
        ends = [*self._starts[1:], len(self._order)]
        for number, start, end in zip(self._filled, self._starts, ends, strict=True):
            yield int(number), slice(int(start), int(end))

    def average(self, gathered: NDArray[np.floating]) -> NDArray[np.float64]:
        """Averages what `gather` returned over the modes of each bin: shape (..., num)."""
        sums = self._sums(gathered * self._counts)
        return np.divide(sums, self.num_modes, out=np.zeros_like(sums), where=self.num_modes > 0)

    def mean(self, half_plane: NDArray[np.floating]) -> NDArray[np.float64]:
        """Averages half planes over the modes of each bin; 0 for an empty one.

        Args:
          half_plane: (..., npix, npix // 2 + 1).

        Returns:
          (..., num) float64.
        """
        return self.average(self.gather(half_plane))

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gives each mode of the half plane its bin's value, 0 where it is in none.

        Args:
          values: (..., num).

        Returns:
          (..., npix, npix // 2 + 1).
        """
        return np.where(self.index >= 0, values[..., np.maximum(self.index, 0)], 0)

    def _sums(self, gathered: NDArray[np.floating]) -> NDArray[np.float64]:
        sums = np.zeros((*gathered.shape[:-1], self.num))
        if len(self._starts):
            sums[..., self._filled] = np.add.reduceat(gathered, self._starts, axis=-1)
        return sums
