import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest

from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_types


@dataclasses.dataclass(frozen=True)
class Settings:
    """One field of each kind."""

    text: str = "a"
    flag: bool = True
    count: int = 1
    rate: float = 0.5
    limit: int | None = None
    several: tuple[int, ...] = ()
    names: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("text", 1, "text"),
        ("text", None, "text"),
        ("flag", "no", "true or false"),
        ("flag", 0, "true or false"),
        ("count", 2.5, "a whole number"),
        ("count", "3", "a whole number"),
        ("count", True, "a whole number"),
        ("count", float("inf"), "a whole number"),
        ("count", float("nan"), "a whole number"),
        ("rate", "0.5", "a number"),
        ("rate", False, "a number"),
        ("rate", 1j, "a number"),
        ("limit", "none", "a whole number or null"),
        ("several", [1], "tuple"),
        ("names", [], "Mapping"),
    ],
)
def test_a_value_of_another_type_names_field_and_value(field, value, allowed):
    with pytest.raises(LensingError) as error:
        Settings(**{field: value})
    assert str(error.value) == f"{field} is {value!r}: must be {allowed}"


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("count", 3.0, 3),
        ("count", np.int64(3), 3),
        ("rate", 1, 1.0),
        ("rate", np.float32(0.5), 0.5),
        ("limit", None, None),
        ("limit", 4.0, 4),
        ("flag", False, False),
    ],
)
def test_a_number_becomes_the_annotations(field, value, kept):
    result = getattr(Settings(**{field: value}), field)
    assert result == kept and type(result) is type(kept)
