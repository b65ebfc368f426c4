"""Fields of a dataclass, and values for them, checked against their annotations.

JSON and other people's programs know no annotations: "no" is true as a condition, and 2.5 epochs
are a number.
"""

from __future__ import annotations

import dataclasses
import functools
import numbers
import types
import typing
from collections.abc import Mapping
from typing import Any

from lensing_tfds.errors import LensingError

_NAMES: Mapping[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


def check_types(instance: Any) -> None:
    """Checks all fields of a dataclass, as its `__post_init__` is to do.

    Numbers become those of the annotation: 50.0 is the whole number 50, and 1 the number 1.0.

    Args:
      instance: of a dataclass, frozen or not.

    Raises:
      LensingError: a field has a value of another type; the message names field and value.
    """
    for field in dataclasses.fields(instance):
        value = checked(type(instance), field.name, getattr(instance, field.name))
        object.__setattr__(instance, field.name, value)


def check_names(cls: type, values: Mapping[str, Any], source: str) -> None:
    """Checks that a mapping has exactly the fields of a dataclass.

    Args:
      cls: the dataclass.
      values: by the fields' names.
      source: of the values, as an error's first words.

    Raises:
      LensingError: a field is unknown or missing.
    """
    fields = {field.name for field in dataclasses.fields(cls)}
    unknown, missing = sorted(values.keys() - fields), sorted(fields - values.keys())
    if unknown or missing:
        raise LensingError(f"{source}: unknown {unknown}, missing {missing}")


def checked(cls: type, name: str, value: Any) -> Any:
    """Checks a value for one field of a dataclass.

    Args:
      cls: the dataclass.
      name: of its field.
      value: what the field is to hold.

    Returns:
      The value, of exactly the annotation's type where that is a number's.

    Raises:
      LensingError: it is of another type.
    """
    return checked_as(_annotations(cls)[name], name, value)


def checked_as(annotation: Any, name: str, value: Any) -> Any:
    """Checks a value against an annotation.

    Args:
      annotation: a class, or a union of some; of a generic one only the class itself is checked.
      name: of the value, for the message.
      value: any.

    Raises:
      LensingError: it is of another type.
    """
    members = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    for member in members:
        fitting, converted = _converted(typing.get_origin(member) or member, value)
        if fitting:
            return converted
    expected = (
        _NAMES.get(member) or getattr(member, "__name__", str(member)) for member in members
    )
    wanted = " or ".join(name.replace("NoneType", "null") for name in expected)
    raise LensingError(f"{name} is {value!r}: must be {wanted}")


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _converted(kind: Any, value: Any) -> tuple[bool, Any]:
    """Says whether a value is of a kind, and the value as that kind's own type."""
    if kind is Any:
        return True, value
    if kind not in (int, float):
        return isinstance(value, kind), value
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False, value
    if kind is int and isinstance(value, numbers.Integral):
        return True, int(value)
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond all floating-point ones
        return False, value
    if kind is float:
        return True, number
    return number.is_integer(), int(number) if number.is_integer() else value


@functools.cache
def _annotations(cls: type) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)
