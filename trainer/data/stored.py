"""The training split of a built dataset, as a source of training pairs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from lensing_tfds.records.datasets import stored_config, task_of
from lensing_tfds.records.reading import (
    Shards,
    decoder,
    evaluation_batches,
    interleaved,
    record_bytes,
    shards_of,
)
from trainer.data.source import epoch_keys, steps_of_passes, steps_per_pass

# Serialised records that wait to be drawn at random: enough to mix many shards of small maps, and
# bounded for large ones.
_SHUFFLE_BYTES = 32 * 2**20

_BATCH_SIZE = 32  # of examples that are read in order


class StoredExamples:
    """The first examples of a dataset's training split, by index; a `source.Source`.

    Records stay serialised until they are in a batch, which `maps` decodes at once.

    Args:
      builder: the dataset.
      max_examples: how many; None for all.

    Raises:
      LensingError: there are fewer, or a shard is missing or damaged.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, max_examples: int | None = None):
        self.task = task_of(builder)
        config = stored_config(builder)
        self.examples_per_epoch = config.number_of_first("train", max_examples)
        self.description = f"{self.examples_per_epoch:,} examples of lensing/{config.name}"
        self.is_augmented = False
        self._builder = builder
        self._shards = shards_of(builder, f"train[:{self.examples_per_epoch}]")
        self._window = max(1, _SHUFFLE_BYTES // record_bytes(builder))
        self._decode = decoder(builder, (self.task.inputs.name, self.task.labels.name))

    def running(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def first(self, number: int) -> Iterator[dict[str, NDArray]]:
        split = f"train[:{min(number, self.examples_per_epoch)}]"
        return evaluation_batches(self._builder, split, _BATCH_SIZE)

    def batches(self, steps: range, seed: int, batch_size: int) -> tf.data.Dataset:
        def of_pass(number: tf.Tensor) -> tf.data.Dataset:
            file_key, record_key, _ = epoch_keys(seed, number)
            order = tf.random.experimental.stateless_shuffle(
                tf.range(len(self._shards.files)), file_key
            )
            shards = Shards(*(tf.gather(column, order) for column in self._shards))
            # Dataset.shuffle mixes TensorFlow's global seed in: here it is the one of the graph
            # that this is called in, and no other's.
            tf.random.set_seed(1)
            shuffle_seed = tf.random.stateless_uniform([], record_key, None, None, tf.int64)
            return (
                interleaved(self._builder, shards)
                .shuffle(self._window, shuffle_seed, reshuffle_each_iteration=False)
                .batch(batch_size)
            )

        return steps_of_passes(steps, steps_per_pass(self, batch_size), of_pass)

    def maps(self, *batch: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._decode(*batch)
