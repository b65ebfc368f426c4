"""The data stream: a source's pairs -> batches for Keras, never a whole split in memory.

tf.data feeds every Keras backend.
"""

from __future__ import annotations

import math

import tensorflow as tf
import tensorflow_datasets as tfds

from lensing_tfds.records.datasets import task_of
from lensing_tfds.records.reading import decoder, records_in_order
from lensing_tfds.task import Task
from trainer.config import TrainerConfig
from trainer.data.augmentation import augment
from trainer.data.source import Source, epoch_keys


def steps_per_epoch(source: Source, batch_size: int) -> int:
    """Returns the batches of an epoch; the last is smaller where the batch size does not divide."""
    return math.ceil(source.examples_per_epoch / batch_size)


def training_batches(
    source: Source, config: TrainerConfig, initial_epoch: int = 0
) -> tf.data.Dataset:
    """Streams a source, augmented, one epoch after another.

    The order and the augmentation of an epoch depend on (config.seed, epoch) alone, so that a
    resumed run sees what an uninterrupted one would have seen.

    Args:
      source: of the pairs.
      config: its batch_size, epochs, seed and augment are used.
      initial_epoch: the first epoch to stream, counted from 0.

    Returns:
      (input, label) batches in physical units, (batch, *task.input_shape) and
      (batch, *task.label_shape) float32; `steps_per_epoch` of them make an epoch.
    """
    task, steps = source.task, steps_per_epoch(source, config.batch_size)
    channels = (task.inputs.channels, task.labels.channels)

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        """An epoch's batches, each with the seed of its augmentation."""
        *_, key = epoch_keys(config.seed, epoch)
        seeds = tf.random.experimental.stateless_split(key, steps)
        batches = source.batches(epoch, config.seed, config.batch_size)
        return tf.data.Dataset.zip(tf.data.Dataset.from_tensor_slices(seeds), batches)

    # Compiled, it goes through the maps once instead of ten times.
    @tf.function(jit_compile=True)
    def augmented(
        pair: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return augment(pair, channels, seed)

    def prepared(seed: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        pair = _pair(source.maps(*batch), task)
        return augmented(pair, seed) if config.augment else pair

    epochs = tf.data.Dataset.range(initial_epoch, config.epochs).flat_map(epoch_batches)
    batches = epochs.map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
    # One batch less or more would be an error: Keras only warns, and calls the rest an epoch.
    expected = steps * max(0, config.epochs - initial_epoch)
    return batches.apply(tf.data.experimental.assert_cardinality(expected)).prefetch(
        tf.data.AUTOTUNE
    )


def validation_batches(builder: tfds.core.DatasetBuilder, batch_size: int) -> tf.data.Dataset:
    """Streams the validation split in order: batches as `training_batches` has, not augmented."""
    task = task_of(builder)
    decode = decoder(builder, (task.inputs.name, task.labels.name))
    batches = records_in_order(builder, "validation").batch(batch_size)
    pairs = batches.map(
        lambda *batch: _pair(decode(*batch), task), num_parallel_calls=tf.data.AUTOTUNE
    ).prefetch(tf.data.AUTOTUNE)
    # Keras takes the end of a data set of unknown length for a failure.
    steps = math.ceil(builder.info.splits["validation"].num_examples / batch_size)
    return pairs.apply(tf.data.experimental.assert_cardinality(steps))


def _pair(maps: dict[str, tf.Tensor], task: Task) -> tuple[tf.Tensor, tf.Tensor]:
    return maps[task.inputs.name], maps[task.labels.name]
