"""The pace of a network on this machine, measured in real steps that leave no trace in it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from trainer.plan import Pace

_FEWEST_STEPS = 2


def measure_pace(
    model: keras.Model,
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
    seconds: float,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Pace:
    """Measures a network's training and validation; its weights and optimizer are as before.

    Args:
      model: compiled.
      training: batches, at least one.
      validation: the batches of the validation split.
      seconds: to spend on either, or a little more.
      callbacks: called too.
    """
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    variables = [*model.variables, *optimizer.variables]
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    try:
        for limit in (0.0, seconds):  # first, functions are traced and threads are started
            clock = _Clock(limit)
            model.fit(training, shuffle=False, verbose=0, callbacks=[clock, *callbacks])
            step = clock.seconds_per_step
        for limit in (0.0, seconds):
            clock = _Clock(limit)
            model.evaluate(validation, verbose=0, callbacks=[clock, *callbacks])
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
    return Pace(step, clock.seconds_per_step * int(validation.cardinality()))


class _Clock(keras.callbacks.Callback):
    """Times steps until its time is over, and ends them then."""

    def __init__(self, seconds: float):
        super().__init__()
        self._limit = seconds
        self._steps = 0
        self._begun = 0.0
        self.seconds_per_step = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begun = time.perf_counter()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        self.model.stop_training = self._over(logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        self.model.stop_evaluating = self._over(logs)

    def _over(self, logs: dict[str, Any]) -> bool:
        self._steps += 1
        float(logs["loss"])  # waits for the device
        spent = time.perf_counter() - self._begun
        self.seconds_per_step = spent / self._steps
        return spent >= self._limit and self._steps >= _FEWEST_STEPS
