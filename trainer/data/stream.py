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
from trainer.data.augmentation import augment
from trainer.data.source import Source, epoch_keys, steps_of_passes, steps_per_pass
from trainer.settings.config import TrainerConfig


def training_batches(source: Source, config: TrainerConfig, steps: range) -> tf.data.Dataset:
    """Streams a source, augmented, one pass after another.

    The order and the augmentation of a pass depend on (config.seed, pass) alone, so that a resumed
    run sees what an uninterrupted one would have seen.

    Args:
      source: of the pairs.
      config: its batch_size, seed and augment are used.
      steps: of a run, counted from 0; `steps_per_pass` of them make a pass.

    Returns:
      (input, label) batches in physical units, (batch, *task.input_shape) and
      (batch, *task.label_shape) float32, one a step.
    """
    task, in_a_pass = source.task, steps_per_pass(source, config.batch_size)
    channels = (task.inputs.channels, task.labels.channels)

    def seeds(number: tf.Tensor) -> tf.data.Dataset:
        """The seeds of the augmentation of a pass's batches."""
        *_, key = epoch_keys(config.seed, number)
        return tf.data.Dataset.from_tensor_slices(
            tf.random.experimental.stateless_split(key, in_a_pass)
        )

    # Compiled, it goes through the maps once instead of ten times.
    @tf.function(jit_compile=True)
    def augmented(
        pair: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return augment(pair, channels, seed)

    def prepared(seed: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        pair = _pair(source.maps(*batch), task)
        return augmented(pair, seed) if config.augment and not source.is_augmented else pair

    wanted = source.batches(steps, config.seed, config.batch_size)
    with_seeds = tf.data.Dataset.zip(steps_of_passes(steps, in_a_pass, seeds), wanted)
    batches = with_seeds.map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
    # One batch less or more would be an error: Keras only warns, and calls the rest an epoch.
    return batches.apply(tf.data.experimental.assert_cardinality(len(steps))).prefetch(
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
