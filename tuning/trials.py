"""A search's folder, read: its settings and its trials, running or finished.

search.json                 SearchConfig, with the dataset's own config and data version
best_hyperparameters.json   for python -m trainer --hparams
report.html                 the leaderboard, by python -m tuning.report
trials/oracle.json          Keras Tuner's state
trials/trial_0000/          one a trial:
  trial.json                Keras Tuner's: hyperparameters and status
  run/                      the trainer's folder of a run, see `trainer.runs.run`
  failure.txt               why it failed: one line, then the traceback

search.json, oracle.json and trial.json are sealed and have copies, see `tuning.sealed_json`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from trainer.runs.checkpoints import read_epochs
from trainer.runs.history import Row
from trainer.runs.run_config import SEARCH
from trainer.settings.config import TrainerConfig
from trainer.settings.hparams import FIELDS, FoundTrial, HParams, fingerprint
from tuning import sealed_json
from tuning.config import OBJECTIVES, SearchConfig

ORACLE, TRIAL = "oracle.json", "trial.json"


@dataclasses.dataclass(frozen=True)
class SearchRecord:
    """A search's settings and its dataset, as search.json has them.

    Attributes:
      config: the search's settings.
      lensing: the config of its dataset.
      dataset_version: the version of that dataset's data.
    """

    config: SearchConfig
    lensing: LensingConfig
    dataset_version: str

    def to_json(self) -> dict[str, Any]:
        """The search's fields, and what is known of the dataset beside them."""
        return self.config.to_json() | {
            "lensing": self.lensing.to_json(),
            "dataset_version": self.dataset_version,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SearchRecord:
        """Reads what `to_json` gives.

        Raises:
          LensingError: a field is unknown or missing, or its value is impossible.
        """
        search = dict(values)
        try:
            lensing, version = search.pop("lensing"), search.pop("dataset_version")
            return cls(SearchConfig.from_json(search), LensingConfig.from_json(lensing), version)
        except (KeyError, TypeError, AttributeError) as error:
            raise LensingError(f"not a search's config: {error!r}") from error


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """One trial.

    Attributes:
      number: as "0007".
      status: "RUNNING" (also of a search that was stopped), "COMPLETED" or "FAILED".
      settings: the trainer's.
      began_after: epochs that it took over from the trial `parent`.
      parent: the trial that it goes on with; None for a new network.
      history: the rows of its epochs, those that it took over included.
      failure: one line, where it failed.
    """

    number: str
    status: str
    settings: TrainerConfig
    began_after: int
    parent: str | None
    history: list[Row]
    failure: str | None

    def best(self, objective: str) -> Row | None:
        """The row of its best epoch; None before the first."""
        if not self.history:
            return None
        choose = min if OBJECTIVES[objective] == "min" else max
        return choose(self.history, key=lambda row: row[objective])

    @property
    def seconds(self) -> float:
        """Time of its own epochs."""
        return sum(row["seconds"] for row in self.history if row["epoch"] > self.began_after)

    @property
    def own_epochs(self) -> int:
        """Epochs that it trained itself."""
        return sum(row["epoch"] > self.began_after for row in self.history)

    @property
    def title(self) -> str:
        """Its settings in a few words."""
        s = self.settings
        return (
            f"{s.model} {s.optimizer} {s.learning_rate:g} batch {s.batch_size}"
            f"{'' if s.augment else ' not augmented'}"
        )


def project(workdir: Path) -> Path:
    """Keras Tuner's folder in a search's."""
    return workdir / "trials"


def trial_folder(workdir: Path, number: str) -> Path:
    """The folder of a trial in a search's."""
    return project(workdir) / f"trial_{number}"


def run_folder(trial_folder: Path) -> Path:
    """The folder of a trial's run."""
    return trial_folder / "run"


def failure_file(trial_folder: Path) -> Path:
    """The file that says why a trial failed."""
    return trial_folder / "failure.txt"


def read_search(workdir: Path) -> SearchRecord | None:
    """Reads search.json; None where there is none.

    Raises:
      LensingError: the file is not a search's config.
    """
    values = sealed_json.read(workdir / SEARCH)
    return None if values is None else SearchRecord.from_json(values)


def load_search(workdir: Path) -> SearchRecord:
    """Reads search.json.

    Raises:
      LensingError: there is none, or it is not a search's config.
    """
    record = read_search(workdir)
    if record is None:
        raise LensingError(
            f"{workdir} holds no search (no search.json): begin one with python -m tuning"
        )
    return record


def write_search(workdir: Path, record: SearchRecord) -> None:
    """Writes search.json.

    Raises:
      LensingError: it cannot be written.
    """
    sealed_json.write(workdir / SEARCH, record.to_json())


def read_trials(workdir: Path, record: SearchRecord) -> list[Trial]:
    """Reads all trials, by number.

    Raises:
      LensingError: a file is damaged, or a trial that was begun is missing.
    """
    files = project(workdir).glob("trial_*/*trial.json*")
    numbers = {path.parent.name.removeprefix("trial_") for path in files}
    oracle = sealed_json.read(project(workdir) / ORACLE)
    if oracle is not None:
        numbers |= set(oracle["start_order"])
    return [read_trial(trial_folder(workdir, number), record) for number in sorted(numbers)]


def read_trial(folder: Path, record: SearchRecord) -> Trial:
    """Reads one trial's folder.

    Raises:
      LensingError: a file is damaged.
    """
    state = sealed_json.read(folder / TRIAL)
    if state is None:
        raise LensingError(
            f"{folder / TRIAL} is missing: restore the folder, or --overwrite to start anew"
        )
    try:
        values = state["hyperparameters"]["values"]
        point = {name: values[name] for name in record.config.space.dimensions()}
        epochs = values.get("tuner/epochs", record.config.max_epochs)
        extends = record.config.extends_trials
        trial = Trial(
            number=state["trial_id"],
            status=state["status"],
            settings=record.config.trainer_config(record.lensing, point, epochs),
            began_after=values.get("tuner/initial_epoch", 0) if extends else 0,
            parent=values.get("tuner/trial_id") if extends else None,
            history=read_epochs(run_folder(folder)),
            failure=_failure(folder) if state["status"] == "FAILED" else None,
        )
    except (KeyError, TypeError) as error:
        raise LensingError(f"{folder / TRIAL} is not a trial of the search: {error!r}") from error
    if trial.status == "COMPLETED" and not trial.history:
        raise LensingError(
            f"{run_folder(folder)} has lost its epochs: restore the folder, or --overwrite to "
            "start anew"
        )
    return trial


def _failure(folder: Path) -> str:
    path = failure_file(folder)
    if not path.exists():  # Keras Tuner itself fails a trial only for its score
        return "its objective is not a number"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[0] if lines else f"{path} is empty"


def ranked(trials: list[Trial], objective: str) -> list[Trial]:
    """The completed trials, best first."""
    scored = [
        (row[objective], trial)
        for trial in trials
        if trial.status == "COMPLETED" and (row := trial.best(objective)) is not None
    ]
    scored.sort(key=lambda pair: pair[0], reverse=OBJECTIVES[objective] == "max")
    return [trial for _, trial in scored]


def best_hyperparameters(workdir: Path, record: SearchRecord, trial: Trial) -> HParams:
    """Collects a trial's settings and scores, for `python -m trainer --hparams`."""
    row = trial.best(record.config.objective)
    assert row is not None, "an unfinished trial is not the best"
    settings = trial.settings.to_json()
    return HParams(
        {name: settings[name] for name in FIELDS},
        FoundTrial(
            dataset=record.config.dataset,
            workdir=str(workdir),
            trial=trial.number,
            objective=record.config.objective,
            epoch=int(row["epoch"]),
            val_loss=row["val_loss"],
            val_map_correlation=row["val_map_correlation"],
            dataset_fingerprint=fingerprint(record.lensing, record.dataset_version),
        ),
    )
