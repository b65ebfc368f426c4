"""Rings of modes one fundamental multipole wide, and the bands of L that they are joined to.

Spectra of skies are kept ring by ring, so that bands can be chosen after the simulations. A ring
holds every mode within half a fundamental of a multiple of it. Those that the grid's Nyquist circle
cuts are left out.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.power_spectra import choose_bands
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky

Modes = NDArray[np.complexfloating]


@dataclasses.dataclass(frozen=True)
class Rings:
    """The complete rings of a patch but the monopole.

    Attributes:
      sky: the patch.
    """

    sky: FlatSky

    @property
    def num(self) -> int:
        """Number of rings; ring i is around i + 1 times the fundamental."""
        return (self.sky.npix + 1) // 2 - 1

    @functools.cached_property
    def _bins(self) -> Bins:
        return Bins.between((np.arange(self.num + 1) + 0.5) * self.sky.fundamental, self.sky)

    @property
    def ell(self) -> NDArray[np.float64]:
        """(num,) mean |l| of each ring's modes."""
        return self._bins.ell

    @property
    def num_modes(self) -> NDArray[np.float64]:
        """(num,) modes of each ring in the whole plane."""
        return self._bins.num_modes

    def power(self, first: Modes, second: Modes) -> NDArray[np.float64]:
        """Returns spectra of fields, averaged over each ring.

        Args:
          first: half planes, (..., npix, npix // 2 + 1).
          second: likewise.

        Returns:
          (..., num) float64: C_l, in the fields' units squared times steradian.
        """
        product = first.real * second.real + first.imag * second.imag
        return self._bins.mean(product.astype(np.float64)) * self.sky.area

    def mean(self, half_plane: NDArray[np.float64]) -> NDArray[np.float64]:
        """Averages a spectrum on the half plane over each ring's modes, (num,)."""
        return self._bins.mean(half_plane)


@dataclasses.dataclass(frozen=True)
class BandRings:
    """Bands of L, each some rings.

    Attributes:
      rings: of the patch.
      bounds: number of each band's first ring, and one past the last band's last.
    """

    rings: Rings
    bounds: tuple[int, ...]

    @classmethod
    def judged(cls, sky: FlatSky, lmax: float | None = None) -> BandRings:
        """Returns the judge's bands, of complete rings.

        Args:
          sky: the patch.
          lmax: where κ ends; None is the grid's Nyquist multipole.

        Raises:
          LensingError: there is none.
        """
        return cls._snapped(Rings(sky), choose_bands(sky, lmax).edges, keep=False)

    @classmethod
    def given(cls, sky: FlatSky, edges: Sequence[float], lmax: float | None = None) -> BandRings:
        """Returns bands between multipoles, each taken to the nearest edge of a ring.

        Args:
          sky: the patch.
          edges: at least two, increasing.
          lmax: where κ ends; None is the grid's Nyquist multipole.

        Raises:
          LensingError: they do not increase, are outside the patch's modes, or narrower than a
            ring.
        """
        rings = Rings(sky)
        top = (rings.num + 0.5) * sky.fundamental
        top = top if lmax is None else min(top, lmax + sky.fundamental / 2)
        if len(edges) < 2 or any(not a < b for a, b in zip(edges, edges[1:], strict=False)):
            raise LensingError(f"bands {_listed(edges)}: must be at least two edges, increasing")
        if edges[0] < 0 or edges[-1] > top + sky.fundamental / 2:
            raise LensingError(
                f"bands {_listed(edges)}: the patch has whole rings of modes from L = "
                f"{sky.fundamental:.0f} to {top:.0f}, give edges within them"
            )
        return cls._snapped(rings, np.asarray(edges, np.float64), keep=True)

    @classmethod
    def _snapped(cls, rings: Rings, edges: NDArray[np.float64], keep: bool) -> BandRings:
        nearest = np.rint(edges / rings.sky.fundamental - 0.5).astype(int)
        bounds = np.clip(nearest, 0, rings.num)
        for low, high, a, b in zip(bounds, bounds[1:], edges, edges[1:], strict=False):
            if keep and low == high:
                raise LensingError(
                    f"band {a:g}-{b:g} is narrower than the patch's modes are apart, "
                    f"{rings.sky.fundamental:.0f}: give wider bands"
                )
        return cls(rings, tuple(int(bound) for bound in np.unique(bounds)))

    @property
    def num(self) -> int:
        """Number of bands."""
        return len(self.bounds) - 1

    @property
    def edges(self) -> NDArray[np.float64]:
        """(num + 1,) multipoles."""
        return (np.array(self.bounds) + 0.5) * self.rings.sky.fundamental

    @property
    def labels(self) -> list[str]:
        """Bands for people, "36-108"."""
        edges = self.edges
        return [f"{a:.0f}-{b:.0f}" for a, b in zip(edges, edges[1:], strict=False)]

    def first(self, num: int) -> BandRings:
        """Returns the first so many bands."""
        return BandRings(self.rings, self.bounds[: num + 1])

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums rings' values, (..., rings), in each band, (..., num)."""
        within = values[..., : self.bounds[-1]]
        return np.add.reduceat(within, self.bounds[:-1], axis=-1)

    def windows(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns weights of rings in each band, those of a band adding up to 1.

        Args:
          weights: (rings,).

        Returns:
          (num, rings).
        """
        found = np.zeros((self.num, self.rings.num))
        for band, (low, high) in enumerate(zip(self.bounds, self.bounds[1:], strict=False)):
            found[band, low:high] = weights[low:high] / weights[low:high].sum()
        return found


def _listed(edges: Sequence[float]) -> str:
    return ",".join(f"{edge:g}" for edge in edges)
