"""Sections of metrics.json that an earlier release had not: fingerprint, forecast, uncertainty."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from estimators.fingerprints import Fingerprint
from estimators.metrics_numbers import (
    LIMITS,
    ROUNDING,
    checked,
    measured_scalar,
    number_list,
    refuse_outside,
    scalar,
    typed,
)
from estimators.reach import Forecasts, Reach
from estimators.resampling import Measured
from estimators.uncertainty import LEVELS, name_of
from lensing_tfds.errors import LensingError

if TYPE_CHECKING:
    from estimators.coverage import LevelCoverage


def fingerprint_from(values: Mapping[str, Any]) -> Fingerprint | None:
    """Reads the files' hashes; None in metrics of an earlier release."""
    if values.get("fingerprint") is None:  # earlier releases had none
        return None
    hashes: dict[str, str] = typed(values, "fingerprint", dict)
    for name in hashes:
        if "/" in name or name in ("", ".", ".."):
            raise LensingError(f"fingerprint: {name!r} is not a file's name")
        if not re.fullmatch("[0-9a-f]{64}", typed(hashes, name, str)):
            raise LensingError(f"fingerprint: {name!r} has no SHA-256 hash: {hashes[name]!r}")
    return hashes


def forecast_json(forecast: Forecasts) -> dict[str, Any]:
    """Returns the forecast in JSON's types."""
    return {
        name: {"map_correlation": reach.map_correlation, "rho_ell": reach.rho_ell.tolist()}
        for name, reach in vars(forecast).items()
    }


def forecast_from(values: Mapping[str, Any], num_bands: int) -> Forecasts | None:
    """Reads the forecast; None if there is none."""
    if values.get("forecast") is None:  # earlier releases had none
        return None
    found = {}
    for field in dataclasses.fields(Forecasts):
        entry = typed(typed(values, "forecast", dict), field.name, dict)
        rho, rho_ell = scalar(entry, "map_correlation"), number_list(entry, "rho_ell", num_bands)
        refuse_outside("map_correlation", np.array(rho), *LIMITS["map_correlation"])
        refuse_outside("rho_ell", rho_ell, *LIMITS["rho_ell"])
        found[field.name] = Reach(rho, rho_ell)
    return Forecasts(**found)


def covered(coverage: Sequence[LevelCoverage]) -> dict[str, Measured]:
    """Names what is measured of intervals of each level."""
    return {
        f"{name}_{name_of(of.level)}": measured
        for of in coverage
        for name, measured in (
            ("coverage", of.modes),
            ("interval_score", of.score),
            ("pixel_coverage", of.pixels),
        )
    }


def uncertainty_from(values: Mapping[str, Any], num_bands: int) -> dict[str, Measured] | None:
    """Reads how often intervals hold the truth, by name; None if there is none."""
    if values.get("uncertainty") is None:  # earlier releases had none
        return None
    found, entry = {}, typed(values, "uncertainty", dict)
    for level in map(name_of, LEVELS):
        for kind, highest in (("coverage", 1 + ROUNDING), ("interval_score", math.inf)):
            name = f"{kind}_{level}"
            pair = (number_list(entry, key, num_bands) for key in (name, f"{name}_error"))
            found[name] = checked(name, *pair)
            refuse_outside(name, found[name].value, 0, highest)
        name = f"pixel_coverage_{level}"
        found[name] = measured_scalar(entry, name)
        refuse_outside(name, found[name].value, 0, 1 + ROUNDING)
    return found
