"""Moving averages of the weights: what is validated and kept as the best, where a run has them.

Keras's optimizers keep them among their own variables. Where the network has the averages for its
weights, the optimizer has the weights in their place: a file of either kind holds both, and
nothing is rounded on the way there and back, as it is by `keras.callbacks.SwapEMAWeights`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras


def swap_averages(model: keras.Model) -> None:
    """Exchanges weights and averages; nothing where there are none, as before the first step."""
    optimizer = getattr(model, "optimizer", None)  # a network that is fitted has none
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a loss scale
    if optimizer is None or not optimizer.use_ema or int(optimizer.iterations) == 0:
        return
    pairs = list(
        zip(model.trainable_variables, optimizer._model_variables_moving_average, strict=True)
    )
    values = [[keras.ops.convert_to_numpy(variable) for variable in pair] for pair in pairs]
    for (weights, average), (old_weights, old_average) in zip(pairs, values, strict=True):
        weights.assign(old_average)
        average.assign(old_weights)


@contextlib.contextmanager
def averages_for_weights(model: keras.Model) -> Iterator[None]:
    """Gives a model the averages for its weights, where there are any, within the block."""
    swap_averages(model)
    try:
        yield
    finally:
        swap_averages(model)


class ValidateAverages(keras.callbacks.Callback):
    """Validates the averages, where there are any; training goes on with the weights."""

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        swap_averages(self.model)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        swap_averages(self.model)
