"""The source of training pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import tensorflow as tf
from numpy.typing import NDArray

from lensing_tfds.task import Task

_stateless = tf.random.experimental


class Source(Protocol):
    """Examples to train on, in passes of one size."""

    @property
    def task(self) -> Task:
        """The maps that go in and those that come out."""

    @property
    def examples_per_epoch(self) -> int:
        """Examples in a pass."""

    @property
    def is_augmented(self) -> bool:
        """Whether its examples are turned and mirrored already, as far as that is wanted."""

    @property
    def description(self) -> str:
        """Its examples in some words."""

    def running(self) -> AbstractContextManager[None]:
        """Holds what gives the examples; all that is below is called within."""

    def first(self, number: int) -> Iterator[dict[str, NDArray]]:
        """Yields batches of so many examples, or of all if they are fewer, by increasing index.

        Args:
          number: of examples.

        Yields:
          The task's inputs and labels by name, in physical units, float32, and "index".
        """

    def batches(self, steps: range, seed: int, batch_size: int) -> tf.data.Dataset:
        """Streams the batches of a range of a run's steps, shuffled.

        Which examples a pass has, and in which order, depends on (seed, pass) alone.

        Args:
          steps: counted from 0; `steps_per_pass` of them make a pass.
          seed: of the run.
          batch_size: examples a batch; the last is smaller where it does not divide the pass.

        Returns:
          Batches as `maps` takes them.
        """

    def maps(self, *batch: tf.Tensor) -> dict[str, tf.Tensor]:
        """The maps of a batch: the task's inputs and labels by name, in physical units, float32."""


def steps_per_pass(source: Source, batch_size: int) -> int:
    """Returns the batches of a pass; the last is smaller where the batch size does not divide."""
    return math.ceil(source.examples_per_epoch / batch_size)


def steps_of_passes(
    steps: range, in_a_pass: int, of_pass: Callable[[tf.Tensor], tf.data.Dataset]
) -> tf.data.Dataset:
    """Streams what a range of a run's steps has, one pass after another.

    Args:
      steps: counted from 0.
      in_a_pass: steps of a pass.
      of_pass: gives an element for each step of a pass, whose number is an int64.
    """
    first, end = steps.start // in_a_pass, math.ceil(steps.stop / in_a_pass)

    def checked(number: tf.Tensor) -> tf.data.Dataset:
        return of_pass(number).apply(tf.data.experimental.assert_cardinality(in_a_pass))

    passes = tf.data.Dataset.range(first, end).flat_map(checked)
    return passes.skip(steps.start - first * in_a_pass).take(len(steps))


def epoch_keys(seed: int, epoch: tf.Tensor) -> list[tf.Tensor]:
    """Keys of a pass's random numbers: two for its source, one for its augmentation."""
    key = _stateless.stateless_fold_in([seed, 0], epoch)
    return tf.unstack(_stateless.stateless_split(key, 3))
