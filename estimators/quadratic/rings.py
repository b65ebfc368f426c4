"""Averages over rings of modes: what depends on |l| alone, measured on a few examples."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.flat_sky import FlatSky


@dataclasses.dataclass(frozen=True, eq=False)
class Rings:
    """Every mode of a half plane is in one ring; the last holds all beyond the last edge.

    Attributes:
      sky: the patch.
      edges: multipoles between the rings, increasing: one less than there are rings.
    """

    sky: FlatSky
    edges: NDArray[np.floating]

    @classmethod
    def fundamental(cls, sky: FlatSky) -> "Rings":
        """Rings one fundamental multipole wide, up to the grid's corners."""
        return cls(sky, (np.arange(sky.npix) + 0.5) * sky.fundamental)

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Averages over each ring's modes, both halves of the plane; 0 for an empty ring.

        Args:
          values: half plane, (npix, npix // 2 + 1).

        Returns:
          (rings,) float64.
        """
        sums = self._sums(values)
        return np.divide(sums, self.modes, out=np.zeros_like(sums), where=self.modes > 0)

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gives each mode of the half plane its ring's value."""
        return values[self._index]

    @property
    def modes(self) -> NDArray[np.float64]:
        """How many modes of the whole plane a ring has, (rings,)."""
        return self._sums(np.ones(self.sky.ell.shape))

    @property
    def _index(self) -> NDArray[np.int64]:
        return np.digitize(self.sky.ell, self.edges)

    def _sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        weight = np.full(self.sky.ell.shape, 2.0)  # a mode and its conjugate
        weight[:, 0] = 1
        if self.sky.npix % 2 == 0:
            weight[:, -1] = 1
        sums = np.zeros(len(self.edges) + 1)
        np.add.at(sums, self._index, weight * values)
        return sums
