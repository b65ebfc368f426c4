"""The data stream: shards -> batches of standardised maps, never a whole split in memory.

tf.data feeds every Keras backend.
"""

from __future__ import annotations

import math

import tensorflow as tf
import tensorflow_datasets as tfds

from lensing_tfds.records.datasets import stored_config
from lensing_tfds.records.reading import (
    Shards,
    decoder,
    interleaved,
    record_bytes,
    records_in_order,
    shards_of,
)
from trainer.config import TrainerConfig
from trainer.data.augmentation import augment
from trainer.data.scaling import Scaling

# Serialised records that wait to be drawn at random: enough to mix many shards of small maps, and
# bounded for large ones.
_SHUFFLE_BYTES = 32 * 2**20

_stateless = tf.random.experimental


def num_train_examples(builder: tfds.core.DatasetBuilder, max_examples: int | None) -> int:
    """How many training examples a run uses."""
    available = builder.info.splits["train"].num_examples
    return available if max_examples is None else min(max_examples, available)


def steps_per_epoch(builder: tfds.core.DatasetBuilder, config: TrainerConfig) -> int:
    """How many batches make an epoch; the last is smaller where the batch size does not divide."""
    return math.ceil(num_train_examples(builder, config.max_examples) / config.batch_size)


def training_batches(
    builder: tfds.core.DatasetBuilder,
    config: TrainerConfig,
    scaling: Scaling,
    initial_epoch: int = 0,
) -> tf.data.Dataset:
    """Streams the training split, shuffled and augmented, one epoch after another.

    The order and the augmentation of an epoch depend on (config.seed, epoch) alone, so that a
    resumed run sees what an uninterrupted one would have seen.

    Args:
      builder: the dataset.
      config: its batch_size, epochs, max_examples, seed and augment are used.
      scaling: how maps are standardised.
      initial_epoch: the first epoch to stream, counted from 0.

    Returns:
      (lensed, kappa) batches: standardised float32, (batch, npix, npix, channels) and
      (batch, npix, npix, 1); `steps_per_epoch` of them make an epoch.
    """
    shards = shards_of(builder, f"train[:{num_train_examples(builder, config.max_examples)}]")
    steps = steps_per_epoch(builder, config)
    window = max(1, _SHUFFLE_BYTES // record_bytes(builder))
    decode = decoder(builder, ("lensed", "kappa"))
    channels = (stored_config(builder).channels, ("kappa",))

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        """Indices and serialised records, shuffled, with the seed of each batch's augmentation."""
        key = _stateless.stateless_fold_in([config.seed, 0], epoch)
        file_key, record_key, augment_key = tf.unstack(_stateless.stateless_split(key, 3))
        order = _stateless.stateless_shuffle(tf.range(len(shards.files)), file_key)
        records = interleaved(builder, Shards(*(tf.gather(column, order) for column in shards)))
        # Dataset.shuffle mixes TensorFlow's global seed in: here it is the one of this function's
        # graph, and no other's.
        tf.random.set_seed(1)
        seed = tf.random.stateless_uniform([], record_key, None, None, tf.int64)
        shuffled = records.shuffle(window, seed, reshuffle_each_iteration=False)
        seeds = tf.data.Dataset.from_tensor_slices(_stateless.stateless_split(augment_key, steps))
        return tf.data.Dataset.zip(seeds, shuffled.batch(config.batch_size))

    # Compiled, it goes through the maps once instead of ten times.
    @tf.function(jit_compile=True)
    def prepare(maps: dict[str, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pair = (maps["lensed"], maps["kappa"])
        if config.augment:
            pair = augment(pair, channels, seed)
        return scaling.scale_lensed(pair[0]), scaling.scale_kappa(pair[1])

    batches = tf.data.Dataset.range(initial_epoch, config.epochs).flat_map(epoch_batches)
    prepared = batches.map(
        lambda seed, batch: prepare(decode(*batch), seed), num_parallel_calls=tf.data.AUTOTUNE
    )
    # One batch less or more would be an error: Keras only warns, and calls the rest an epoch.
    expected = steps * max(0, config.epochs - initial_epoch)
    return prepared.apply(tf.data.experimental.assert_cardinality(expected)).prefetch(
        tf.data.AUTOTUNE
    )


def validation_batches(
    builder: tfds.core.DatasetBuilder, batch_size: int, scaling: Scaling
) -> tf.data.Dataset:
    """Streams the validation split in order: batches as `training_batches` has, not augmented."""
    decode = decoder(builder, ("lensed", "kappa"))

    def prepare(due: tf.Tensor, records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        maps = decode(due, records)
        return scaling.scale_lensed(maps["lensed"]), scaling.scale_kappa(maps["kappa"])

    batches = records_in_order(builder, "validation").batch(batch_size)
    prepared = batches.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    # Keras takes the end of a data set of unknown length for a failure.
    steps = math.ceil(builder.info.splits["validation"].num_examples / batch_size)
    return prepared.apply(tf.data.experimental.assert_cardinality(steps))
