"""The running epoch, kept at a step, so that a run which is killed or stopped loses little of it.

Kept is what the rest of the epoch depends on: network and optimizer, whose iterations say where the
learning rate's course and the data stand, and the state of the epoch's metrics. An epoch that goes
on from there equals one that was never interrupted.
"""

from __future__ import annotations

import time

import keras
import numpy as np

from lensing_tfds.errors import LensingError
from trainer.loop.callbacks import Checkpoints, DivergedError, Logs, Stopwatch
from trainer.loop.interruption import Signals
from trainer.runs.averages import averages_for_weights
from trainer.runs.checkpoints import Running

_SECONDS = 600.0  # that a kill loses at most, unless somebody says how many steps


def refuse_beyond_epoch(save_every: int | None, steps_per_epoch: int) -> None:
    """Makes sure that an epoch, at whose end all is kept anyway, is not shorter.

    Raises:
      LensingError: it is.
    """
    if save_every is not None and save_every > steps_per_epoch:
        raise LensingError(
            f"save_every is {save_every}: an epoch has {steps_per_epoch} steps, and its end is "
            f"kept anyway; give at most {steps_per_epoch}, or leave it out"
        )


class RunningEpoch(keras.callbacks.Callback):
    """Keeps the running epoch now and then, and when the process is asked to end.

    Args:
      kept: keeps the finished epochs.
      stopwatch: times the epoch.
      signals: that ask the process to end; who obeys them is called after this.
      every: steps of an epoch from one time to the next; None for ten minutes.
      resumed: the epoch that goes on; None where one begins.
    """

    def __init__(
        self,
        kept: Checkpoints,
        stopwatch: Stopwatch,
        signals: Signals,
        every: int | None,
        resumed: Running | None,
    ):
        super().__init__()
        self._files = kept
        self._stopwatch = stopwatch
        self._signals = signals
        self._every = every
        self._resumed = resumed
        self._metrics: tuple[float, ...] = ()
        self._steps = self._saved = 0 if resumed is None else resumed.steps
        self._saved_at = time.monotonic()

    @property
    def saved(self) -> int:
        """Steps of the running epoch that are kept."""
        return self._saved

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._resumed is not None:
            variables = self.model.metrics_variables
            for variable, value in zip(variables, self._resumed.metrics, strict=True):
                variable.assign(value)
            self._resumed = None

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._steps += 1
        if self._every is None:
            due = time.monotonic() - self._saved_at > _SECONDS
        else:
            due = self._steps % self._every == 0
        if due or self._signals.asked:
            self._note_metrics()
            self._save()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._note_metrics()  # before they count validation

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._signals.asked and self._saved < self._steps:
            with averages_for_weights(self.model):  # back: validated are the averages
                self._save()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._steps = self._saved = 0
        self._saved_at = time.monotonic()

    def _note_metrics(self) -> None:
        variables = self.model.metrics_variables
        self._metrics = tuple(keras.ops.convert_to_numpy(v).item() for v in variables)

    def _save(self) -> None:
        values = [keras.ops.convert_to_numpy(variable) for variable in self.model.variables]
        if not all(np.isfinite(value).all() for value in (*values, np.array(self._metrics))):
            raise DivergedError(
                f"the network is no longer finite after step {self._steps} of the epoch: the run "
                "diverged; try a smaller --learning_rate in a new --workdir (what was kept "
                "earlier still is)"
            )
        running = Running(self._steps, self._metrics, self._stopwatch.training)
        self._files.keep_running(running)
        self._saved, self._saved_at = self._steps, time.monotonic()
