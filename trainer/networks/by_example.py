"""Batches that a layer works off example by example, as a CPU's cache holds one example's maps.

Keras's Fourier transforms take and give real and imaginary parts: around each of them whole batches
are read and written several times, from memory unless they are small (`benchmarks.quadratic_layer`
compares). A GPU would compute one example after the other then.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops

_FEWEST_PIXELS = 2**15  # of an example's map: below, a loop's own time is more than it saves

_whole = contextvars.ContextVar("whole", default=False)


@contextlib.contextmanager
def whole_batches() -> Iterator[None]:
    """Has layers that are traced meanwhile compute whole batches, for files of any device."""
    token = _whole.set(True)
    try:
        yield
    finally:
        _whole.reset(token)


def is_by_example(npix: int) -> bool:
    """Says whether maps of so many pixels on a side are best computed one after the other here."""
    from trainer.machine import devices  # begins with Keras, which registers this module's users

    return npix**2 >= _FEWEST_PIXELS and not (_whole.get() or devices.has_accelerator())


def by_example(function: Callable[[Any], Any], fields: Any, npix: int) -> Any:
    """Applies a function of a batch, to one example after the other where that is faster.

    Args:
      function: of tensors, nested like the fields, whose first axis is that of examples.
      fields: nested tensors, of the same number of examples.
      npix: pixels on a side of the largest maps that the function makes of them.

    Returns:
      What the function gives for all examples.
    """
    (first, *_) = keras.tree.flatten(fields)
    # No file could hold the function that an operation of Keras's on symbolic tensors calls.
    symbolic = keras.backend.is_keras_tensor(first)
    if symbolic or first.shape[0] in (0, 1) or not is_by_example(npix):
        return function(fields)

    def of_one(example: Any) -> Any:
        batch = keras.tree.map_structure(lambda x: ops.expand_dims(x, 0), example)
        return keras.tree.map_structure(lambda x: ops.squeeze(x, 0), function(batch))

    return ops.map(of_one, fields)
