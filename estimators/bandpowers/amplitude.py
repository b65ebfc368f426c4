"""A Gaussian likelihood of A_L, the amplitude of C_L^κκ in units of the one that was simulated.

    −2 ln L = (Ĉ − C(A))ᵀ Cov⁻¹ (Ĉ − C(A)),

with C(A) the mean of band powers over simulations with A times the fiducial spectrum, the parabola
through those of A = 0.8, 1 and 1.2: it holds what a band power does as κ grows, N1 and the training
prior of a network in it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from estimators.bandpowers.covariance import Covariance

Array = NDArray[np.float64]

AMPLITUDES = (0.8, 1.0, 1.2)
"""Those that are simulated."""

LIMITS = (-2.0, 4.0)
"""Lowest and highest amplitude that is searched."""

_NEAR = 1e-4  # of a limit: a search that ends at it stops short of it by some 1e-7


@dataclasses.dataclass(frozen=True, eq=False)
class Response:
    """Band powers on average as a function of A.

    Attributes:
      means: (3, bands) for `AMPLITUDES`.
    """

    means: Array

    @property
    def _differences(self) -> tuple[Array, Array]:
        low, middle, high = self.means
        step = AMPLITUDES[2] - AMPLITUDES[1]
        return (high - low) / (2 * step), (high - 2 * middle + low) / (2 * step**2)

    def at(self, amplitude: float) -> Array:
        """Returns (bands,) C(A)."""
        slope, curvature = self._differences
        return self.means[1] + slope * (amplitude - 1) + curvature * (amplitude - 1) ** 2

    def slope(self, amplitude: float = 1.0) -> Array:
        """Returns (bands,) dC/dA."""
        slope, curvature = self._differences
        return slope + 2 * curvature * (amplitude - 1)


@dataclasses.dataclass(frozen=True)
class Amplitude:
    """A fitted amplitude.

    Attributes:
      value: A_L of largest likelihood.
      error: its standard deviation.
      chi2: at that amplitude.
      degrees: of freedom: bands less one.
      at_limit: whether the search ended at one of `LIMITS`, where A_L is not that of largest
        likelihood, and its error is none.
    """

    value: float
    error: float
    chi2: float
    degrees: int
    at_limit: bool = False

    @property
    def probability(self) -> float:
        """The share of skies whose χ² is larger."""
        return float(special.gammaincc(self.degrees / 2, self.chi2 / 2)) if self.degrees else 1.0

    def interval(self, level: float) -> tuple[float, float]:
        """Returns the ends of the interval that holds the truth at a level, such as 0.68."""
        half = float(special.ndtri((1 + level) / 2)) * self.error
        return self.value - half, self.value + half


def fit_amplitude(band_powers: Array, response: Response, covariance: Covariance) -> Amplitude:
    """Fits A_L.

    Args:
      band_powers: (bands,) Ĉ of κ̂κ̂.
      response: of their mean to A.
      covariance: theirs.
    """
    inverse = covariance.inverse

    def chi2(amplitude: float) -> float:
        residual = band_powers - response.at(amplitude)
        return float(residual @ inverse @ residual)

    found = optimize.minimize_scalar(chi2, bounds=LIMITS, method="bounded", options={"xatol": 1e-7})
    slope = response.slope(found.x)
    variance = covariance.parameter_factor() / float(slope @ inverse @ slope)
    at_limit = bool(min(abs(found.x - limit) for limit in LIMITS) < _NEAR)
    return Amplitude(
        float(found.x), float(np.sqrt(variance)), float(found.fun), len(slope) - 1, at_limit
    )
