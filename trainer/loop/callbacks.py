"""Callbacks of a run: time is taken, a diverged run stops, the state is kept, progress shown."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from lensing_tfds.errors import LensingError
from trainer.loop.input_report import InputReport
from trainer.runs import checkpoints
from trainer.runs.averages import averages_for_weights
from trainer.runs.history import HISTORY, Row, ended_early, last_epoch, row_of, write_history
from trainer.runs.plan import Pace, Plan, duration

_STEPS_BETWEEN_LOSS_CHECKS = 20  # each waits for the device

Logs = dict[str, Any]


class Stopwatch(keras.callbacks.Callback):
    """Adds "seconds" and "examples_per_second" to the epoch's logs, for the callbacks after it.

    Args:
      num_examples: training examples in an epoch, in the mean.
      before: seconds that the first epoch was trained before this session.
    """

    def __init__(self, num_examples: float, before: float = 0.0):
        super().__init__()
        self.num_examples = num_examples
        self._before = before
        self._trained: float | None = None

    @property
    def training(self) -> float:
        """Seconds that the running epoch has been trained."""
        end = time.perf_counter() if self._trained is None else self._trained
        return end - self._begun

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._begun, self._trained = time.perf_counter() - self._before, None
        self._before = 0.0

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        logs["seconds"] = time.perf_counter() - self._begun
        logs["examples_per_second"] = self.num_examples / self.training


class DivergedError(LensingError):
    """The loss of a run is no longer a number: the settings are at fault, not the data."""


class StopOnDivergence(keras.callbacks.Callback):
    """Ends the run when the loss is no longer a number, before any checkpoint is written."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        if batch % _STEPS_BETWEEN_LOSS_CHECKS == 0:
            self._check("loss", logs)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        for name in ("loss", "val_loss"):
            self._check(name, logs)

    def _check(self, name: str, logs: Logs) -> None:
        if not math.isfinite(float(logs[name])):
            raise DivergedError(
                f"{name} became {float(logs[name])} in epoch {self._epoch}: the run diverged; try "
                "a smaller --learning_rate in a new --workdir (earlier epochs are kept)"
            )


class Checkpoints(keras.callbacks.Callback):
    """Keeps the best model, the last model and the history, in this order.

    A run goes on from the checkpoint of the latest epoch: killed between any two writes, it repeats
    or skips nothing.

    Args:
      workdir: the run's folder.
      config: the run's settings, as config.json has them.
      history: the rows of the epochs before this session.
      best: the row of the epoch whose network is kept as the best one; None where there is none.
    """

    def __init__(
        self, workdir: Path, config: dict[str, Any], history: Sequence[Row], best: Row | None
    ):
        super().__init__()
        self.workdir = workdir
        self.config = config
        self.history = list(history)
        self.best = best

    @property
    def epochs(self) -> int:
        """Finished epochs that are kept."""
        return last_epoch(self.history)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self.keep(row_of(epoch + 1, logs))

    def keep(self, row: Row) -> None:
        """Keeps the network as that of an epoch.

        Args:
          row: of the epoch.

        Raises:
          LensingError: a file cannot be written.
        """
        self.history.append(row)
        if self.best is None or row["val_loss"] < self.best["val_loss"]:
            with averages_for_weights(self.model):
                self._save(checkpoints.BEST)
            self.best = row
        self._save(checkpoints.LAST)
        write_history(self.workdir / HISTORY, self.history)
        (self.workdir / checkpoints.RUNNING).unlink(missing_ok=True)  # it is outdated already

    def keep_running(self, running: checkpoints.Running) -> None:
        """Keeps the network at a step of the epoch that has begun.

        Args:
          running: the epoch.

        Raises:
          LensingError: the file cannot be written; the one before is kept.
        """
        self._save(checkpoints.RUNNING, running)

    def _save(self, name: str, running: checkpoints.Running | None = None) -> None:
        record = checkpoints.Record(self.config, tuple(self.history), running=running)
        checkpoints.save(self.model, self.workdir / name, record)


class StopEarly(keras.callbacks.Callback):
    """Ends a run whose validation loss does not fall any more.

    How long it has not is read from the history, so that a run that goes on counts as one that was
    never interrupted.

    Args:
      kept: keeps the history, and is called before.
      patience: epochs without a lower loss; None for any number.
    """

    def __init__(self, kept: Checkpoints, patience: int | None):
        super().__init__()
        self._kept = kept
        self._patience = patience

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if ended_early(self._kept.history, self._patience):
            self.model.stop_training = True


class Progress(keras.callbacks.Callback):
    """Prints one line an epoch, and on a terminal the running epoch's steps.

    Args:
      plan: of the whole run.
      validation: seconds that the validation split takes.
      report: prints a line.
      live: whether to show the running epoch on standard output.
      correlation: of the last validation before this session; None before the first.
      taken: steps of the first epoch that were taken before this session.
      input_report: says whether simulation keeps up; None where nothing is simulated.
    """

    def __init__(
        self,
        plan: Plan,
        validation: float,
        report: Callable[[str], None],
        live: bool,
        correlation: float | None = None,
        taken: int = 0,
        input_report: InputReport | None = None,
    ):
        super().__init__()
        self._next_taken = taken
        self.plan = plan
        self.validation = validation
        self.report = report
        self.live = live
        self.correlation = correlation
        self._input = input_report
        self._input_noted = ""
        self._shown = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch + 1
        self._taken, self._next_taken = self._next_taken, 0
        self._begun = time.monotonic()
        self._starting = self._stepping = 0.0  # seconds of the first step, and of all others
        if self._input is not None:
            self._input.begin()

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        now, steps = time.monotonic(), self.plan.steps_per_epoch
        if batch == 0:
            self._starting = now - self._begun
        self._stepping = now - self._begun - self._starting
        if self.live and now - self._shown > 0.5:
            self._shown = now
            pace = Pace((now - self._begun) / (batch + 1), self.validation)
            epochs = self.plan.epochs - self._epoch + 1
            step = self._taken + batch + 1
            left = pace.step * (epochs * steps - step) + pace.validation * epochs
            known = self.correlation
            validated = "" if known is None else f"  last val_correlation {known:.3f}"
            print(
                f"\r{self._title()}  step {step}/{steps}  loss {float(logs['loss']):.4f}"
                f"{validated}{self._input_words()}  {duration(left)} left",
                end="\033[K",  # the rest of an older, longer line
                flush=True,
            )

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._input_noted = self._input_words()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.live:
            print("\r\033[K", end="")
        self.correlation = float(logs["val_map_correlation"])
        seconds = logs["seconds"]
        # Functions are traced in a session's first step.
        if (others := self.plan.steps_per_epoch - self._taken - 1) > 0:
            seconds += self._stepping / others - self._starting
        left = seconds * (self.plan.epochs - self._epoch)
        self.report(
            f"{self._title()}  loss {logs['loss']:.4f}  val_loss {logs['val_loss']:.4f}"
            f"  correlation {logs['map_correlation']:.3f}"
            f"  val_correlation {logs['val_map_correlation']:.3f}"
            f"  {logs['examples_per_second']:,.0f} examples/s{self._input_noted}"
            f"  {duration(left)} left"
        )

    def _input_words(self) -> str:
        return "" if self._input is None else self._input.words()

    def _title(self) -> str:
        return f"epoch {self._epoch}/{self.plan.epochs}"
