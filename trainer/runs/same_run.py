"""Refusals to go on with a run by other settings, other data or another order of examples."""

from __future__ import annotations

from pathlib import Path

import keras

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.stored_dataset import StoredDataset
from trainer.data.source import STREAM
from trainer.runs.resume import Stopped
from trainer.runs.run_config import RunConfig, settings_changed
from trainer.settings.config import TrainerConfig


def refuse_changes(
    old: RunConfig, config: TrainerConfig, lensing: LensingConfig, workdir: Path
) -> None:
    """Makes sure that a run goes on with settings that it may go on with.

    Args:
      old: what it was made with.
      config: the settings that are asked for now.
      lensing: the config of the dataset that is asked for now.
      workdir: the run's folder.

    Raises:
      LensingError: others make another run.
    """
    wanted = old.to_json() | config.to_json() | {"lensing": lensing.to_json()}
    if changed := settings_changed(old.to_json(), wanted):
        raise LensingError(
            f"{workdir} holds a run with other settings: {changed} "
            f"(name another --workdir, or the settings it was made with{_why(old.trainer, config)})"
        )


def refuse_other_stream(stopped: Stopped) -> None:
    """Makes sure that a run goes on with the batches that it would have had.

    Raises:
      LensingError: it was begun by a release whose order and augmentation were others.
    """
    if stopped.config.stream != STREAM:
        raise LensingError(
            f"the run in {stopped.workdir} was begun by another release, which shuffles and turns "
            "the examples otherwise: finish it with that, or train in another --workdir"
        )


def _why(old: TrainerConfig, new: TrainerConfig) -> str:
    """Says why a run's length cannot change, where that is asked for."""
    if (old.epochs, old.minutes) == (new.epochs, new.minutes):
        return ""
    if old.schedule != "constant":
        return f"; its {old.schedule} schedule ends with it"
    if (old.minutes is None) != (new.minutes is None):
        return "; an epoch of minutes is no pass over the training split"
    return ""


def refuse_other_steps(
    model: keras.Model, stopped: Stopped, steps: int, stored: StoredDataset
) -> None:
    """Makes sure that the dataset gives as many batches as when the checkpoint was written.

    Args:
      model: the checkpoint's.
      stopped: the run.
      steps: of an epoch, now.
      stored: of the dataset.

    Raises:
      LensingError: it does not.
    """
    path, epochs = stopped.workdir / stopped.name, stopped.record.epoch
    of_running = 0 if stopped.record.running is None else stopped.record.running.steps
    taken, skips = int(model.optimizer.iterations), hasattr(model.optimizer, "inner_optimizer")
    expected = epochs * steps + of_running
    if (taken != expected and not (skips and taken < expected)) or of_running > steps:
        raise LensingError(
            f"{path} is of {taken - of_running} steps in {epochs} epochs"
            f"{f' and {of_running} more' if of_running else ''}, but an epoch has {steps} steps "
            f"now: {stored.data_path} is not what the run was trained on"
        )
