"""Objects within a config: each a frozen, checked dataclass, and null where there is none.

A new one is a class in a file of this folder, and a line in `LensingConfig`:

    mask: Mask | None = nested(Mask)

A config without it has the JSON, the fingerprints and the examples that it had before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

from lensing_tfds.config_fields.checked import Checked
from lensing_tfds.config_fields.features import Feature
from lensing_tfds.config_fields.patch import Patch
from lensing_tfds.errors import LensingError

_CLASS = "nested"  # the key of a dataclass field's metadata


class Nested(Checked):
    """Base of the objects; `FIELD` is the config's field that holds one."""

    FIELD: ClassVar[str]

    @property
    def title(self) -> str:
        """The first words of an error."""
        return self.FIELD

    def check(self, config: Patch) -> None:
        """Checks what depends on the config that has it.

        Raises:
          LensingError: it is impossible there.
        """

    def features(self, config: Patch) -> tuple[Feature, ...]:
        """Returns what it adds to the config's examples."""
        return ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Builds it from JSON's types; an omitted field takes its default.

        Raises:
          LensingError: an unknown field, a missing one, or an impossible value.
        """
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]  # each is a dataclass
        known = [field.name for field in fields]
        if unknown := sorted(map(str, set(values) - set(known))):
            raise LensingError(
                f"{cls.FIELD}: unknown field {unknown[0]!r}; the fields are {', '.join(known)}"
            )
        for field in fields:
            if field.default is dataclasses.MISSING and field.name not in values:
                raise LensingError(f"{cls.FIELD}: the field {field.name!r} is missing")
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Returns its fields; `from_json` reads them."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]  # each is a dataclass

    def to_json_of_examples(self) -> dict[str, Any]:
        """Returns the fields that are not at their default, for fingerprints that stay."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {name: v for name, v in self.to_json().items() if v != defaults[name]}


_N = TypeVar("_N", bound=Nested)


def nested(cls: type[_N]) -> _N | None:
    """Returns a config's field for an object of a class: null by default."""
    field: Any = dataclasses.field(default=None, metadata={_CLASS: cls})
    return field


def nested_fields(config: type | Patch) -> dict[str, type[Nested]]:
    """Returns the names of the fields that a config's objects may be in, and their classes."""
    fields: Any = dataclasses.fields(config)  # type: ignore[arg-type]  # a dataclass
    return {field.name: field.metadata[_CLASS] for field in fields if _CLASS in field.metadata}


def objects_of(config: Patch) -> dict[str, Nested]:
    """Returns the objects that a config has, by field."""
    found = {name: getattr(config, name) for name in nested_fields(config)}
    return {name: value for name, value in found.items() if value is not None}


def check_nested(config: Patch) -> None:
    """Makes objects of a config's JSON, in its fields, and checks all that it has.

    Raises:
      LensingError: one is impossible; the message begins with the config's name.
    """
    for name, cls in nested_fields(config).items():
        value = getattr(config, name)
        if value is None:
            continue
        try:
            if isinstance(value, Mapping):
                value = cls.from_json(value)
                object.__setattr__(config, name, value)
            if not isinstance(value, cls):
                known = ", ".join(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]
                raise LensingError(
                    f"{name} is {value!r}, must be null, or an object of the fields {known}"
                )
            value.check(config)
        except LensingError as error:
            raise LensingError(f"{config.title}: {error}") from error
