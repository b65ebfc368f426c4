"""One search's settings and its budget."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from lensing_tfds import strict_json
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_names, check_types
from lensing_tfds.versions import dataset_name
from trainer.networks.space import Point, Space
from trainer.settings.config import TrainerConfig, resolve
from trainer.settings.optimization import LARGEST, check_count, check_reuse
from trainer.settings.recipes import recipe_for, trained_recipe
from trainer.settings.spaces import changed, space_for

TUNERS = ("hyperband", "bayesian", "random")
OBJECTIVES = {"val_loss": "min", "val_map_correlation": "max"}  # columns of a run's history

# Hyperband ends by itself; the others would go on as long as the space has points.
_DEFAULT_TRIALS = 20

# Settings that searches made before they existed do not name, with what those searches did.
_BEFORE: dict[str, Any] = {"fresh": False, "reuse": 1}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits beyond which no further trial begins; one that runs is finished. None is no limit.

    Attributes:
      max_trials: trials that were begun.
      max_total_epochs: epochs of all trials that were begun.
      max_minutes: time that the search took, all its sessions together.
    """

    max_trials: int | None = None
    max_total_epochs: int | None = None
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        check_types(self)
        for name, value in dataclasses.asdict(self).items():
            if value is not None and not 0 < value < math.inf:
                raise LensingError(f"{name} is {value}: must be positive")
        check_count("max_trials", self.max_trials)
        check_count("max_total_epochs", self.max_total_epochs)

    def reached(self, trials: int, epochs: int, seconds: float) -> str | None:
        """Names the limit that a search has come to; None while there is something left."""
        for name, used in (
            ("max_trials", trials),
            ("max_total_epochs", epochs),
            ("max_minutes", seconds / 60),
        ):
            limit = getattr(self, name)
            if limit is not None and used >= limit:
                return f"{name} {limit:g}"
        return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Everything that decides what a search tries.

    Attributes:
      dataset: "lensing/<name>".
      data_dir: the absolute folder that holds the folder `lensing`.
      space: what may be tried.
      tuner: "hyperband" trains many networks shortly and the best of them longer; "bayesian"
        models the objective over the space; "random" draws each trial independently.
      objective: "val_loss" or "val_map_correlation", of a trial's best epoch.
      max_epochs: of one trial; Hyperband gives most trials fewer.
      max_examples: how many training examples are used, the first ones by index; None for all.
      seed: of the search, and of each trial's weights, order and augmentation.
      fresh: whether trials train on skies that are simulated meanwhile, all trials on the same.
      reuse: how often such a sky is seen, see `TrainerConfig`.
    """

    dataset: str
    data_dir: str
    space: Space
    tuner: str = "hyperband"
    objective: str = "val_loss"
    max_epochs: int = 30
    max_examples: int | None = None
    seed: int = 0
    fresh: bool = False
    reuse: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        dataset_name(self.dataset)
        for name, value, allowed, valid in (
            ("tuner", self.tuner, ", ".join(TUNERS), self.tuner in TUNERS),
            ("objective", self.objective, ", ".join(OBJECTIVES), self.objective in OBJECTIVES),
            ("seed", self.seed, "in [0, 2^31)", 0 <= self.seed <= LARGEST),
        ):
            if not valid:
                raise LensingError(f"{name} is {value!r}: must be {allowed}")
        check_count("max_epochs", self.max_epochs)
        check_count("max_examples", self.max_examples)
        check_reuse(self.fresh, self.reuse)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return fields | {"space": self.space.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> SearchConfig:
        """Reads what `to_json` wrote, or wrote before there were the settings of `_BEFORE`.

        Raises:
          LensingError: a field is unknown or missing, or its value is impossible.
        """
        values = _BEFORE | values
        check_names(cls, values, "not a search's config")
        space = changed(space_for(dataset_name(values["dataset"])), values["space"])
        return cls(**(values | {"space": space}))

    def trainer_config(self, lensing: LensingConfig, point: Point, epochs: int) -> TrainerConfig:
        """The settings of a trial: a point of the space, on what the version's study used.

        Args:
          lensing: the dataset's own config.
          point: one value of each dimension.
          epochs: passes over the training split.

        Raises:
          LensingError: they are impossible.
        """
        settings = self.space.settings(point)
        base = resolve(
            self.dataset,
            self.data_dir,
            lensing,
            model=settings["model"],
            epochs=epochs,
            **self._examples,
        )
        return dataclasses.replace(base, **settings)

    @property
    def _examples(self) -> dict[str, Any]:
        """The settings of all trials that say which examples they see."""
        return {n: getattr(self, n) for n in ("max_examples", "seed", "fresh", "reuse")}

    @property
    def extends_trials(self) -> bool:
        """Says whether a longer trial goes on with a shorter one of the same settings.

        Not where the rate has a schedule: that of the shorter one has ended.
        """
        extremes = {n: d.extremes[0] for n, d in self.space.dimensions().items()}
        recipe = recipe_for(dataset_name(self.dataset), self.space.model(extremes))
        return recipe.schedule == "constant"

    def default_point(self, lensing: LensingConfig) -> Point | None:
        """Places the version's studied settings in the space; None where they are outside.

        Args:
          lensing: the dataset's own config.
        """
        return self.space.locate(self.default_settings(lensing).to_json())

    def default_settings(self, lensing: LensingConfig) -> TrainerConfig:
        """The settings that a trial has if it is the version's default of the space's family.

        Args:
          lensing: the dataset's own config.
        """
        model = trained_recipe(lensing.name, self.space.family, lensing.npix).model
        return resolve(self.dataset, self.data_dir, lensing, model=model, **self._examples)

    def budget(self, **limits: float | None) -> Budget:
        """A budget, with the default number of trials where a search would have no end."""
        if self.tuner != "hyperband" and all(limit is None for limit in limits.values()):
            limits["max_trials"] = _DEFAULT_TRIALS
        return Budget(**limits)  # type: ignore[arg-type]


def read_space(path: str | Path, version: str) -> Space:
    """Reads a space file: a version's space, with what the file changes.

    Args:
      path: JSON; a list of values, {"min": ..., "max": ...} or one value a hyperparameter.
      version: the dataset's name.

    Raises:
      LensingError: the file cannot be read; a hyperparameter is unknown, has no values, or has
        one that no network can be built or trained with.
    """
    values = strict_json.read(str(path))
    if not values:
        raise LensingError(f'{path} holds no space: expected {{"depth": [4, 6], ...}}')
    try:
        return changed(space_for(version), values)
    except LensingError as error:
        raise LensingError(f"{path}: {error}") from error
