"""Scores that theory leaves to nobody: of other maps than the version's, or of the truth."""

from __future__ import annotations

from estimators.metrics_json import Metrics

_ABOVE = 5.0  # sigma above the forecast, and 5 %
_ABOVE_SHARE = 1.05


def above_forecast(metrics: Metrics) -> float | None:
    """Returns by what share the map-level ρ is above the iterated estimator's forecast.

    Returns:
      None where it is not, within 5 σ and 5 %, or where there is no forecast.
    """
    if metrics.forecast is None:
        return None
    limit = metrics.forecast.iterated.map_correlation
    value, error = map(float, metrics.measured["map_correlation"])
    if value < max(_ABOVE_SHARE * limit, limit + _ABOVE * error):
        return None
    return value / limit - 1
