"""The data stream: shards -> batches of standardised maps, never a whole split in memory.

Records stay serialised until they are in a batch: parsing and decoding a whole batch at once is
three times faster than TFDS's example-by-example decoding (`benchmarks.reading`). tf.data
feeds every Keras backend.
"""

from __future__ import annotations

import collections
import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from lensing_tfds import storage, tfrecord
from lensing_tfds.command_line import build_command
from lensing_tfds.configs import LensingError
from trainer.augmentation import augment
from trainer.config import TrainerConfig
from trainer.dataset import stored_config
from trainer.remote_records import remote_records
from trainer.scaling import Scaling

_SHARDS_AT_ONCE = 16
_BLOCK = 16  # records that are read of one shard in a row
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
    shards = _shards(builder, f"train[:{num_train_examples(builder, config.max_examples)}]")
    steps = steps_per_epoch(builder, config)
    window = max(1, _SHUFFLE_BYTES // _record_bytes(builder))
    decode = _decoder(builder, ("lensed", "kappa"))
    channels = (stored_config(builder).channels, ("kappa",))

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        """Serialised records, shuffled, with the seed of each batch's augmentation."""
        key = _stateless.stateless_fold_in([config.seed, 0], epoch)
        file_key, record_key, augment_key = tf.unstack(_stateless.stateless_split(key, 3))
        order = _stateless.stateless_shuffle(tf.range(len(shards.files)), file_key)
        records = _interleaved(builder, _Shards(*(tf.gather(column, order) for column in shards)))
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
        lambda seed, records: prepare(decode(records), seed), num_parallel_calls=tf.data.AUTOTUNE
    )
    return prepared.prefetch(tf.data.AUTOTUNE)


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
      dicts of all features: lensed and unlensed (batch, npix, npix, channels) µK, kappa and, if
      the dataset has it, unlensed_E in µK (batch, npix, npix, 1), all float32, and index (batch,)
      int64, by increasing index.

    Raises:
      LensingError: a shard is damaged, or cannot be read.
    """
    decode = _decoder(builder, tuple(builder.info.features))
    with damage_named(builder):
        batches = _records_in_order(builder, split).batch(batch_size)
        yield from batches.map(decode).prefetch(1).as_numpy_iterator()


@contextlib.contextmanager
def damage_named(builder: tfds.core.DatasetBuilder) -> Iterator[None]:
    """Turns tf.data's complaint about a shard, which does not say which, into one that does.

    Raises:
      LensingError: a shard that was read in the block is truncated, corrupted or missing, or its
        bucket cannot be reached; the message names it.
    """
    try:
        yield
    except (
        tf.errors.DataLossError,
        tf.errors.NotFoundError,
        tf.errors.InvalidArgumentError,  # from `remote_records`, or from anything else
    ) as error:
        if isinstance(error, tf.errors.InvalidArgumentError) and not _is_remote(builder):
            raise
        for split in builder.info.splits:
            for file in _shards(builder, split).files:
                if _is_damaged(file):
                    # Not data_dir_root, which is another one for a dataset opened from its folder.
                    root = str(builder.data_path.parent.parent.parent)
                    command = build_command(stored_config(builder), root)
                    raise LensingError(
                        f"shard {file} is truncated, corrupted or missing; to write just that "
                        f"again: {command}"
                    ) from error
        raise


def _is_damaged(file: str) -> bool:
    if storage.size(file) is None:
        return True
    try:
        with storage.reading(file) as stream:
            collections.deque(tfrecord.records(stream), maxlen=0)
    except ValueError as error:
        if isinstance(error, LensingError):
            raise  # it cannot be read, which says nothing about the shard
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


def _records_in_order(builder: tfds.core.DatasetBuilder, split: str) -> tf.data.Dataset:
    shards = tf.data.Dataset.from_tensor_slices(tuple(_shards(builder, split)))
    return shards.flat_map(_reader(builder))


def _interleaved(builder: tfds.core.DatasetBuilder, shards: _Shards) -> tf.data.Dataset:
    """A few records of one shard, then of the next, and so on, many shards at a time."""
    # A bucket makes one wait, so shards are read side by side; from a disk one thread reads as
    # fast as the others decode.
    at_once = _SHARDS_AT_ONCE if _is_remote(builder) else None
    return tf.data.Dataset.from_tensor_slices(tuple(shards)).interleave(
        _reader(builder),
        cycle_length=_SHARDS_AT_ONCE,
        block_length=_BLOCK,
        num_parallel_calls=at_once,
        deterministic=True if at_once else None,  # TensorFlow warns where it does not apply
    )


def _reader(builder: tfds.core.DatasetBuilder) -> Callable[..., tf.data.Dataset]:
    """A function from a shard, and which of its records to take, to those records."""
    open_shard = remote_records if _is_remote(builder) else tf.data.TFRecordDataset

    def read(file: tf.Tensor, skip: tf.Tensor, take: tf.Tensor) -> tf.data.Dataset:
        return open_shard(file).skip(skip).take(take)

    return read


def _is_remote(builder: tfds.core.DatasetBuilder) -> bool:
    return storage.is_remote(str(builder.data_dir))


def _record_bytes(builder: tfds.core.DatasetBuilder) -> int:
    features = builder.info.features.values()
    return sum(math.prod(f.shape) * np.dtype(f.np_dtype).itemsize for f in features)


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
