"""Numbers with their errors in JSON, to and from; those that no estimates have are refused."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.resampling import Measured
from lensing_tfds.errors import LensingError

ROUNDING = 1e-6
LIMITS = {
    "map_correlation": (-1 - ROUNDING, 1 + ROUNDING),
    "rho_ell": (-1 - ROUNDING, 1 + ROUNDING),
    "difference": (-2 - ROUNDING, 2 + ROUNDING),
    "difference_ell": (-2 - ROUNDING, 2 + ROUNDING),
    "correlation_change": (-2 - ROUNDING, 2 + ROUNDING),
    "rho": (-1 - ROUNDING, 1 + ROUNDING),
    "relative_mse": (-ROUNDING, math.inf),
    "residual": (0, math.inf),
    "moved_noise": (0, math.inf),
    "true_cl": (0, math.inf),
    "estimate_cl": (0, math.inf),
}
"""The least and the largest value of what is measured; errors are 0 or more."""


def with_errors(measured: Mapping[str, Measured]) -> dict[str, Any]:
    """Returns each value, and beside it `<name>_error`, in JSON's types; NaN becomes null."""
    values = {}
    for name, (value, error) in measured.items():
        values[name], values[f"{name}_error"] = _json(value), _json(error)
    return values


def _json(values: NDArray[np.float64]) -> Any:
    if np.ndim(values) == 0:
        return float(values)
    return [None if math.isnan(value) else value for value in values.tolist()]


def measured_scalar(values: Mapping[str, Any], name: str) -> Measured:
    """Reads a number and its error."""
    return checked(name, *(np.array(scalar(values, key)) for key in (name, f"{name}_error")))


def measured_bands(values: Mapping[str, Any], name: str, num_bands: int) -> Measured:
    """Reads a number a band, and their errors."""
    return checked(name, *(number_list(values, key, num_bands) for key in (name, f"{name}_error")))


def checked(name: str, value: NDArray[np.float64], error: NDArray[np.float64]) -> Measured:
    """Pairs a measured value with its error; refuses numbers that no estimates have."""
    if name in LIMITS:
        refuse_outside(name, value, *LIMITS[name])
    refuse_outside(f"{name}_error", error, 0)
    return Measured(value, error)


def refuse_outside(
    name: str, values: NDArray[Any], low: float | NDArray[np.float64], high: float = math.inf
) -> None:
    """Refuses numbers that are not from `low` to `high`; NaN, of noise, is not known."""
    outside = (values < low) | (values > high)
    if outside.any():
        number = np.ravel(values)[np.argmax(np.ravel(outside))]
        least = f"{np.ravel(np.broadcast_to(low, outside.shape))[np.argmax(outside)] + 0:.6g}"
        limits = f"at least {least}" if math.isinf(high) else f"from {least} to {high:.6g}"
        raise LensingError(f"{name!r} holds {number:.6g}, which is impossible: must be {limits}")


def scalar(values: Mapping[str, Any], name: str) -> float:
    """Reads a number."""
    return _float(typed(values, name, float, int), name)


def number_list(values: Mapping[str, Any], name: str, length: int) -> NDArray[np.float64]:
    """Reads numbers of a known length; null, which only the noise may hold, becomes NaN."""
    numbers = typed(values, name, list)
    kinds = (float, int, type(None)) if name.startswith("noise_ell") else (float, int)
    if len(numbers) != length or any(type(number) not in kinds for number in numbers):
        raise LensingError(f"{name!r} is not a list of {length} numbers")
    return np.array([math.nan if x is None else _float(x, name) for x in numbers])


def _float(number: float, name: str) -> float:
    try:
        return float(number)
    except OverflowError as error:
        raise LensingError(f"{name!r} holds an integer of {len(str(number))} digits") from error


def typed(values: Any, name: str, *kinds: type) -> Any:
    """Reads what is of one of these types; refuses anything else, by its name."""
    if not isinstance(values, Mapping):
        raise LensingError(f"{reprlib.repr(values)} is not an object")
    if name not in values:
        raise LensingError(f"{name!r} is missing")
    if type(values[name]) not in kinds:
        raise LensingError(
            f"{name!r} is {reprlib.repr(values[name])}, not of type {kinds[0].__name__}"
        )
    return values[name]
