"""Search spaces: which networks and settings a search may try, for each version, as typed data.

A family of networks brings its own: a subclass of `Space` whose fields are the family's dimensions
and whose `model` turns one point of them into a network's name. It takes its place in `FAMILIES`.
"""

from __future__ import annotations

import abc
import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from lensing_tfds.errors import LensingError
from trainer.networks import architectures
from trainer.networks.architectures import Architecture
from trainer.recipes import Recipe

Value = str | int | float | bool
Point = Mapping[str, Value]  # one value of each dimension


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of a few values, all of one type."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
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
    """What every network's training can vary; a family adds its own dimensions.

    Attributes:
      optimizer: "adam", or "sgd" with the study's Nesterov momentum.
      learning_rate: constant over a run; rounded to three digits.
      batch_size: examples a step.
      augment: whether examples are turned and mirrored.
    """

    family: ClassVar[str]

    optimizer: Choice = Choice(("adam", "sgd"))
    learning_rate: Dimension = LogRange(5e-5, 2e-2)
    batch_size: Choice = Choice((32, 64, 128))
    augment: Choice = Choice((True, False))

    def __post_init__(self) -> None:
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

    def locate(self, recipe: Recipe, augment: bool) -> Point | None:
        """The point of the space that a recipe is; None outside.

        Args:
          recipe: a network and its training.
          augment: whether its examples are turned and mirrored.
        """
        place = self.place(recipe.model)
        if place is None:
            return None
        training: Point = {
            "optimizer": recipe.optimizer,
            "learning_rate": recipe.learning_rate,
            "batch_size": recipe.batch_size,
            "augment": augment,
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
            "batch_size": point["batch_size"],
            "augment": point["augment"],
        }

    def dimensions(self) -> dict[str, Dimension]:
        """The dimensions by name, the network's after those of training."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def size(self) -> float:
        """How many points there are; infinite where a dimension is a range."""
        return math.prod(
            len(dimension.values) if isinstance(dimension, Choice) else math.inf
            for dimension in self.dimensions().values()
        )

    def changed(self, values: Mapping[str, Any]) -> Space:
        """Replaces dimensions: what a space file, or `to_json`, says.

        Args:
          values: JSON values: a list of values, {"min": ..., "max": ...}, or one value that fixes
            the dimension. "family" may say which networks the others are for.

        Raises:
          LensingError: a dimension is unknown, empty or impossible.
        """
        dimensions = dict(values)
        family = dimensions.pop("family", self.family)
        if family != self.family:
            if family not in FAMILIES:
                raise LensingError(f"unknown family {family!r}: known are {', '.join(FAMILIES)}")
            return FAMILIES[family]().changed(dimensions)
        known = self.dimensions()
        for name in dimensions:
            if name not in known:
                raise LensingError(
                    f"unknown hyperparameter {name!r}: the space has {', '.join(known)}"
                )
        kinds = self._kinds()
        changes: dict[str, Any] = {
            name: _dimension(name, value, kinds[name]) for name, value in dimensions.items()
        }
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """What `changed` reads: the family and all dimensions."""
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
        Recipe(**{k: v for k, v in self.settings(others | {name: value}).items() if k != "augment"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class StackSpace(Space):
    """The study's networks: stacks of 3x3 convolutions, see `trainer.networks.architectures`.

    Attributes:
      depth: 3x3 convolutions of `width` filters.
      width: their filters.
      tail: filters of one more 3x3 convolution behind them; 0 for none.
      last_kernel: side of the last convolution's kernel, in pixels, odd.
      upsampling: 2 for a grid twice as fine, as `hires`; 1 for the maps' own.
    """

    family = "stack"

    depth: Choice = Choice((2, 3, 4, 5, 6, 8, 10))
    width: Choice = Choice((16, 32, 64))
    tail: Choice = Choice((0, 32))
    last_kernel: Choice = Choice((3, 5, 7, 9))
    upsampling: Choice = Choice((1,))

    def model(self, point: Point) -> str:
        numbers = {
            name: _integer(name, point[name], smallest)
            for name, smallest in (
                ("depth", 1),
                ("width", 1),
                ("tail", 0),
                ("last_kernel", 1),
                ("upsampling", 1),
            )
        }
        if numbers["last_kernel"] % 2 == 0:
            raise LensingError(f"last_kernel is {numbers['last_kernel']}: must be odd")
        if numbers["upsampling"] not in (1, architectures.HIRES.upsampling):
            raise LensingError(f"upsampling is {numbers['upsampling']}: must be 1 or 2")
        blocks = [(numbers["depth"], numbers["width"])]
        if numbers["tail"]:
            blocks.append((1, numbers["tail"]))
        return architectures.name_of(
            Architecture(tuple(blocks), numbers["last_kernel"], numbers["upsampling"])
        )

    def place(self, model: str) -> Point | None:
        names = ("depth", "width", "tail", "last_kernel", "upsampling")
        for values in itertools.product(*(getattr(self, name).values for name in names)):
            point = dict(zip(names, values, strict=True))
            if self.model(point) == model:
                return point
        return None


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


def _integer(name: str, value: Value, smallest: int) -> int:
    if not isinstance(value, int) or value < smallest:
        raise LensingError(f"{name} is {value!r}: must be at least {smallest}")
    return value


FAMILIES: dict[str, type[Space]] = {"stack": StackSpace}

# Maps of 256 x 256 pixels: the largest of these networks and batches takes 4 GiB in a training
# step, and so does that of v11's quarter of the pixels; see trainer/recipes.py.
_SURVEY = StackSpace(
    batch_size=Choice((8, 16, 32)), width=Choice((16, 32)), depth=Choice((4, 6, 8, 10, 12))
)

# Around what each version's study trained, with room on either side.
SPACES: dict[str, Space] = {
    # Every example lenses one sky: a mirrored example would show another one.
    "v1": StackSpace(depth=Choice((1, 2, 3, 4)), augment=Choice((False,))),
    "v2": StackSpace(depth=Choice((2, 3, 4, 5, 6))),
    "v3": StackSpace(depth=Choice((2, 3, 4, 5, 6))),
    "v4": StackSpace(depth=Choice((2, 3, 4, 5, 6, 8))),
    "v5": StackSpace(depth=Choice((4, 5, 6, 7, 8, 10)), upsampling=Choice((1, 2))),
    "v6": StackSpace(
        depth=Choice((6, 8, 12, 16, 24, 32, 48)), width=Choice((8, 16, 32, 64)), tail=Choice((0,))
    ),
    "v7": StackSpace(depth=Choice((4, 6, 8, 10, 12))),
    "v8": StackSpace(depth=Choice((3, 4, 5, 6, 7, 8))),
    "v9": _SURVEY,
    "v10": _SURVEY,
    "v11": dataclasses.replace(_SURVEY, batch_size=Choice((16, 32, 64)), width=Choice((32, 64))),
    "v12": _SURVEY,
}


def space_for(version: str) -> Space:
    """Finds what a search may try on a version; a custom config gets the widest of one family.

    Args:
      version: "v1" ... "v12", or a custom config's name.
    """
    return SPACES.get(version, StackSpace())
