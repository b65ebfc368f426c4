"""The quadratic estimator's reach on a dataset, in theory: the bar for a network."""

from __future__ import annotations

import dataclasses

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator, pairs_of
from estimators.quadratic.wiener import expected_map_correlation, wiener_filter
from estimators.reports import style
from estimators.reports.style import BLUE, GREEN, VERMILION, Series
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.sky.spectra import PowerSpectra
from pipelines.cards.drawing import drawn

_LOOKS = (Series(BLUE, "", "-"), Series(VERMILION, "", "--"), Series(GREEN, "", "-."))
_SHOWN = (20, 30, 50, 100, 200, 300, 500, 1000, 2000, 3000, 5000)
_ALONE = {"T": ("TT",), "TQU": ("TT", "EB"), "QU": ("EB",)}


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The quadratic estimators' correlations with κ on a config, from their noise N0.

    Attributes:
      ell: multipoles of the curves, float64 of shape (n,).
      rho: name of an estimator ("TT", "EB", "all pairs") to ρ_L = sqrt(C / (C + N0)) at `ell`.
      map_rho: to Pearson's correlation of κ maps and Wiener-filtered estimates.
    """

    ell: NDArray[np.float64]
    rho: dict[str, NDArray[np.float64]]
    map_rho: dict[str, float]

    def rows(self) -> list[tuple[str, ...]]:
        """Returns rows of (estimator, map-level ρ, ρ_L at each of `shown_ell`)."""
        positions = np.log(self.shown_ell)
        return [
            (name, f"{self.map_rho[name]:.3f}")
            + tuple(f"{rho:.2f}" for rho in np.interp(positions, np.log(self.ell), curve))
            for name, curve in self.rho.items()
        ]

    @property
    def shown_ell(self) -> list[int]:
        """Round multipoles in the range of `ell`."""
        inside = [ell for ell in _SHOWN if self.ell[0] <= ell <= self.ell[-1]]
        return (
            inside if len(inside) < 5 else [ell for ell in inside if not str(ell).startswith("3")]
        )


def reference(config: LensingConfig, table: PowerSpectra) -> Reference:
    """Computes what the estimators reach on ordinary modes.

    These are the modes of the grid up to T_lmax, with CAMB's lensed spectra as their signal: what
    a version's own grid adds (power above T_lmax, aliasing) is no part of it.

    Args:
      config: the version.
      table: the spectra of its cosmology.
    """
    sky = config.sky
    observation = Observation.of(config, table)
    kappa = kappa_power(config, table, sky.ell)
    noise = {pair: QuadraticEstimator(pair, observation).noise for pair in _ALONE[config.stokes]}
    pairs = pairs_of(config)
    if len(pairs) > 1:
        noise["all pairs"] = MinimumVariance(pairs, observation).noise
    rings = _rings(config)
    return Reference(
        ell=np.array([sky.ell[ring].mean() for ring in rings]),
        rho={
            name: np.array([_mean_rho(kappa[ring], n[ring]) for ring in rings])
            for name, n in noise.items()
        },
        map_rho={name: expected_map_correlation(kappa, n, sky) for name, n in noise.items()},
    )


def _mean_rho(kappa: NDArray[np.float64], noise: NDArray[np.float64]) -> float:
    """ρ of all modes of a ring together."""
    return float(np.sqrt(np.sum(kappa * wiener_filter(kappa, noise)) / np.sum(kappa)))


def _rings(config: LensingConfig) -> list[NDArray[np.bool_]]:
    """Masks of the half plane, about 12 a decade; each has modes off the Nyquist lines."""
    sky = config.sky
    top = (sky.npix - 1) // 2 * sky.fundamental
    if config.kappa_lmax is not None:
        top = min(top, config.kappa_lmax)
    edges = np.geomspace(
        sky.fundamental * 0.99, top, max(3, round(12 * np.log10(top / sky.fundamental)))
    )
    rings = [
        (sky.ell >= low) & (sky.ell < high) for low, high in zip(edges[:-1], edges[1:], strict=True)
    ]
    return [ring for ring in rings if ring.any()]


@drawn
def figure(theory: Reference) -> Figure:
    """Draws ρ_L."""
    drawing = Figure(figsize=(5.2, 3.2), layout="constrained")
    axes = drawing.subplots()
    for (name, rho), look in zip(theory.rho.items(), _LOOKS, strict=False):
        style.points(axes, look, theory.ell, rho, label=name, lw=1.8)
    axes.set(ylim=(0, 1.02), ylabel=r"$\rho_L$ with κ")
    style.multipoles(axes)
    style.legend(axes)
    return drawing
