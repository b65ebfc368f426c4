"""Covariances from simulations, shrunk where these are few.

Of n simulations of p numbers the sample covariance is unbiased, and its inverse is not: it is
corrected by (n − p − 2) / (n − 1) (Hartlap, Simon & Schneider 2007, astro-ph/0608064), and what is
fitted scatters more than it says (Percival et al. 2014, arXiv:1312.4841), see `parameter_factor`.
Where n is less than five times the bands, correlations of different bands are shrunk by the share
that loses least on average (Schäfer & Strimmer 2005, doi:10.2202/1544-6115.1175; of Ledoit and
Wolf's kind) towards their mean t, or zero if it is negative,

    λ = Σ Var(r_ij) / Σ (r_ij − t)².

Towards zero alone, an amplitude's error would come out too small: what bands have in common is what
it scatters by. A shrunk matrix has few noisy directions: its inverse is corrected like that of a
single number, p = 1.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError

Array = NDArray[np.float64]

_MANY = 5  # simulations a band, from which on nothing is shrunk


@dataclasses.dataclass(frozen=True, eq=False)
class Covariance:
    """A covariance that was measured on simulations.

    Attributes:
      matrix: (p, p).
      simulations: n, that it was measured on.
      shrinkage: λ, by which correlations were shrunk; 0 is not at all.
    """

    matrix: Array
    simulations: int
    shrinkage: float

    @classmethod
    def of(cls, simulated: Array, kinds: int = 1) -> Covariance:
        """Measures the covariance of a simulation's numbers.

        Args:
          simulated: (n, p).
          kinds: of band powers that are among them, p / kinds each.

        Raises:
          LensingError: the Hartlap factor of one kind would not be positive.
        """
        n, p = simulated.shape
        bands = p // kinds
        refuse_too_few(n, bands)
        deviations = simulated - simulated.mean(axis=0)
        sample = deviations.T @ deviations / (n - 1)
        if n >= max(_MANY * bands, p + 3) or bands == 1:
            return cls(sample, n, 0.0)
        std = np.sqrt(np.diag(sample))
        norm = np.outer(std, std)
        target = _target(sample / norm, bands)
        shrinkage = _shrinkage(deviations / std, target)
        return cls(((1 - shrinkage) * sample / norm + shrinkage * target) * norm, n, shrinkage)

    def times(self, factor: float) -> Covariance:
        """Returns the covariance of numbers whose variance is so many times as large."""
        return dataclasses.replace(self, matrix=factor * self.matrix)

    def part(self, numbers: slice) -> Covariance:
        """Returns the covariance of some of the numbers."""
        return dataclasses.replace(self, matrix=self.matrix[numbers, numbers])

    @property
    def errors(self) -> Array:
        """(p,) standard deviations."""
        return np.sqrt(np.diag(self.matrix))

    @property
    def correlations(self) -> Array:
        """(p, p) correlation matrix."""
        return self.matrix / np.outer(self.errors, self.errors)

    @property
    def hartlap(self) -> float:
        """The factor that the inverse is corrected by."""
        p = 1 if self.shrinkage else len(self.matrix)
        return (self.simulations - p - 2) / (self.simulations - 1)

    @functools.cached_property
    def inverse(self) -> Array:
        """(p, p) corrected inverse."""
        return np.asarray(self.hartlap * np.linalg.inv(self.matrix), np.float64)

    def parameter_factor(self, parameters: int = 1) -> float:
        """Returns how much larger a fitted parameter's variance is than the inverse's curvature.

        Equation 18 of Percival et al. 2014 with the Hartlap factor in the curvature; 1 for a shrunk
        matrix.
        """
        if self.shrinkage:
            return 1.0
        n, p = self.simulations, len(self.matrix)
        a = 2 / ((n - p - 1) * (n - p - 4)) if n > p + 4 else np.inf
        b = (n - p - 2) / ((n - p - 1) * (n - p - 4)) if n > p + 4 else np.inf
        if not np.isfinite(b):
            return np.inf
        return float((1 + b * (p - parameters)) / (1 + a + b * (parameters + 1)))


def refuse_too_few(simulations: int, bands: int) -> None:
    """Refuses simulations that are too few for the covariance of so many band powers.

    Raises:
      LensingError: they are.
    """
    if simulations < bands + 3:
        raise LensingError(
            f"{simulations} simulations are too few for the covariance of {bands} band powers, "
            f"whose inverse is corrected by (n - {bands} - 2)/(n - 1) (Hartlap et al. 2007): give "
            f"at least {bands + 3}, or fewer bands"
        )


def _target(correlations: Array, bands: int) -> Array:
    """Target of correlations: of one band they stay, of others it is the mean."""
    p = len(correlations)
    of_others = np.arange(p)[:, None] % bands != np.arange(p) % bands
    target = correlations.copy()
    for i in range(0, p, bands):
        for j in range(0, p, bands):
            block = np.s_[i : i + bands, j : j + bands]
            mean = max(0.0, float(correlations[block][of_others[block]].mean()))
            target[block] = np.where(of_others[block], mean, target[block])
    return target


def _shrinkage(standardised: Array, target: Array) -> float:
    """λ of deviations whose variance is 1, (n, p), towards correlations, (p, p)."""
    n = len(standardised)
    products = standardised[:, :, None] * standardised[:, None, :]
    mean = products.mean(axis=0)
    variance = n / (n - 1) ** 3 * np.sum((products - mean) ** 2, axis=0)
    correlations = n / (n - 1) * mean
    others = correlations != target
    distance = np.sum((correlations - target)[others] ** 2)
    return float(np.clip(variance[others].sum() / distance, 0, 1)) if distance else 1.0
