"""Checks of a frozen dataclass's fields, and the one form of their errors."""

import numbers
from collections.abc import Sequence
from typing import Any

from lensing_tfds.errors import LensingError


class Checked:
    """A frozen dataclass that checks its fields when it is constructed."""

    @property
    def title(self) -> str:
        """The first words of an error, before the field's name."""
        raise NotImplementedError

    def _error(self, field: str, bound: str) -> LensingError:
        value = getattr(self, field)
        return LensingError(f"{self.title}: {field} is {value!r}, must be {bound}")

    def _check_integer(self, field: str, low: int, high: int) -> None:
        value = getattr(self, field)
        if isinstance(value, float) and value.is_integer():  # JSON writes 50 as 50.0 at times
            value = int(value)
        is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not is_integer or not low <= value <= high:
            raise self._error(field, f"an integer from {low} to {high}")
        object.__setattr__(self, field, int(value))

    def _check_real(self, field: str, low: float, high: float) -> None:
        value = getattr(self, field)
        is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not is_real or not low <= value <= high:
            raise self._error(field, f"a number from {low:g} to {high:g}")
        object.__setattr__(self, field, float(value))

    def _check_flag(self, field: str) -> None:
        if not isinstance(getattr(self, field), bool):
            raise self._error(field, "true or false")

    def _check_choice(self, field: str, choices: Sequence[Any]) -> None:
        value = getattr(self, field)
        if not isinstance(value, str) or value not in choices:
            raise self._error(field, f"one of {', '.join(map(repr, choices))}")
