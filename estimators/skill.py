"""Scores of estimated κ maps against the true ones: per pixel, over a map, and scale by scale.

For a true map κ and its estimate κ̂, with averages over the examples of a split:

    map-level correlation    Pearson's, pooled over every pixel of every example
    cross-correlation        ρ_L = <C^κκ̂> / sqrt(<C^κκ> <C^κ̂κ̂>)
    transfer function        T_L = <C^κκ̂> / <C^κκ>, the response R_L of an estimator
    reconstruction noise     N_L = <C of κ̂/R_L − κ>, with R_L measured on other examples

ρ_L is blind to the estimate's normalisation, T_L shows it. A network that minimises the squared
error approaches the posterior mean, for which <C^κκ̂> = <C^κ̂κ̂> and hence T_L = ρ_L² < 1. Its noise
is compared with that of an unbiased estimator when both are calibrated: every second example is
divided by the response of the others, and these by the response of the first.

Errors are standard deviations over bootstrap resamples of the examples, which are drawn
independently; pixels and modes of one example are never treated as independent.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from estimators import power_spectra
from estimators.power_spectra import Bands
from estimators.resampling import ExampleMeans, Measured, resampled_means

_SIGNIFICANT = 5.0  # sigma; what is divided by a response that may be zero may be anything

NUM_MOMENTS = 5
"""Numbers that `moments` keeps of an example."""


@dataclasses.dataclass(frozen=True, eq=False)
class Skill:
    """The statistics of a set of estimates.

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
      noise_ell: N_L of the calibrated estimate; NaN where the response is not above zero by 5 σ on
        both halves of the examples.
      map_correlation_resamples: (resamples,) float64, what the error of map_correlation is the
        scatter of. Those of two skills pair up if their generators were equal.
      rho_ell_resamples: (resamples, num_bands), the same of rho_ell.
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
    noise_ell: Measured
    map_correlation_resamples: NDArray[np.float64]
    rho_ell_resamples: NDArray[np.float64]

    @property
    def relative_noise(self) -> float:
        """N_L / C_L, the median over the bands in which N_L is known; NaN if it is in none."""
        ratio = self.noise_ell.value / self.true_cl.value
        known = ratio[np.isfinite(ratio)]
        return float(np.median(known)) if known.size else math.nan


class SkillMeter:
    """Takes pairs of maps batch by batch and keeps a few numbers of each, never the maps."""

    def __init__(self, bands: Bands, window: NDArray[np.floating] | None = None):
        """Starts without any pairs.

        Args:
          bands: of the spectra.
          window: (npix, npix), what maps are multiplied by before anything is measured; all is
            then per unit of the mean of its square. None is 1.
        """
        self._bands = bands
        self._window = None if window is None else window / np.sqrt(np.mean(window**2))
        self._means = ExampleMeans()

    def add(self, kappa: NDArray[np.floating], estimate: NDArray[np.floating]) -> None:
        """Adds true maps and their estimates, both (n, npix, npix), dimensionless."""
        of_pixels = moments(kappa, estimate, self._window)
        if self._window is not None:
            kappa, estimate = kappa * self._window, estimate * self._window
        self._means.add(of_pixels, *power_spectra.measure(kappa, estimate, self._bands))

    def result(self, generator: np.random.Generator) -> Skill:
        """Judges all that was added.

        Args:
          generator: draws the bootstrap's resamples.

        Raises:
          LensingError: fewer than two examples, which say nothing about errors.
        """
        statistics = self._means.statistics(_statistics, generator)
        return Skill(
            num_examples=len(self._means),
            bands=self._bands,
            **{name: resampled.measured for name, resampled in statistics.items()},
            noise_ell=_calibrated_noise(self._means.rows[:, NUM_MOMENTS:], generator),
            map_correlation_resamples=statistics["map_correlation"].resamples,
            rho_ell_resamples=statistics["rho_ell"].resamples,
        )


def difference(one: Skill, other: Skill) -> Measured:
    """Returns by how much one map-level correlation is above another on the same examples.

    The error is that of pairs, much smaller than either correlation's: what makes an example hard
    makes it hard for both.

    Args:
      one: a skill, from a generator.
      other: another of the same examples, from an equal generator.
    """
    return Measured(
        one.map_correlation.value - other.map_correlation.value,
        (one.map_correlation_resamples - other.map_correlation_resamples).std(),
    )


def difference_ell(one: Skill, other: Skill) -> Measured:
    """Returns by how much one ρ_L is above another in each band, (num_bands,); see `difference`."""
    return Measured(
        one.rho_ell.value - other.rho_ell.value,
        (one.rho_ell_resamples - other.rho_ell_resamples).std(axis=0),
    )


def moments(
    kappa: NDArray[np.floating],
    estimate: NDArray[np.floating],
    window: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Returns each example's means of κ, κ̂, κ², κκ̂ and κ̂² over its pixels.

    Args:
      kappa: (n, npix, npix), true maps.
      estimate: their estimates, same shape.
      window: (npix, npix), whose square weighs the pixels; None weighs all alike.

    Returns:
      (n, 5), of whose means over examples `map_correlation` and squared errors are functions.
    """
    kappa, estimate = kappa.astype(np.float64), estimate.astype(np.float64)
    products = (kappa, estimate, kappa**2, kappa * estimate, estimate**2)
    weight = 1.0 if window is None else window**2 / np.mean(window**2)
    return np.stack([(maps * weight).mean(axis=(1, 2)) for maps in products], axis=-1)


def map_correlation(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns Pearson's correlation from means of `moments` over examples: (..., 5) -> (...)."""
    true, estimate, true2, product, estimate2 = np.moveaxis(means, -1, 0)
    return _correlation(product - true * estimate, true2 - true**2, estimate2 - estimate**2)


def _statistics(means: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Computes every statistic from means over examples, (..., NUM_MOMENTS + 3 num_bands)."""
    _, _, true2, product, estimate2 = np.moveaxis(means[..., :NUM_MOMENTS], -1, 0)
    true_cl, cross_cl, estimate_cl = np.split(means[..., NUM_MOMENTS:], 3, axis=-1)
    return {
        "mse": true2 - 2 * product + estimate2,
        "zero_mse": true2,
        "map_correlation": map_correlation(means[..., :NUM_MOMENTS]),
        "true_cl": true_cl,
        "estimate_cl": estimate_cl,
        "cross_cl": cross_cl,
        "residual_cl": true_cl - 2 * cross_cl + estimate_cl,
        "rho_ell": _correlation(cross_cl, true_cl, estimate_cl),
        "transfer_ell": cross_cl / true_cl,
    }


def _calibrated_noise(powers: NDArray[np.float64], generator: np.random.Generator) -> Measured:
    """Measures N_L, the response of either half of the examples held out for the other.

    Args:
      powers: (n, 3 num_bands), true, cross and estimate's spectra of each example.
      generator: draws resamples, within each half.
    """
    halves = (powers[::2], powers[1::2])
    shares = [len(half) / len(powers) for half in halves]
    means = [half.mean(axis=0) for half in halves]
    resampled = [resampled_means(half, generator) for half in halves]
    significant = np.ones(powers.shape[1] // 3, bool)
    for mean, scatter in zip(means, resampled, strict=True):
        significant &= _response(mean) > _SIGNIFICANT * _response(scatter).std(axis=0)

    def noise(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros(np.broadcast(first, second).shape[:-1] + significant.shape)
        for share, half, held_out in zip(shares, (first, second), (second, first), strict=True):
            true_cl, cross_cl, estimate_cl = np.split(half, 3, axis=-1)
            gain = 1 / np.where(significant, _response(held_out), np.nan)
            total += share * (true_cl - 2 * gain * cross_cl + gain**2 * estimate_cl)
        return total

    if min(map(len, halves)) < 2:  # nothing to tell a response's error from
        significant[:] = False
    return Measured(noise(*means), noise(*resampled).std(axis=0))


def _response(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    true_cl, cross_cl, _ = np.split(powers, 3, axis=-1)
    return cross_cl / true_cl


def _correlation(
    cross: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    norm = np.sqrt(np.maximum(first, 0) * np.maximum(second, 0))
    return np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
