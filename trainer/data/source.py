"""The source of training pairs."""

from __future__ import annotations

from typing import Protocol

import tensorflow as tf

from lensing_tfds.task import Task

_stateless = tf.random.experimental


class Source(Protocol):
    """Examples to train on, in epochs of one size."""

    @property
    def task(self) -> Task:
        """The maps that go in and those that come out."""

    @property
    def examples_per_epoch(self) -> int:
        """Examples in an epoch."""

    def batches(self, epoch: tf.Tensor, seed: int, batch_size: int) -> tf.data.Dataset:
        """Streams one epoch, shuffled.

        Which examples, and in which order, depends on (seed, epoch) alone.

        Args:
          epoch: counted from 0, int64.
          seed: of the run.
          batch_size: examples a batch; the last is smaller where it does not divide the epoch.

        Returns:
          Batches as `maps` takes them.
        """

    def maps(self, *batch: tf.Tensor) -> dict[str, tf.Tensor]:
        """The maps of a batch: the task's inputs and labels by name, in physical units, float32."""


def epoch_keys(seed: int, epoch: tf.Tensor) -> list[tf.Tensor]:
    """Keys of an epoch's random numbers: two for its source, one for its augmentation."""
    key = _stateless.stateless_fold_in([seed, 0], epoch)
    return tf.unstack(_stateless.stateless_split(key, 3))
