"""Search spaces: which networks and settings a search may try, as typed data.

A family of networks brings its own: a subclass of `Space` whose fields are the family's dimensions
and whose `model` turns one point of them into a network's name.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_types
from trainer.settings.optimization import WEIGHT_DECAY, check_optimization

Value = str | int | float | bool
Point = Mapping[str, Value]  # one value of each dimension


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of a few values, all of one type."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        check_types(self)
        if not self.values:
            raise LensingError("has no values")
        if len({type(value) for value in self.values}) > 1:
            raise LensingError(f"has values of several types: {self.to_json()}")
        if not isinstance(self.values[0], Value):
            raise LensingError(f"has values that are no text, number or truth: {self.to_json()}")
        if len(set(self.values)) < len(self.values):
            raise LensingError(f"has a value twice: {self.to_json()}")

    def __contains__(self, value: Value) -> bool:
        return value in self.values

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values to check; where they are possible, so is every other."""
        return self.values

    def to_json(self) -> Any:
        """A list."""
        return list(self.values)


@dataclasses.dataclass(frozen=True)
class LogRange:
    """A number between two positive ones, each factor as likely as another."""

    low: float
    high: float

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 < self.low < self.high < math.inf:
            raise LensingError(
                f"is from {self.low} to {self.high}: must be 0 < min < max, both finite"
            )

    def __contains__(self, value: Value) -> bool:
        return not isinstance(value, str) and self.low <= value <= self.high

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values to check; where they are possible, so is every other."""
        return (self.low, self.high)

    def to_json(self) -> Any:
        """{"min": ..., "max": ...}."""
        return {"min": self.low, "max": self.high}


Dimension = Choice | LogRange


@dataclasses.dataclass(frozen=True, kw_only=True)
class Space(abc.ABC):
    """Dimensions that every network's training has; a family adds its own dimensions.

    Attributes:
      optimizer: "adam", "adamw" or "sgd", the last with the study's Nesterov momentum.
      learning_rate: the highest over a run; rounded to three digits.
      batch_size: examples a step.
      augment: whether examples are turned and mirrored.
    """

    family: ClassVar[str]

    optimizer: Choice = Choice(("adam", "sgd"))
    learning_rate: Dimension = LogRange(5e-5, 2e-2)
    batch_size: Choice = Choice((32, 64, 128))
    augment: Choice = Choice((True, False))

    def __post_init__(self) -> None:
        check_types(self)
        kinds = self._kinds()
        for name, dimension in self.dimensions().items():
            if any(type(value) is not kinds[name] for value in dimension.extremes):
                raise LensingError(
                    f"{name} has values {dimension.to_json()}: must be {kinds[name].__name__}"
                )
        for name, dimension in self.dimensions().items():
            for value in dimension.extremes:
                self._check(name, value)

    @abc.abstractmethod
    def model(self, point: Point) -> str:
        """The name of the network at a point of the space.

        Raises:
          LensingError: there is none; the message names the dimension and its value.
        """

    @abc.abstractmethod
    def place(self, model: str) -> Point | None:
        """The values of the family's own dimensions for a network's name; None outside."""

    def locate(self, settings: Mapping[str, Any]) -> Point | None:
        """The point of the space that some settings are; None outside.

        Args:
          settings: fields of `TrainerConfig`, at least those that `settings` returns.
        """
        place = self.place(settings["model"])
        if place is None:
            return None
        training: Point = {
            name: settings[name] for name in ("optimizer", "learning_rate", "batch_size", "augment")
        }
        inside = all(value in getattr(self, name) for name, value in training.items())
        return {**place, **training} if inside else None

    def settings(self, point: Point) -> dict[str, Any]:
        """The fields of `TrainerConfig` that a point decides.

        Raises:
          LensingError: they are impossible.
        """
        sgd = point["optimizer"] == "sgd"
        return {
            "model": self.model(point),
            "optimizer": point["optimizer"],
            "learning_rate": float(f"{point['learning_rate']:.3g}"),
            "momentum": 0.9 if sgd else 0.0,
            "nesterov": sgd,
            "weight_decay": WEIGHT_DECAY if point["optimizer"] == "adamw" else 0.0,
            "batch_size": point["batch_size"],
            "augment": point["augment"],
        }

    def dimensions(self) -> dict[str, Dimension]:
        """The dimensions by name, the network's after those of training."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def size(self) -> float:
        """The number of points; infinite where a dimension is a range."""
        return math.prod(
            len(dimension.values) if isinstance(dimension, Choice) else math.inf
            for dimension in self.dimensions().values()
        )

    def changed(self, values: Mapping[str, Any]) -> Space:
        """Replaces dimensions.

        Args:
          values: JSON values: a list of values, {"min": ..., "max": ...}, or one value that fixes
            the dimension.

        Raises:
          LensingError: a dimension is unknown, empty or impossible.
        """
        known = self.dimensions()
        for name in values:
            if name not in known:
                raise LensingError(
                    f"unknown hyperparameter {name!r}: the space has {', '.join(known)}"
                )
        kinds = self._kinds()
        changes: dict[str, Any] = {
            name: _dimension(name, value, kinds[name]) for name, value in values.items()
        }
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Returns family and dimensions, as `trainer.settings.spaces.changed` reads them."""
        return {"family": self.family} | {
            name: dimension.to_json() for name, dimension in self.dimensions().items()
        }

    @classmethod
    def _kinds(cls) -> dict[str, type]:
        """The type of each dimension's values: that of its default's."""
        fields: tuple[Any, ...] = dataclasses.fields(cls)
        return {field.name: type(field.default.extremes[0]) for field in fields}

    def _check(self, name: str, value: Value) -> None:
        others = {n: dimension.extremes[0] for n, dimension in self.dimensions().items()}
        settings = self.settings(others | {name: value})
        check_optimization(**{k: v for k, v in settings.items() if k not in ("model", "augment")})


def _dimension(name: str, value: Any, kind: type) -> Dimension:
    """Reads a dimension's JSON value; whole numbers are numbers where others are wanted."""
    try:
        if isinstance(value, Mapping):
            if value.keys() != {"min", "max"}:
                raise LensingError(f'is {dict(value)}: a range is {{"min": ..., "max": ...}}')
            if kind is not float:
                raise LensingError("is a range: list its values")
            low, high = (_number(value[end]) for end in ("min", "max"))
            return LogRange(low, high)
        values = value if isinstance(value, list) else [value]
        return Choice(tuple(_number(v) if kind is float else v for v in values))
    except LensingError as error:
        raise LensingError(f"{name} {error}") from error


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LensingError(f"is {value!r}: must be a number")
    return float(value)
