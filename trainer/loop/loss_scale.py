"""Steps that float16 leaves out, because its scaled loss has gradients that are not finite.

The scale begins at 2^15 and is halved with each such step. Some at the beginning are usual.
"""

from __future__ import annotations

from collections.abc import Callable

import keras

from trainer.loop.callbacks import DivergedError, Logs

_HOPELESS = 40
"""Steps left out one after the other: 2^15 less 40 halvings is below 2^-24, float16's smallest
number, so that it is not the scale that makes their gradients infinite."""

_STEPS_BETWEEN_CHECKS = 20  # each waits for the device


class LeftOutSteps(keras.callbacks.Callback):
    """Says how many steps of an epoch were left out, and ends a run that takes none any more.

    Args:
      report: prints a line.
    """

    def __init__(self, report: Callable[[str], None]):
        super().__init__()
        self._report = report
        self._taken = self._since = 0  # since the last one that was seen to be taken

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._taken, self._since = self._iterations(), 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch + 1
        self._steps, self._before = 0, self._iterations()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._steps += 1
        self._since += 1
        if self._steps % _STEPS_BETWEEN_CHECKS == 0:
            self._refuse_hopeless()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._refuse_hopeless()
        left_out = self._steps - (self._taken - self._before)
        if left_out:
            self._report(
                f"epoch {self._epoch}: {left_out} of {self._steps} steps were left out, whose "
                "gradients float16 cannot hold"
            )

    def _refuse_hopeless(self) -> None:
        taken = self._iterations()
        if taken > self._taken:
            self._taken, self._since = taken, 0
        if self._since >= _HOPELESS:
            raise DivergedError(
                f"no step of the last {self._since} in epoch {self._epoch} was taken: their "
                "gradients are not finite in float16, however the loss is scaled; try --precision "
                "bfloat16 or a smaller --learning_rate in a new --workdir (earlier epochs are kept)"
            )

    def _iterations(self) -> int:
        return int(self.model.optimizer.iterations)
