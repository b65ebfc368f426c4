"""Batches of pairs that can be streamed again and again, as each of Keras's backends takes them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from lensing_tfds.prefetching import prefetched
from lensing_tfds.task import Task
from trainer.data.waiting import InputWait

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Input and label, (batch, *task.input_shape) and (batch, *task.label_shape)."""

_AHEAD = 2  # batches that are made while a step is taken


class Batches:
    """A known number of pairs, the same each time.

    Args:
      task: of the pairs.
      number: of batches.
      begin: yields the batches from one of them on.
      wait: counts how long Keras waits for them; None where nobody asks.
    """

    def __init__(
        self,
        task: Task,
        number: int,
        begin: Callable[[int], Iterator[Pair]],
        wait: InputWait | None = None,
    ):
        self.task = task
        self.wait = wait
        self._number = number
        self._begin = begin

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[Pair]:
        return self.beginning_with(0)

    def beginning_with(self, first: int) -> Iterator[Pair]:
        """Yields the batches from one of them on, of which the next are made meanwhile.

        Raises:
          RuntimeError: there are fewer batches than there must be.
        """
        count = first
        for pair in prefetched(self._begin(first), _AHEAD):
            count += 1
            yield pair
        if count < self._number:  # Keras would only warn, and call these an epoch
            raise RuntimeError(f"there are {count} of {self._number} batches")

    def take(self, number: int) -> Batches:
        """The first batches."""
        wanted = min(number, self._number)
        return Batches(
            self.task, wanted, lambda first: itertools.islice(self._begin(first), wanted - first)
        )

    def timed_by(self, wait: InputWait) -> Batches:
        """The same batches, for which Keras's wait is counted."""
        return Batches(self.task, self._number, self._begin, wait)


@contextlib.contextmanager
def for_keras(*streams: Batches) -> Iterator[list[Any]]:
    """Gives Keras streams as its backend takes them.

    Yields:
      What `keras.Model.fit` and `evaluate` take, one a stream. With TensorFlow they are tf.data.

    Raises:
      Exception: that ended a stream within the block, as it was; tf.data has a text for it only.
    """
    if keras.backend.backend() != "tensorflow":
        yield [_Sequence(stream) for stream in streams]
        return
    errors: list[Exception] = []
    try:
        yield [_as_tf_data(stream, errors) for stream in streams]
    except Exception as error:
        if errors and error is not errors[0]:
            raise errors[0] from None
        raise


class _Sequence(keras.utils.PyDataset):
    """A stream whose batches are asked for one after the other."""

    def __init__(self, batches: Batches):
        super().__init__()
        self._batches = batches
        self._wait = batches.wait or InputWait()
        self._next = 0
        self._last: Pair | None = None
        self._iterator = batches.beginning_with(0)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Pair:
        # Keras looks at the first batch, and begins anew: it is not made twice.
        if self._last is None or index != self._next - 1:
            if index != self._next:
                self._iterator = self._batches.beginning_with(index)
            with self._wait.counted():
                self._last = next(self._iterator)
            self._next = index + 1
        return self._last


def _as_tf_data(batches: Batches, errors: list[Exception]) -> Any:
    """A stream as a `tf.data.Dataset`; what ends it is added to the errors."""
    import tensorflow as tf

    def generate() -> Iterator[Pair]:
        try:
            yield from batches
        except Exception as error:
            errors.append(error)
            raise

    shapes = batches.task.input_shape, batches.task.label_shape
    signature = tuple(tf.TensorSpec((None, *shape), tf.float32) for shape in shapes)
    stream = tf.data.Dataset.from_generator(generate, output_signature=signature)
    stream = stream.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(1)
    return stream if batches.wait is None else batches.wait.timed(stream)
