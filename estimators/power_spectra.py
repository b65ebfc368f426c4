"""Band powers of periodic flat patches.

Convention: f(l) = ∫ d²x f(x) exp(−i l·x), and C_l = <|f(l)|²> / area, raw: no l(l+1)/2π.

NaMaster measures them where it is installed; where it is not, the mean over each band's modes of
the maps' own Fourier transforms, which on a periodic patch is the same number but for rounding.
Two things make both exact here:

- Modes sit on the radii sqrt(i² + j²) of the fundamental 2π/side. A band edge on such a radius
  would let rounding decide which band a mode falls in; edges here lie between the radii.
- A band's multipole is the mean |l| of its modes, not its middle: in the lowest band of a coarse
  grid they are a fifth of the fundamental apart.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from estimators import namaster
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky

NAMASTER = "NaMaster"

_RELATIVE_WIDTH = 0.2  # of a band, where that is wider than the fundamental


@dataclasses.dataclass(frozen=True, eq=False)
class Bands:
    """Rings of Fourier modes on a square periodic patch.

    Attributes:
      sky: the patch.
      edges: (num_bands + 1,) float64 multipoles, none of them a mode's own |l|.
    """

    sky: FlatSky
    edges: NDArray[np.float64]

    @functools.cached_property
    def _bins(self) -> Bins:
        return Bins.between(self.edges, self.sky)

    @property
    def ell(self) -> NDArray[np.float64]:
        """(num_bands,) float64, the mean |l| of a band's modes."""
        return self._bins.ell

    @property
    def num_modes(self) -> NDArray[np.int64]:
        """(num_bands,) int64, the modes in a band; half of them are independent."""
        return self._bins.num_modes.astype(np.int64)

    def average(self, c_ell: NDArray[np.float64]) -> NDArray[np.float64]:
        """Averages a spectrum on the half plane, (npix, npix // 2 + 1), over each band's modes."""
        return self._bins.mean(c_ell)


class BandPowers(NamedTuple):
    """Auto- and cross-spectra of n pairs of maps, each (n, num_bands) float64."""

    first: NDArray[np.float64]
    cross: NDArray[np.float64]
    second: NDArray[np.float64]


def choose_bands(sky: FlatSky, lmax: float | None = None) -> Bands:
    """Divides a patch's modes into bands, whole multiples of the fundamental wide.

    Widths grow in proportion to l, from one fundamental on. The bands hold every mode with
    |l| <= `lmax` inside the grid's Nyquist circle. The monopole, the Nyquist row and column and
    the corners beyond the circle, where rings are incomplete, are left out.

    Args:
      sky: the patch.
      lmax: the largest multipole of interest; None is the grid's Nyquist frequency.

    Raises:
      LensingError: no complete ring of modes lies between the fundamental and the limit.
    """
    npix, fundamental = sky.npix, sky.fundamental
    radii = np.unique(sky.ell / fundamental)
    limit = npix / 2 if lmax is None else min(npix / 2, lmax / fundamental)
    # The margins are for rounding: squared radii are whole numbers.
    inside = (radii < npix / 2 - 1e-9) & (radii <= limit * (1 + 1e-9))
    num_inside = int(inside.sum())
    if num_inside < 2:  # the monopole alone
        raise LensingError(
            f"too few modes for a power spectrum: {npix} x {npix} pixels on "
            f"{math.degrees(sky.side):.4g} deg have none between the fundamental, "
            f"l = {fundamental:.4g}, and l = {limit * fundamental:.4g}"
        )
    top = (radii[num_inside - 1] + radii[num_inside]) / 2
    steps = [0.5]
    while (step := steps[-1] + max(1, round(_RELATIVE_WIDTH * steps[-1]))) < top - 0.5:
        steps.append(step)
    # What remains, at least half the fundamental wide, is the last band.
    return Bands(sky, np.array([*steps, top]) * fundamental)


def measure(first: NDArray[np.floating], second: NDArray[np.floating], bands: Bands) -> BandPowers:
    """Measures the spectra of pairs of maps, one pair after the other.

    Args:
      first: (n, npix, npix) maps, [iy, ix].
      second: the maps to correlate with them, same shape.
      bands: the patch and its bands.

    Returns:
      Band powers, in the product of the maps' units times steradian.
    """
    if namaster.version() is not None:
        return BandPowers(*namaster.band_powers(first, second, bands.sky, bands.edges))
    powers = np.empty((3, len(first), len(bands.ell)))
    for row, pair in enumerate(zip(first, second, strict=True)):
        a, b = (bands.sky.to_modes(image.astype(np.float64)) for image in pair)
        for column, (x, y) in enumerate(((a, a), (a, b), (b, b))):
            powers[column, row] = bands.average(x.real * y.real + x.imag * y.imag)
    return BandPowers(*powers * bands.sky.area)  # f(l) = a_l area


def measured_with() -> str:
    """Names what `measure` measures with here, for people: NaMaster, or the package itself."""
    version = namaster.version()
    return f"{NAMASTER} {version}" if version else "this package's own Fourier transform"
