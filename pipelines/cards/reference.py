"""The reach of quadratic and iterated estimators on a dataset: the bar for a network."""

from __future__ import annotations

import dataclasses

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from estimators.dataset import Dataset
from estimators.ensemble import SkyEnsemble
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator, pairs_of
from estimators.quadratic.wiener import expected_map_correlation, wiener_filter
from estimators.reports import style
from estimators.reports.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILION,
    Series,
)
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky.binning import Bins
from pipelines.cards.drawing import drawn
from pipelines.cards.measured import MeasuredReach, measured

_FORECAST = "iterated, forecast"
_ALONE_LOOKS = (Series(BLUE, "", "--"), Series(SKY_BLUE, "", "-."))
_BEST, _ITERATED = Series(VERMILION, "o"), Series(GREEN, "s")
_POINTS = {"quadratic": _BEST, "iterated": _ITERATED, "quadratic_ordinary": _BEST}
_POINTS |= {"quadratic_all": Series(PURPLE, "^"), "iterated_ordinary": _ITERATED}
_POINTS |= {"iterated_all": Series(ORANGE, "D")}
_SHOWN = (20, 30, 50, 100, 200, 300, 500, 1000, 2000, 3000, 5000)
_ALONE = {"T": ("TT",), "TQU": ("TT", "EB"), "QU": ("EB",)}


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The quadratic estimators' correlations with κ on a config, from their noise N0.

    Attributes:
      ell: multipoles of the curves, float64 of shape (n,).
      rho: name of an estimator ("TT", "EB", "all pairs", "iterated, forecast") to ρ_L =
        sqrt(C / (C + N0)) at `ell`.
      map_rho: to Pearson's correlation of κ maps and Wiener-filtered estimates.
      measured: the same of estimates of the dataset's examples.
    """

    ell: NDArray[np.float64]
    rho: dict[str, NDArray[np.float64]]
    map_rho: dict[str, float]
    measured: list[MeasuredReach]

    def rows(self) -> list[tuple[str, ...]]:
        """Returns rows of (estimator, map-level ρ, ρ_L at each of `shown_ell`)."""
        expected = [(n, f"{self.map_rho[n]:.3f}", *self._at(c)) for n, c in self.rho.items()]
        return expected + [
            (
                f"{found.label}, measured",
                f"{float(found.map_correlation.value):.3f} ± "
                f"{float(found.map_correlation.error):.3f}",
                *self._at(found.rho.value),
            )
            for found in self.measured
        ]

    def _at(self, curve: NDArray[np.float64]) -> list[str]:
        values = np.interp(np.log(self.shown_ell), np.log(self.ell), curve)
        return [f"{rho:.2f}" for rho in values]

    @property
    def shown_ell(self) -> list[int]:
        """Round multipoles in the range of `ell`."""
        inside = [ell for ell in _SHOWN if self.ell[0] <= ell <= self.ell[-1]]
        return (
            inside if len(inside) < 5 else [ell for ell in inside if not str(ell).startswith("3")]
        )


def reference(ensemble: SkyEnsemble, dataset: Dataset | None = None) -> Reference:
    """Computes what the estimators reach on ordinary modes, and measures what they do reach.

    Ordinary modes are those of the grid up to T_lmax, with CAMB's lensed spectra as their signal:
    what a version's own grid adds (power above T_lmax, aliasing) is no part of theory.

    Args:
      ensemble: what the version's skies are drawn from.
      dataset: the built dataset; None measures nothing.

    Raises:
      LensingError: its examples cannot be read.
    """
    config, table, kappa = ensemble.config, ensemble.theory, ensemble.kappa_power
    sky = config.sky
    observation = Observation.of(config, table)
    noise = {pair: QuadraticEstimator(pair, observation).noise for pair in _ALONE[config.stokes]}
    pairs = pairs_of(config)
    if len(pairs) > 1:
        noise["all pairs"] = MinimumVariance(pairs, observation).noise
    if len(ensemble.forecasts) > 1:
        noise[_FORECAST] = ensemble.forecasts[-1].noise
    rings = _rings(config)
    power = rings.mean(kappa)
    return Reference(
        ell=rings.ell,
        rho={
            name: np.sqrt(rings.mean(kappa * wiener_filter(kappa, n)) / power)
            for name, n in noise.items()
        },
        map_rho={name: expected_map_correlation(kappa, n, sky) for name, n in noise.items()},
        measured=[] if dataset is None else measured(dataset, rings),
    )


def _rings(config: LensingConfig) -> Bins:
    """Rings of modes, about 12 a decade; each has modes off the Nyquist lines."""
    sky = config.sky
    top = (sky.npix - 1) // 2 * sky.fundamental
    if config.kappa_lmax is not None:
        top = min(top, config.kappa_lmax)
    edges = np.geomspace(
        sky.fundamental * 0.99, top, max(3, round(12 * np.log10(top / sky.fundamental)))
    )
    filled = Bins.between(edges, sky).num_modes > 0
    return Bins.between([*edges[:-1][filled], edges[-1]], sky)


@drawn
def figure(theory: Reference) -> Figure:
    """Draws ρ_L: theory as lines, what was measured as points with errors."""
    drawing = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = drawing.subplots()
    *alone, best = [name for name in theory.rho if name != _FORECAST]
    looks = dict(zip(alone, _ALONE_LOOKS, strict=False)) | {best: _BEST, _FORECAST: _ITERATED}
    for name, rho in theory.rho.items():
        look = looks[name]._replace(marker="")
        style.points(axes, look, theory.ell, rho, label=name, lw=1.8)
    for found in theory.measured:
        look = _POINTS[found.group]._replace(line="")
        style.points(axes, look, theory.ell, *found.rho, f"{found.label}, measured", ms=3.5)
    axes.set(ylim=(0, 1.02), ylabel=r"$\rho_L$ with κ")
    style.multipoles(axes)
    style.legend(axes)
    return drawing
