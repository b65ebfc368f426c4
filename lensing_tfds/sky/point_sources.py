"""Fields of point sources, each of them there or not: Poisson, with the counts of one's choice.

A pixel of a map of sources that lie anywhere, independently, has a flux of its own, whose
distribution P(D) follows from the number counts (Scheuer 1957; Condon 1974): it is the Fourier
transform of exp(R̃(ω) − R̃(0)), with R the sources of each flux that a pixel has on average. Every
pixel is drawn from it, by one number, however many sources there are: exactly what drawing each
source and adding its flux to its pixel gives, so that the map has the sources' spectrum, ∫ S² dN,
and their bispectrum, ∫ S³ dN, and trispectrum, ∫ S⁴ dN, at all modes of the grid.
"""

import dataclasses
import functools
import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from lensing_tfds.sky.compiled import compiled

Fluxes = NDArray[np.float64]

_BINS = 2**18  # of a pixel's flux
_BINS_OF_CUT = 2**13  # at least, from no flux to the brightest source's
_RANGE = 12.0  # of a pixel's flux, in standard deviations, above the brightest source's
_LARGEST_NORMAL = 6.75  # `random_numbers` gives none beyond
_KNOTS_PER_SIGMA = 2048


class Counts(Protocol):
    """Number counts of sources up to a flux, of any normalisation."""

    @property
    def brightest(self) -> float:
        """The flux up to which there are sources, Jy."""
        ...

    def moment(self, order: int, first: Fluxes, last: Fluxes) -> Fluxes:
        """Returns ∫ S^order dN/dS dS between fluxes, Jy^order / sr; order at least 2."""
        ...


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """Counts dN/dS = N S^−slope.

    Attributes:
      slope: less than 3, so that faint sources have no more than so much power.
      brightest: flux up to which there are any, Jy.
      number: N.
    """

    slope: float
    brightest: float
    number: float = 1.0

    def moment(self, order: int, first: Fluxes, last: Fluxes) -> Fluxes:
        """Returns ∫ S^order dN/dS dS between fluxes."""
        power = order + 1 - self.slope
        ends = [np.clip(flux, 0, self.brightest) for flux in (first, last)]
        return np.asarray(self.number * (ends[1] ** power - ends[0] ** power) / power)


@dataclasses.dataclass(frozen=True)
class Schechter:
    """Counts dN/dS = N (S/S*)^slope exp(−S/S*).

    Attributes:
      slope: above −3.
      knee: S*, Jy.
      brightest: flux up to which there are any, Jy.
      number: N.
    """

    slope: float
    knee: float
    brightest: float
    number: float = 1.0

    def moment(self, order: int, first: Fluxes, last: Fluxes) -> Fluxes:
        """Returns ∫ S^order dN/dS dS between fluxes."""
        power = order + 1 + self.slope
        ends = [np.clip(flux, 0, self.brightest) / self.knee for flux in (first, last)]
        shares = special.gammainc(power, ends[1]) - special.gammainc(power, ends[0])
        return np.asarray(self.number * self.knee ** (order + 1) * special.gamma(power) * shares)


@dataclasses.dataclass(frozen=True)
class PointSources:
    """Maps of point sources.

    Attributes:
      counts: of the sources, of any normalisation.
      power: C_l that they have: (1 / unit)² ∫ S² dN/dS dS, µK² sr.
      unit: intensity of one µK, Jy / sr / µK.
      pixel_area: of the maps, sr.
    """

    counts: Counts
    power: float
    unit: float
    pixel_area: float

    def cumulant(self, order: int) -> float:
        """Returns the pixels' cumulant of an order from 2 on, µK^order: ∫ S^order dN of a pixel."""
        brightest = np.array(self.counts.brightest)
        number = self.power * self.unit**2 / self.counts.moment(2, np.array(0.0), brightest)
        moment = number * self.counts.moment(order, np.array(0.0), brightest)
        return float(moment * self.pixel_area / (self.unit * self.pixel_area) ** order)

    def maps(self, normals: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turns standard normal numbers into the pixels' temperatures, in place.

        Args:
          normals: float32, of any shape, C-contiguous; overwritten.

        Returns:
          Temperatures less their mean, µK, in the same memory.
        """
        _look_up(self._quantiles, np.float32(_KNOTS_PER_SIGMA), normals.reshape(-1))
        return normals

    @functools.cached_property
    def _quantiles(self) -> NDArray[np.float32]:
        """Temperature of a pixel at evenly spaced standard normal numbers, µK."""
        scale = self.counts.brightest / (self.unit * self.pixel_area)  # µK of the brightest source
        deviation = math.sqrt(self.cumulant(2))
        # The faintest sources that are told apart by flux: fainter ones count as such.
        step = max(scale / _BINS_OF_CUT, (scale + 2 * _RANGE * deviation) / _BINS)
        fluxes = np.arange(_BINS) * step * self.unit * self.pixel_area
        edges = (np.arange(_BINS + 1) - 0.5).clip(0) * step * self.unit * self.pixel_area
        whole = self.counts.moment(2, np.array(0.0), np.array(self.counts.brightest))
        number = self.power * self.unit**2 / whole * self.pixel_area
        sources = np.zeros(_BINS)  # of each flux in a pixel, with the true ∫ S² dN of their bin
        sources[1:] = number * self.counts.moment(2, edges[:-1], edges[1:])[1:] / fluxes[1:] ** 2
        sources[1] += number * self.counts.moment(2, edges[:1], edges[1:2])[0] / fluxes[1] ** 2
        # Around the mean, so that the range holds it: a pixel may have any number of faint ones.
        mean = float(sources @ np.arange(_BINS))
        shift = round(mean - _RANGE * deviation / step) if mean > _RANGE * deviation / step else 0
        frequency = np.arange(_BINS // 2 + 1) / _BINS
        transform = np.exp(np.fft.rfft(sources) - sources.sum() + 2j * np.pi * frequency * shift)
        probability = np.maximum(np.fft.irfft(transform, _BINS), 0)
        # Distribution function in the middle of each step; from above in the upper tail, where
        # one minus it is a small difference of large numbers.
        below = np.cumsum(probability)
        above = np.cumsum(probability[::-1])[::-1]
        step_of_z = 1 / _KNOTS_PER_SIGMA
        z = np.arange(-_LARGEST_NORMAL, _LARGEST_NORMAL, step_of_z) + step_of_z / 2
        lower = np.searchsorted(below, special.ndtr(z))
        upper = _BINS - 1 - np.searchsorted(above[::-1], special.ndtr(-z))
        place: NDArray[np.int64] = np.where(z < 0, lower, upper).clip(0, _BINS - 1)
        return ((place + shift - mean) * step).astype(np.float32)


@compiled()
def _look_up(table: NDArray[np.float32], per_unit: np.float32, values: NDArray[np.float32]) -> None:
    """Replaces numbers by those of a table that has one for each of even steps."""
    half = np.float32(len(table) // 2)
    last = len(table) - 1
    for i in range(len(values)):
        place = int(values[i] * per_unit + half)
        values[i] = table[min(max(place, 0), last)]
