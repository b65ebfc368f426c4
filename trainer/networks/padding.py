"""Padding of periodic maps: what lies beyond an edge is what lies at the opposite one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_SIDES = (1, 2)  # axes of (n, npix, npix, channels)


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
        return wrapped(keras.activations.get(self.activation)(maps), self.before, self.after)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sides, channels = input_shape
        more = self.before + self.after
        return (batch, *(None if side is None else side + more for side in sides), channels)

    def get_config(self) -> dict[str, Any]:
        own = {"before": self.before, "after": self.after, "activation": self.activation}
        return super().get_config() | own


def wrapped(maps: Any, before: int, after: int) -> Any:
    """Continues maps periodically, with a gradient that copies them once an axis.

    That of slices, as a backend derives it, makes a map of zeros of each of them.

    Args:
      maps: (n, npix, npix, channels).
      before: rows and columns added before the first.
      after: rows and columns added behind the last.
    """
    overlap = min(maps.shape[axis] for axis in _SIDES) < before + after  # of what is added
    if overlap or keras.backend.is_keras_tensor(maps):  # which records Keras's operations alone
        return continued(maps, before, after)

    @ops.custom_gradient
    def periodic(maps: Any) -> Any:
        def gradient(*arguments: Any, upstream: Any = None) -> Any:  # by name or not: by backend
            return _folded(arguments[0] if upstream is None else upstream, before, after)

        return continued(maps, before, after), gradient

    return periodic(maps)


def continued(maps: Any, before: int, after: int) -> Any:
    """Continues maps periodically; arguments as of `wrapped`."""
    for axis in _SIDES:
        side = maps.shape[axis]
        parts = [_cut(maps, axis, side - before, side), maps, _cut(maps, axis, 0, after)]
        maps = ops.concatenate([part for part in parts if part.shape[axis]], axis=axis)
    return maps


def _folded(maps: Any, before: int, after: int) -> Any:
    """Adds what is beyond an edge to what it is a copy of: the transposed of `continued`."""
    for axis in reversed(_SIDES):
        side = maps.shape[axis] - before - after
        first, last = (before, before + after), (side, side + before)
        parts = [
            _cut(maps, axis, *first) + _cut(maps, axis, side + before, side + before + after),
            _cut(maps, axis, first[1], last[0]),
            _cut(maps, axis, *last) + _cut(maps, axis, 0, before),
        ]
        maps = ops.concatenate([part for part in parts if part.shape[axis]], axis=axis)
    return maps


def _cut(maps: Any, axis: int, start: int, stop: int) -> Any:
    places = [slice(None)] * 4
    places[axis] = slice(start, stop)
    return maps[tuple(places)]
