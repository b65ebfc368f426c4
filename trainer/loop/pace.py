"""The pace of a network on this machine, measured in real steps that leave no trace in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from trainer.data.batches import Batches, for_keras
from trainer.runs.plan import Pace

_FEWEST_STEPS = 2


def measure_pace(
    model: keras.Model,
    training: Batches,
    validation: Batches,
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

    def fit(clock: _Clock) -> None:
        with for_keras(training) as (batches,):
            model.fit(batches, shuffle=False, verbose=0, callbacks=[clock, *callbacks])

    def evaluate(clock: _Clock) -> None:
        with for_keras(validation) as (batches,):
            model.evaluate(batches, verbose=0, callbacks=[clock, *callbacks])

    try:
        step, tracing = _timed(fit, seconds)
        batch, tracing_validation = _timed(evaluate, seconds)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
    return Pace(step, batch * len(validation), tracing + tracing_validation)


def _timed(run: Callable[[_Clock], None], seconds: float) -> tuple[float, float]:
    """Seconds of a step, and how many more the first ones take, in which functions are traced."""
    first, clock = _Clock(0.0), _Clock(seconds)
    begun = time.perf_counter()
    run(first)
    spent = time.perf_counter() - begun
    run(clock)
    return clock.seconds_per_step, max(0.0, spent - first.steps * clock.seconds_per_step)


class _Clock(keras.callbacks.Callback):
    """Times steps until its time is over, and ends them then."""

    def __init__(self, seconds: float):
        super().__init__()
        self._limit = seconds
        self.steps = 0
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
        self.steps += 1
        float(logs["loss"])  # waits for the device
        spent = time.perf_counter() - self._begun
        self.seconds_per_step = spent / self.steps
        return spent >= self._limit and self.steps >= _FEWEST_STEPS
