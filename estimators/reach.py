"""The reach of estimates: the forecast in the judge's bands, and what is left to win up to it.

The forecast is `estimators.iterated.forecast`'s. In a band of modes a Wiener-filtered estimate of
noise N has ρ² = Σ C ρ_l² / Σ C with ρ_l² = C / (C + N), as the judge measures it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.posterior.measured import measured_posterior
from estimators.quadratic.wiener import wiener_filter
from estimators.resampling import Measured, with_error
from estimators.skill import difference

if TYPE_CHECKING:
    from estimators.judge import Evaluation, Judged

_MODES = ("_ordinary", "_all")  # endings of names: see `estimators.references`
_SIGNIFICANT = 2.0  # sigma, of what is left to win
_CHANCE = ", which may be chance"
_MOST = 0.5  # of what is left to win


@dataclasses.dataclass(frozen=True, eq=False)
class Reach:
    """Correlations with κ that theory expects.

    Attributes:
      map_correlation: of maps, over all modes.
      rho_ell: (num_bands,), in the judge's bands.
    """

    map_correlation: float
    rho_ell: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Forecasts:
    """The expectation of theory for skies.

    Attributes:
      quadratic: of the quadratic estimator.
      iterated: of iterating it until nothing is gained.
    """

    quadratic: Reach
    iterated: Reach


def forecasts_of(ensemble: SkyEnsemble) -> Forecasts | None:
    """Returns the forecasts for an ensemble's skies; None where theory does not hold."""
    if not ensemble.forecasts:
        return None
    power = ensemble.kappa_power
    found = [
        Reach(
            forecast.map_correlation,
            np.sqrt(
                ensemble.bands.average(power * wiener_filter(power, forecast.noise))
                / ensemble.expected_cl
            ),
        )
        for forecast in ensemble.forecasts
    ]
    return Forecasts(found[0], found[-1])


def leading(names: Iterable[str]) -> dict[str, str]:
    """Chooses the estimators of `references` that matter most.

    These are the quadratic estimator of all pairs and the iterated one, Wiener-filtered, once for
    each group of modes.

    Args:
      names: theirs, of those that could be normalised, in the order of `references`.

    Returns:
      Names by group: "quadratic" or "iterated", with "_ordinary" or "_all" where there are both.
    """
    found: dict[str, str] = {}
    for name in names:
        family, filtered, _ = name.partition("_wiener")
        if filtered:
            kind = "iterated" if "iterated" in family else "quadratic"
            modes = next((ending for ending in _MODES if family.endswith(ending)), "")
            found.setdefault(kind + modes, name)
    return found


def bars(evaluation: Evaluation) -> list[Judged]:
    """Returns the estimators that matter most beside the one in question; see `leading`."""
    others = {j.estimator.name: j for j in evaluation.others if j.estimator.is_normalised}
    return [others[name] for name in leading(others).values()]


def short(judged: Judged) -> str:
    """Returns an estimator's label where all are Wiener-filtered."""
    return judged.estimator.label.removesuffix(", Wiener")


def left_to_win(evaluation: Evaluation) -> str:
    """Says in a sentence what the estimator in question reaches, and what is left above it."""
    first, *others = evaluation.judged[0], *bars(evaluation)
    reached = f"The {first.estimator.label} reaches ρ = {with_error(first.skill.map_correlation)}"
    for other in others:
        reached += f"; {short(other)} {float(other.skill.map_correlation.value):.4f}"
    posterior = measured_posterior(evaluation.ensemble.config)
    if posterior is not None:
        reached += f"; MAP {float(posterior.map_correlation.value):.4f}"
    forecasts = forecasts_of(evaluation.ensemble)
    if forecasts is None:
        best = max((first, *others), key=lambda one: float(one.skill.map_correlation.value))
        where = "the best of these"
        if best is not first:
            below = difference(best.skill, first.skill)
            where = f"{with_error(below)} below {where}{_CHANCE * _may_be_chance(below)}"
        return f"{reached}: it is {where}, and no theory forecasts what is left on these skies."
    forecast = forecasts.iterated.map_correlation
    reached += f"; the forecast {forecast:.4f}"
    value, error = first.skill.map_correlation
    if posterior is not None and _passes(posterior.map_correlation, forecast):
        left = Measured(
            posterior.map_correlation.value - value,
            np.hypot(error, posterior.map_correlation.error),
        )
        if left.value <= 0:
            return f"{reached}: more than either."
        return (
            f"{reached}, which the MAP passes: {with_error(left)} is left to win up to the MAP"
            f"{_CHANCE * _may_be_chance(left)}."
        )
    left = Measured(forecast - value, error)
    if left.value <= 0:
        return f"{reached}: by this forecast nothing is left to win."
    where = _CHANCE if _may_be_chance(left) else _where(evaluation, forecasts.iterated.rho_ell)
    return f"{reached}: {with_error(left)} is left to win{where}."


def _may_be_chance(left: Measured) -> bool:
    return bool(left.value < _SIGNIFICANT * left.error)


def _passes(measured: Measured, forecast: float) -> bool:
    """Says whether what was measured is more than a forecast, beyond chance."""
    return bool(measured.value - forecast > _SIGNIFICANT * measured.error)


def _where(evaluation: Evaluation, forecast: NDArray[np.float64]) -> str:
    """Names the narrowest run of bands that holds half of what is left to win.

    It is counted in κ's power that the forecast's estimate explains and this one does not.
    """
    skill, bands = evaluation.skill, evaluation.skill.bands
    weight = evaluation.expected_cl * bands.num_modes
    lost = np.cumsum([0.0, *weight * (forecast**2 - np.maximum(skill.rho_ell.value, 0.0) ** 2)])
    needed = _MOST * lost[-1]
    if needed <= 0:
        return ""
    runs = [
        (bands.edges[end] - bands.edges[start], bands.edges[start], bands.edges[end])
        for start in range(len(bands.ell))
        for end in range(start + 1, len(bands.ell) + 1)
        if lost[end] - lost[start] >= needed
    ]
    _, low, high = min(runs)
    return f", half of it at L = {_rounded(low):,}–{_rounded(high):,}"


def _rounded(multipole: float) -> int:
    return int(float(f"{multipole:.2g}"))
