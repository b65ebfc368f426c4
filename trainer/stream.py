"""The data stream: shards -> batches of standardised maps, never a whole split in memory.

Records stay serialised until they are in a batch: parsing and decoding a whole batch at once is
four times faster than TFDS's example-by-example decoding. tf.data feeds every Keras backend.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from lensing_tfds.command_line import build_command
from lensing_tfds.configs import LensingError
from trainer.augmentation import augment
from trainer.config import TrainerConfig
from trainer.dataset import stored_config
from trainer.scaling import Scaling

_SHARDS_AT_ONCE = 16
# Serialised records that are shuffled together: enough to mix many shards of small maps, and
# bounded for large ones.
_SHUFFLE_BYTES = 64 * 2**20

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
    split = f"train[:{num_train_examples(builder, config.max_examples)}]"
    shards = _shards(builder, split)
    window = _shuffle_window(builder)
    decode = _decoder(builder, ("lensed", "kappa"))

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        key = _stateless.stateless_fold_in([config.seed, 0], epoch)
        file_key, record_key, augment_key = tf.unstack(_stateless.stateless_split(key, 3))

        # Not Dataset.shuffle: its order depends on TensorFlow's global seed too.
        def shuffle(i: tf.Tensor, records: tf.Tensor) -> tf.Tensor:
            return _stateless.stateless_shuffle(
                records, _stateless.stateless_fold_in(record_key, i)
            )

        def prepare(i: tf.Tensor, records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            maps = decode(records)
            pair = (maps["lensed"], maps["kappa"])
            if config.augment:
                pair = augment(pair, _stateless.stateless_fold_in(augment_key, i))
            return scaling.scale_lensed(pair[0]), scaling.scale_kappa(pair[1])

        order = _stateless.stateless_shuffle(tf.range(len(shards.files)), file_key)
        shuffled_shards = tuple(tf.gather(column, order) for column in shards)
        records = tf.data.Dataset.from_tensor_slices(shuffled_shards).interleave(
            _read_shard,
            cycle_length=_SHARDS_AT_ONCE,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        shuffled = records.batch(window).enumerate().map(shuffle).prefetch(1).unbatch()
        batches = shuffled.batch(config.batch_size).enumerate()
        return batches.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)

    epochs = tf.data.Dataset.range(initial_epoch, config.epochs)
    return epochs.flat_map(epoch_batches).prefetch(tf.data.AUTOTUNE)


def validation_batches(
    builder: tfds.core.DatasetBuilder, batch_size: int, scaling: Scaling
) -> tf.data.Dataset:
    """Streams the validation split in order: batches as `training_batches` has, not augmented."""
    decode = _decoder(builder, ("lensed", "kappa"))

    def prepare(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        maps = decode(records)
        return scaling.scale_lensed(maps["lensed"]), scaling.scale_kappa(maps["kappa"])

    batches = _records_in_order(builder, "validation").batch(batch_size)
    prepared = batches.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    # Keras takes the end of a data set of unknown length for a failure.
    steps = math.ceil(builder.info.splits["validation"].num_examples / batch_size)
    return prepared.apply(tf.data.experimental.assert_cardinality(steps))


def evaluation_batches(
    builder: tfds.core.DatasetBuilder, split: str, batch_size: int
) -> Iterator[dict[str, np.ndarray]]:
    """Reads a split as the dataset stores it, in physical units.

    Args:
      builder: the dataset.
      split: "train", "validation" or "test"; a slice as "train[:1000]" works too.
      batch_size: examples a batch; the last batch may be smaller.

    Yields:
      dicts of lensed and unlensed (batch, npix, npix, channels) µK float32, kappa
      (batch, npix, npix, 1) float32 and index (batch,) int64, by increasing index.

    Raises:
      LensingError: a shard is damaged.
    """
    decode = _decoder(builder, ("lensed", "unlensed", "kappa", "index"))
    batches = _records_in_order(builder, split).batch(batch_size)
    with damage_named(builder):
        yield from batches.map(decode).prefetch(1).as_numpy_iterator()


@contextlib.contextmanager
def damage_named(builder: tfds.core.DatasetBuilder) -> Iterator[None]:
    """Turns tf.data's complaint about a shard, which does not say which, into one that does.

    Raises:
      LensingError: a shard that was read in the block is truncated, corrupted or missing; the
        message names it.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
        for split in builder.info.splits:
            for file in _shards(builder, split).files:
                if _is_damaged(file):
                    command = build_command(stored_config(builder), str(builder.data_dir_root))
                    raise LensingError(
                        f"shard {file} is truncated, corrupted or missing; build the dataset "
                        f"again: {command} --overwrite"
                    ) from error
        raise


def _is_damaged(file: str) -> bool:
    try:
        for _ in tf.data.TFRecordDataset(file):
            pass
    except tf.errors.OpError:
        return True
    return False


class _Shards(NamedTuple):
    """The files of a split, in order, and which of their records belong to it."""

    files: list[str]
    skips: np.ndarray
    takes: np.ndarray


def _shards(builder: tfds.core.DatasetBuilder, split: str) -> _Shards:
    instructions = builder.info.splits[split].file_instructions
    return _Shards(
        [str(i.filename) for i in instructions],
        np.array([i.skip for i in instructions], np.int64),
        np.array([i.take for i in instructions], np.int64),
    )


def _read_shard(file: tf.Tensor, skip: tf.Tensor, take: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(file).skip(skip).take(take)


def _records_in_order(builder: tfds.core.DatasetBuilder, split: str) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(tuple(_shards(builder, split))).flat_map(_read_shard)


def _shuffle_window(builder: tfds.core.DatasetBuilder) -> int:
    record_bytes = sum(
        4 * math.prod(builder.info.features[name].shape) for name in ("lensed", "unlensed", "kappa")
    )
    return max(1, _SHUFFLE_BYTES // record_bytes)


def _decoder(builder: tfds.core.DatasetBuilder, names: Sequence[str]) -> Callable:
    """A function from a batch of serialised records to a dict of the named features."""
    shapes = {name: builder.info.features[name].shape for name in names}
    fields = {
        name: tf.io.FixedLenFeature([], tf.int64 if name == "index" else tf.string)
        for name in names
    }

    def decode(records: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(records, fields)
        return {
            name: value
            if name == "index"
            else tf.reshape(tf.io.decode_raw(value, tf.float32), (-1, *shapes[name]))
            for name, value in parsed.items()
        }

    return decode
