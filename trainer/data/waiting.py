"""The time that training steps wait for their input."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


class InputWait:
    """Times how long who draws batches waits for each.

    Attributes:
      seconds: that were waited so far, the running wait not included.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Counts the time that the block takes."""
        asked = time.perf_counter()
        yield
        self._count(np.float64(asked))

    def timed(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the same batches, for each of which the wait is counted, in the stream itself.

        Args:
          batches: of known number; prefetched, or a step waits for all that is done to a batch.
        """
        import tensorflow as tf

        # `tf.timestamp` is refused where operations are deterministic.
        def ask(_: tf.Tensor) -> tf.Tensor:
            return tf.numpy_function(lambda: np.float64(time.perf_counter()), [], tf.float64)

        def received(asked: tf.Tensor, batch: Any) -> Any:
            with tf.control_dependencies([tf.numpy_function(self._count, [asked], tf.float64)]):
                return tf.nest.map_structure(tf.identity, batch)

        # Of what is zipped, the time is drawn first.
        asked = tf.data.Dataset.range(batches.cardinality()).map(ask)
        timed = tf.data.Dataset.zip(asked, batches).map(received)
        options = tf.data.Options()
        # Neither of the two is to be drawn ahead, with a buffer or by threads.
        options.experimental_optimization.inject_prefetch = False
        options.experimental_optimization.map_parallelization = False
        return timed.with_options(options)

    def _count(self, asked: np.float64) -> np.float64:
        waited = time.perf_counter() - asked
        self.seconds += waited
        return np.float64(waited)
