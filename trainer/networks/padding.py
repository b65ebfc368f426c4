"""Padding of periodic maps: what lies beyond an edge is what lies at the opposite one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="lensing_tfds")
class ActivateAndWrap(keras.layers.Layer):
    """Applies an activation, then continues maps periodically.

    Both in one layer: of the activation's own output a training step keeps nothing.

    Args:
      before: rows and columns added before the first.
      after: rows and columns added behind the last.
      activation: Keras's name of a function of one pixel; None for none.
      **options: Keras's own.
    """

    def __init__(self, before: int, after: int, activation: str | None = None, **options: Any):
        super().__init__(**options)
        self.before, self.after = before, after
        self.activation = activation

    def call(self, maps: Any) -> Any:
        maps = keras.activations.get(self.activation)(maps)
        for axis in (1, 2):
            first, last = ([slice(None)] * 4 for _ in range(2))
            first[axis] = slice(0, self.after)
            last[axis] = slice(maps.shape[axis] - self.before, None)
            parts = [maps[tuple(last)], maps, maps[tuple(first)]]
            maps = ops.concatenate([part for part in parts if part.shape[axis]], axis=axis)
        return maps

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sides, channels = input_shape
        more = self.before + self.after
        return (batch, *(None if side is None else side + more for side in sides), channels)

    def get_config(self) -> dict[str, Any]:
        own = {"before": self.before, "after": self.after, "activation": self.activation}
        return super().get_config() | own
