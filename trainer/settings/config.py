"""One run's settings: a recipe, applied to a dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_names
from lensing_tfds.task import Task
from lensing_tfds.versions import dataset_name
from trainer.networks import families
from trainer.networks.family import FittedNetwork
from trainer.networks.memory import MemoryEstimate
from trainer.settings.optimization import LARGEST, WEIGHT_DECAY, check_count, check_reuse
from trainer.settings.recipes import (
    FITTED_TAKES,
    Recipe,
    first_trained,
    recipe_for,
    refuse_settings_of_training,
)

BEFORE: dict[str, Any] = {
    "schedule": "constant",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "global_clipnorm": None,
    "minutes": None,
    "precision": "float32",
    "ema_momentum": None,
    "uncertainty": False,
    "patience": None,
    "deterministic": False,
    "fresh": False,
    "reuse": 1,
}
"""Settings that runs made before they existed do not name, with what those runs did."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainerConfig(Recipe):
    """All settings of a run, none left to a default.

    Attributes:
      dataset: "lensing/<name>".
      data_dir: the absolute folder that holds the folder `lensing`.
      max_examples: how many training examples make a pass, the first ones by index; None for as
        many as are stored.
      seed: of the weights, of the order of the examples and of their augmentation.
      augment: whether each training example is turned and mirrored at random.
      uncertainty: whether the errors of the best network's estimates are measured at the end, see
        `trainer.loop.errors`; the network is the same without.
      patience: epochs without a lower validation loss after which a run ends; None for none.
      deterministic: whether the same run gives the same bits on a GPU too, where that is slower.
      fresh: whether the examples are simulated while it trains, and none is seen in two passes: the
        training split's from the end of the stored ones on.
      reuse: how often a fresh sky is seen, each time with noise of its own, and turned or mirrored
        in another way.
    """

    dataset: str
    data_dir: str
    max_examples: int | None = None
    seed: int = 0
    augment: bool = True
    uncertainty: bool = False
    patience: int | None = None
    deterministic: bool = False
    fresh: bool = False
    reuse: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        dataset_name(self.dataset)
        check_count("max_examples", self.max_examples)
        check_count("patience", self.patience)
        check_reuse(self.fresh, self.reuse)
        if not 0 <= self.seed <= LARGEST:
            raise LensingError(f"seed is {self.seed}: must be in [0, 2^31)")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return dataclasses.asdict(self)

    @property
    def taken(self) -> dict[str, Any]:
        """The settings that the network takes: one that is fitted takes few."""
        names = ("model", *FITTED_TAKES, "dataset", "data_dir")
        fitted = families.is_fitted(self.model)
        return {n: v for n, v in self.to_json().items() if n in names or not fitted}

    def examples_per_pass(self, lensing: LensingConfig) -> int:
        """Counts the training examples of a pass.

        Args:
          lensing: the dataset's own config.

        Raises:
          LensingError: more are asked for than are stored.
        """
        if self.fresh and self.max_examples is not None:
            return self.max_examples
        return lensing.number_of_first("train", self.max_examples)

    def memory(self, task: Task) -> MemoryEstimate:
        """Estimates the memory of a training step, without building the network.

        Args:
          task: what goes in and what comes out.
        """
        averaged = self.ema_momentum is not None
        return families.memory(
            self.model, task, self.batch_size, self.optimizer, self.precision, averaged
        )

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrainerConfig:
        """Reads what `to_json` wrote, or wrote before there were the settings of `BEFORE`.

        Raises:
          LensingError: a field is unknown or missing, or its value is impossible.
        """
        values = BEFORE | values
        check_names(cls, values, "not a trainer config")
        return cls(**values)


LENGTHS = ("epochs", "minutes")
"""Settings of which one says how long a run is, and the other is None."""


def resumable(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Names the settings that may change between two sessions of one run.

    Data move, errors are measured later, patience grows, and epochs or minutes are added, unless
    the schedule was made for their number.

    Args:
      settings: the run's, as JSON has them.
    """
    lengths = LENGTHS if settings["schedule"] == "constant" else ()
    return ("data_dir", "uncertainty", "patience", *lengths)


def overridden(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes settings: where the changes say how long a run is, only they do.

    Args:
      settings: fields of `TrainerConfig`, all or some.
      changes: the same, which win.
    """
    lengthens = any(changes.get(name) is not None for name in LENGTHS)
    return {**settings, **(dict.fromkeys(LENGTHS) if lengthens else {}), **changes}


def resolve(dataset: str, data_dir: str, lensing: LensingConfig, **overrides: Any) -> TrainerConfig:
    """Fills in what is not given with what the version's study used.

    Args:
      dataset: "lensing/<name>".
      data_dir: the absolute folder that holds the folder `lensing`.
      lensing: the dataset's own config.
      **overrides: fields of `TrainerConfig`; those that are None take their default.

    Raises:
      LensingError: a value is impossible.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    name = dataset_name(dataset)
    if given.get("fresh") and "model" not in given:  # a network that is fitted wants few examples
        given["model"] = first_trained(name, lensing.npix).model
    recipe = recipe_for(name, given.get("model"), lensing.npix)
    # Where every example lenses the same sky, a mirrored example would show another sky, one that
    # neither validation nor test contains.
    defaults = dataclasses.asdict(recipe) | {"augment": not lensing.fixed_unlensed}
    if (optimizer := given.get("optimizer", recipe.optimizer)) != recipe.optimizer:
        weight_decay = WEIGHT_DECAY if optimizer == "adamw" else 0.0
        defaults |= {"momentum": 0.0, "nesterov": False, "weight_decay": weight_decay}
    network = families.parse(recipe.model)
    refuse_settings_of_training(recipe.model, given)
    if isinstance(network, FittedNetwork):
        defaults |= {"augment": True, "max_examples": network.examples(lensing)}
    return TrainerConfig(dataset=dataset, data_dir=data_dir, **overridden(defaults, given))


def default_workdir(config: TrainerConfig, lensing: LensingConfig) -> str:
    """Names a run's folder: other settings, another folder.

    Args:
      config: the settings.
      lensing: the dataset's own config.

    Returns:
      "runs/<dataset>-<model>", with each setting at its end that is not the study's for that
      model: runs/v8-7x64-3-learning_rate=0.003-seed=2. What may change between two sessions of a
      run (`resumable`) is no part of it, but for whether its length is epochs or minutes.
    """
    study = resolve(config.dataset, config.data_dir, lensing, model=config.model).to_json()
    settings = config.to_json()
    free = resumable(settings)
    changes = [
        f"-{name}={value}"
        for name, value in settings.items()
        if name not in (*free, *LENGTHS) and value != study[name]
    ]
    changes += [
        f"-{name}" if name in free else f"-{name}={settings[name]:g}"
        for name in LENGTHS
        if settings[name] not in (None, study[name]) and not (name in free and study[name])
    ]
    return f"runs/{dataset_name(config.dataset)}-{config.model}{''.join(changes)}"
