"""How well estimated κ maps follow the true ones: per pixel, over a map, and scale by scale.

For a true map κ and its estimate κ̂, with averages over the examples of a split:

    map-level correlation    Pearson's, pooled over every pixel of every example
    cross-correlation        ρ_L = <C^κκ̂> / sqrt(<C^κκ> <C^κ̂κ̂>)
    transfer function        T_L = <C^κκ̂> / <C^κκ>

ρ_L is blind to the estimate's normalisation, T_L shows it. A network that minimises the squared
error approaches the posterior mean, for which <C^κκ̂> = <C^κ̂κ̂> and hence T_L = ρ_L² < 1.

Errors are standard deviations over bootstrap resamples of the examples, which are drawn
independently; pixels and modes of one example are never treated as independent.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingError
from trainer import power_spectra
from trainer.power_spectra import Bands

_RESAMPLES = 500  # gives an error to 3 %
_MOMENTS = 5  # means of κ, κ̂, κ², κκ̂ and κ̂²


class Measured(NamedTuple):
    """A mean over examples and its standard error, both float64 of one shape."""

    value: NDArray[np.float64]
    error: NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Skill:
    """What a set of estimates is worth.

    Attributes:
      num_examples: pairs of maps judged.
      bands: the patch and the bands of the spectra below.
      mse: mean squared error per pixel, scalar.
      zero_mse: the same for the trivial estimate κ̂ = 0, scalar.
      map_correlation: scalar in [-1, 1]; 0 where the estimate is constant.
      true_cl: <C^κκ>, (num_bands,), dimensionless (steradian).
      estimate_cl: <C^κ̂κ̂>.
      cross_cl: <C^κκ̂>.
      residual_cl: the spectrum of κ̂ − κ.
      rho_ell: ρ_L, in [-1, 1]; 0 where the estimate has no power.
      transfer_ell: T_L.
    """

    num_examples: int
    bands: Bands
    mse: Measured
    zero_mse: Measured
    map_correlation: Measured
    true_cl: Measured
    estimate_cl: Measured
    cross_cl: Measured
    residual_cl: Measured
    rho_ell: Measured
    transfer_ell: Measured


class SkillMeter:
    """Takes pairs of maps batch by batch and keeps a few numbers of each, never the maps."""

    def __init__(self, bands: Bands):
        self._bands = bands
        self._rows: list[NDArray[np.float64]] = []

    def add(self, kappa: NDArray[np.floating], estimate: NDArray[np.floating]) -> None:
        """Adds true maps and their estimates, both (n, npix, npix), dimensionless."""
        kappa = kappa.astype(np.float64)
        estimate = estimate.astype(np.float64)
        powers = power_spectra.measure(kappa, estimate, self._bands)
        maps = (kappa, estimate, kappa**2, kappa * estimate, estimate**2)
        moments = [values.mean(axis=(1, 2))[:, None] for values in maps]
        self._rows.append(np.hstack([*moments, *powers]))

    def result(self, generator: np.random.Generator) -> Skill:
        """Judges all that was added.

        Args:
          generator: draws the bootstrap's resamples.

        Raises:
          LensingError: fewer than two examples, which say nothing about errors.
        """
        table = np.concatenate(self._rows) if self._rows else np.empty((0, _MOMENTS))
        n = len(table)
        if n < 2:
            raise LensingError(f"judging needs at least 2 examples, there are {n}")
        weights = np.full(n, 1 / n)
        resampled = np.stack(
            [generator.multinomial(n, weights) @ table / n for _ in range(_RESAMPLES)]
        )
        values = _statistics(table.mean(axis=0))
        errors = {name: value.std(axis=0) for name, value in _statistics(resampled).items()}
        measured = {name: Measured(value, errors[name]) for name, value in values.items()}
        return Skill(num_examples=n, bands=self._bands, **measured)


def _statistics(means: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Computes every statistic from means over examples, (..., moments + 3 num_bands)."""
    true, estimate, true2, product, estimate2 = np.moveaxis(means[..., :_MOMENTS], -1, 0)
    true_cl, cross_cl, estimate_cl = np.split(means[..., _MOMENTS:], 3, axis=-1)
    return {
        "mse": true2 - 2 * product + estimate2,
        "zero_mse": true2,
        "map_correlation": _correlation(
            product - true * estimate, true2 - true**2, estimate2 - estimate**2
        ),
        "true_cl": true_cl,
        "estimate_cl": estimate_cl,
        "cross_cl": cross_cl,
        "residual_cl": true_cl - 2 * cross_cl + estimate_cl,
        "rho_ell": _correlation(cross_cl, true_cl, estimate_cl),
        "transfer_ell": cross_cl / true_cl,
    }


def _correlation(
    cross: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    norm = np.sqrt(np.maximum(first, 0) * np.maximum(second, 0))
    return np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
