"""The settings of a run, in its config.json and in each of its checkpoints."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lensing_tfds import strict_json
from lensing_tfds.config_differences import differences
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_types
from lensing_tfds.records.storage import replacing
from lensing_tfds.release import stamped, unstamped
from trainer.data.source import STREAM
from trainer.networks import families
from trainer.runs.plan import Plan
from trainer.settings.config import BEFORE, LENGTHS, TrainerConfig, resumable

CONFIG = "config.json"

SEARCH = "search.json"
"""Name of the file that a search's folder is known by: it is no run's, see `tuning.trials`."""

TRAIN_AGAIN = "run the command that trained it again, which repairs what can be repaired"
"""Advice for a damaged run's folder."""

_BEFORE: dict[str, Any] = {**BEFORE, "plan": None, "stream": 1, "cores": None}  # see BEFORE


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """All that decides what a run computes, as config.json holds it.

    Attributes:
      trainer: the settings.
      lensing: the config of the dataset.
      dataset_version: the version of its data: another one holds other examples.
      plan: the steps that the minutes of the settings were found to hold; None where epochs decide,
        and of a network that is fitted.
      stream: the definition of the order and the augmentation of its examples.
      cores: that computed its first step, on others of which sums round otherwise; None of a run of
        an earlier release, and of a network that is fitted.
    """

    trainer: TrainerConfig
    lensing: LensingConfig
    dataset_version: str
    plan: Plan | None = None
    stream: int = STREAM
    cores: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        needed = self.trainer.minutes is not None and not families.is_fitted(self.trainer.model)
        if (self.plan is not None) != needed:
            raise LensingError(f"minutes is {self.trainer.minutes} and plan is {self.plan}")

    def to_json(self) -> dict[str, Any]:
        """The trainer's fields, and what is known of the dataset and the plan beside them."""
        return self.trainer.to_json() | {
            "lensing": self.lensing.to_json(),
            "dataset_version": self.dataset_version,
            "plan": None if self.plan is None else dataclasses.asdict(self.plan),
            "stream": self.stream,
            "cores": self.cores,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunConfig:
        """Reads what `to_json` gives.

        Raises:
          LensingError: a field is unknown or missing, or its value is impossible.
        """
        try:
            settings = _BEFORE | unstamped(values)
            lensing, version = (settings.pop(name) for name in ("lensing", "dataset_version"))
            found, stream, cores = (settings.pop(name) for name in ("plan", "stream", "cores"))
            plan = None if found is None else Plan(**found)
            trainer = TrainerConfig.from_json(settings)
            return cls(trainer, LensingConfig.from_json(lensing), version, plan, stream, cores)
        except KeyError as error:
            raise LensingError(f"{error} is missing") from error
        except (TypeError, AttributeError) as error:
            raise LensingError(str(error)) from error


def settings_changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Names what differs between two runs' settings, of those that make another run.

    Args:
      old: as config.json has them.
      new: the same.

    Returns:
      A phrase for an error message, empty if they are one run's.
    """
    sides = [_BEFORE | unstamped(side) for side in (old, new)]
    free = {*resumable(sides[0]), "cores"}
    lensing = [side.pop("lensing", {}) for side in sides]
    plans = [side.pop("plan") or {} for side in sides]
    if len({side["minutes"] is None for side in sides}) > 1:
        free, plans = free - set(LENGTHS), [{}, {}]  # epochs of another kind
    elif "minutes" in free:  # there may be more epochs, but each as long
        plans = [{k: v for k, v in plan.items() if k != "epochs"} for plan in plans]
    fixed = [{k: v for k, v in side.items() if k not in free} for side in sides]
    return "; ".join(filter(None, map(differences, *zip(fixed, lensing, plans, strict=True))))


def read_config(workdir: Path) -> RunConfig | None:
    """Reads config.json; None where there is none.

    Raises:
      LensingError: the file is not a run's config.
    """
    path = workdir / CONFIG
    if not path.exists():
        return None
    try:
        values = strict_json.read(str(path))
        if isinstance(values, dict) and "scaling" in values:
            raise _OldRunError(
                f"the run in {workdir} was made before networks took µK, and is not read any more: "
                "train again in another folder"
            )
        return RunConfig.from_json(values)
    except _OldRunError:
        raise
    except LensingError as error:
        raise LensingError(f"{path} is not a run's config: {error} ({TRAIN_AGAIN})") from error


class _OldRunError(LensingError):
    """The run is of an older version of the trainer."""


def write_config(workdir: Path, config: RunConfig) -> None:
    """Writes config.json.

    Raises:
      LensingError: it cannot be written.
    """
    with replacing(workdir / CONFIG) as temporary:
        text = json.dumps(stamped(config.to_json()), indent=2)
        temporary.write_text(f"{text}\n", encoding="utf-8")
