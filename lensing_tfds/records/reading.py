"""Shards -> batches of examples, in physical units; a damaged shard is named.

Records stay serialised until they are in a batch: parsing and decoding a whole batch at once is
three times faster than TFDS's example-by-example decoding (`benchmarks.reading`).
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

from lensing_tfds.command_line import build_command
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage, tfrecord
from lensing_tfds.records.datasets import stored_config
from lensing_tfds.records.remote_records import remote_records

_SHARDS_AT_ONCE = 16
_BLOCK = 16  # records that are read of one shard in a row


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
    decode = decoder(builder, tuple(builder.info.features))
    with damage_named(builder):
        batches = records_in_order(builder, split).batch(batch_size)
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
            for file in shards_of(builder, split).files:
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


class Shards(NamedTuple):
    """The files of a split, in order, and which of their records belong to it."""

    files: list[str]
    skips: np.ndarray
    takes: np.ndarray


def shards_of(builder: tfds.core.DatasetBuilder, split: str) -> Shards:
    """Returns the files of a split or of a slice of it, as "train[:1000]"."""
    instructions = builder.info.splits[split].file_instructions
    return Shards(
        [str(i.filename) for i in instructions],
        np.array([i.skip for i in instructions], np.int64),
        np.array([i.take for i in instructions], np.int64),
    )


def records_in_order(builder: tfds.core.DatasetBuilder, split: str) -> tf.data.Dataset:
    """Streams the serialised examples of a split, by increasing index."""
    shards = tf.data.Dataset.from_tensor_slices(tuple(shards_of(builder, split)))
    return shards.flat_map(_reader(builder))


def interleaved(builder: tfds.core.DatasetBuilder, shards: Shards) -> tf.data.Dataset:
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


def record_bytes(builder: tfds.core.DatasetBuilder) -> int:
    """Returns the size of a serialised example, but for its keys."""
    features = builder.info.features.values()
    return sum(math.prod(f.shape) * np.dtype(f.np_dtype).itemsize for f in features)


def decoder(builder: tfds.core.DatasetBuilder, names: Sequence[str]) -> Callable:
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
