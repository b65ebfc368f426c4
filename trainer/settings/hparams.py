"""A file of hyperparameters: what a search found, or what a person wrote, for the trainer to use.

    {"hyperparameters": {"model": "6x64-3", "optimizer": "adam", "learning_rate": 0.001, ...},
     "found": {"dataset": "lensing/v8", "trial": "0007", "val_loss": ..., ...}}

"hyperparameters" holds fields of `TrainerConfig`, as many as one likes. "found", by which a
retrained network is compared with the trial, may be missing, as may the release that wrote it.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from lensing_tfds import strict_json
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_types, checked
from lensing_tfds.records.storage import replacing
from lensing_tfds.release import stamped, unstamped
from lensing_tfds.versions import dataset_name
from trainer.settings.config import TrainerConfig, overridden, resolve
from trainer.settings.recipes import refuse_settings_of_training

# What the file may set: all but the dataset, which the command names.
FIELDS = tuple(
    field.name
    for field in dataclasses.fields(TrainerConfig)
    if field.name not in ("dataset", "data_dir")
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoundTrial:
    """The trial that hyperparameters are from.

    Attributes:
      dataset: "lensing/<name>", what was searched on.
      workdir: the search's folder.
      trial: its number there.
      objective: "val_loss" or "val_map_correlation", by which it is the best.
      epoch: in which it was.
      val_loss: of that epoch, as the next.
      val_map_correlation: over all pixels of the validation split.
      dataset_fingerprint: of the dataset searched on, as `fingerprint` gives it; None in files of
        searches that did not write it.
    """

    dataset: str
    workdir: str
    trial: str
    objective: str
    epoch: int
    val_loss: float
    val_map_correlation: float
    dataset_fingerprint: str | None = None

    def __post_init__(self) -> None:
        check_types(self)

    @classmethod
    def from_json(cls, values: Any) -> FoundTrial:
        """Reads what `dataclasses.asdict` gives.

        Raises:
          LensingError: a field is unknown or missing, or of another type.
        """
        fields = [field.name for field in dataclasses.fields(cls)]
        optional = {"dataset_fingerprint"}
        if not isinstance(values, dict) or set(fields) - optional != values.keys() - optional:
            raise LensingError(f'"found" is {values}: must have exactly {", ".join(fields)}')
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class HParams:
    """Some of a run's settings, and where they are from.

    Attributes:
      values: fields of `TrainerConfig`.
      found: the trial; None where a person wrote them.
    """

    values: dict[str, Any]
    found: FoundTrial | None = None

    def __post_init__(self) -> None:
        for name in self.values:
            if name not in FIELDS:
                raise LensingError(
                    f"unknown hyperparameter {name!r}: known are {', '.join(FIELDS)}"
                )
        values = {name: checked(TrainerConfig, name, v) for name, v in self.values.items()}
        object.__setattr__(self, "values", values)

    def resolve(
        self, dataset: str, data_dir: str, lensing: LensingConfig, **overrides: Any
    ) -> TrainerConfig:
        """Fills in what is not given with the version's recipe, as `trainer.settings.config`.

        Args:
          dataset: "lensing/<name>".
          data_dir: the absolute folder that holds the folder `lensing`.
          lensing: the dataset's own config.
          **overrides: fields that win over the file's; those that are None do not.

        Raises:
          LensingError: a value is impossible.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        values = overridden(self.values, given)
        named = {name: values.get(name) for name in ("model", "optimizer", "fresh")}
        base = resolve(dataset, data_dir, lensing, **named)
        refuse_settings_of_training(base.model, {**self.values, **given})
        # Not `resolve` for all: a value of None, as of clipnorm, is a value here.
        return TrainerConfig(**overridden(base.to_json(), values))


def read_hparams(path: str | Path) -> HParams:
    """Reads a file of hyperparameters.

    Raises:
      LensingError: it cannot be read, or holds something else.
    """
    if Path(path).is_dir():
        raise LensingError(f"{path} is a folder: name a file, as {path}/best_hyperparameters.json")
    try:
        content = unstamped(strict_json.read(str(path)))
        if not isinstance(content.get("hyperparameters"), dict):
            raise LensingError('expected {"hyperparameters": {...}}')
        if unknown := sorted(content.keys() - {"hyperparameters", "found"}):
            raise LensingError(f"unknown {unknown}")
        found = content.get("found")
        trial = None if found is None else FoundTrial.from_json(found)
        return HParams(content["hyperparameters"], trial)
    except LensingError as error:
        if not Path(path).is_file():
            raise
        raise LensingError(f"{path} holds no hyperparameters: {error}") from error


def write_hparams(path: Path, hparams: HParams) -> None:
    """Writes a file that `read_hparams` reads.

    Raises:
      LensingError: it cannot be written.
    """
    content: dict[str, Any] = {"hyperparameters": hparams.values}
    if hparams.found is not None:
        content["found"] = dataclasses.asdict(hparams.found)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(stamped(content), indent=2) + "\n", encoding="utf-8")


def name_of_dataset(hparams: HParams | None) -> str | None:
    """The dataset that hyperparameters were found on; None where that is not known.

    Raises:
      LensingError: it is no lensing dataset.
    """
    if hparams is None or hparams.found is None:
        return None
    dataset_name(hparams.found.dataset)
    return hparams.found.dataset


def fingerprint(lensing: LensingConfig, dataset_version: str) -> str:
    """Returns a digest of all that decides a dataset's examples.

    Args:
      lensing: the dataset's own config.
      dataset_version: of its data.
    """
    return strict_json.digest([lensing.to_json(), dataset_version])[:16]


def compared(
    found: FoundTrial, val_loss: float, val_map_correlation: float, dataset_fingerprint: str
) -> str:
    """One line: the validation score of a run beside that of the trial.

    Args:
      found: the trial.
      val_loss: of the run's best epoch, as the next.
      val_map_correlation: over all pixels of the validation split.
      dataset_fingerprint: of the dataset that the run was trained on; the line says where the
        trial's was another.
    """
    note = ""
    if found.dataset_fingerprint not in (None, dataset_fingerprint):
        note = "; not comparable: the trial's dataset had another config, seed or version"
    return (
        f"validation: val_loss {val_loss:.4f} (trial {found.trial} of {found.workdir}: "
        f"{found.val_loss:.4f}), val_map_correlation {val_map_correlation:.4f} "
        f"({found.val_map_correlation:.4f}){note}"
    )
