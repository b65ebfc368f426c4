"""Shards -> batches of examples, in physical units; a damaged shard is named.

Whatever is read, in order or shuffled, a whole split or a slice: each record is the one whose index
is due there, and a shard that ends before all were read is an error, not an end.

Records stay serialised until they are in a batch: parsing and decoding a whole batch at once is
three times faster than TFDS's example-by-example decoding (`benchmarks.reading`).
"""

from __future__ import annotations

import collections
import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from lensing_tfds.records import storage
from lensing_tfds.records.datasets import mending_command, split_plans
from lensing_tfds.records.remote_records import remote_records
from lensing_tfds.records.shards import ShardSpec, read_shard, refuse_other_examples

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
      LensingError: a shard that was read in the block is truncated, corrupted or missing, has other
        examples than its own, or cannot be read; the message names it.
    """
    try:
        yield
    except (
        tf.errors.DataLossError,
        tf.errors.FailedPreconditionError,  # a folder
        tf.errors.InvalidArgumentError,  # from `remote_records` and our own checks, or else
        tf.errors.NotFoundError,
        tf.errors.PermissionDeniedError,
    ):
        for plan in split_plans(builder):
            for spec in plan.shards():
                _require_intact(builder, spec)
        raise


def _require_intact(builder: tfds.core.DatasetBuilder, spec: ShardSpec) -> None:
    """Reads a shard from end to end."""
    collections.deque(read_shard(spec, _remedy(builder)), maxlen=0)


def _remedy(builder: tfds.core.DatasetBuilder) -> str:
    return f"to write just that again: {mending_command(str(builder.data_path))}"


class Shards(NamedTuple):
    """The files of a split, in order, and which of their records belong to it.

    Attributes:
      files: their paths.
      skips: records of each that come before.
      takes: records of each that belong to it.
      starts: index of the first of those.
    """

    files: list[str]
    skips: np.ndarray
    takes: np.ndarray
    starts: np.ndarray


def shards_of(builder: tfds.core.DatasetBuilder, split: str) -> Shards:
    """Returns the files of a split or of a slice of it, as "train[:1000]".

    Raises:
      LensingError: one is missing, or has more or fewer examples than it must.
    """
    specs = {spec.path: spec for plan in split_plans(builder) for spec in plan.shards()}
    instructions = builder.info.splits[split].file_instructions
    shards = [specs[str(i.filename)] for i in instructions]
    sizes = storage.sizes(str(builder.data_path))
    for spec in shards:
        # What other software wrote may have another size, and be right all the same.
        if sizes.get(spec.path.rpartition("/")[2]) != spec.usual_bytes:
            _require_intact(builder, spec)
    skips = np.array([i.skip for i in instructions], np.int64)
    return Shards(
        [spec.path for spec in shards],
        skips,
        np.array([i.take for i in instructions], np.int64),
        np.array([spec.start for spec in shards], np.int64) + skips,
    )


def records_in_order(builder: tfds.core.DatasetBuilder, split: str) -> tf.data.Dataset:
    """Streams the examples of a split, by increasing index.

    Returns:
      (the index that is due, the serialised example); `decoder` compares the two.
    """
    shards = tf.data.Dataset.from_tensor_slices(tuple(shards_of(builder, split)))
    return shards.flat_map(_reader(builder))


def interleaved(builder: tfds.core.DatasetBuilder, shards: Shards) -> tf.data.Dataset:
    """A few records of one shard, then of the next, and so on, many shards at a time.

    Returns:
      As of `records_in_order`.
    """
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
    """A function from a row of `Shards` to the records that it means, and their indices."""
    open_shard = remote_records if _is_remote(builder) else tf.data.TFRecordDataset
    specs = {spec.path: spec for plan in split_plans(builder) for spec in plan.shards()}

    def own(file: bytes) -> bytes:
        """Refuses another dataset's shard, which has the same indices, when it is opened."""
        refuse_other_examples(specs[file.decode()], "python -m pipelines.verify says what mends it")
        return file

    def read(file: tf.Tensor, skip: tf.Tensor, take: tf.Tensor, start: tf.Tensor) -> Any:
        # Behind the last record stands an error: to be read, where a record is missing.
        file = tf.ensure_shape(tf.numpy_function(own, [file], tf.string), [])
        too_few = tf.data.Dataset.from_tensors(file).map(_raise_too_few)
        records = open_shard(file).concatenate(too_few).skip(skip)
        return tf.data.Dataset.zip((tf.data.Dataset.range(start, start + take), records))

    return read


def _raise_too_few(file: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.Assert(False, ["too few records in", file])]):
        return tf.identity(file)


def _is_remote(builder: tfds.core.DatasetBuilder) -> bool:
    return storage.is_remote(str(builder.data_dir))


def record_bytes(builder: tfds.core.DatasetBuilder) -> int:
    """Returns the size of a serialised example, but for its keys."""
    features = builder.info.features.values()
    return sum(math.prod(f.shape) * np.dtype(f.np_dtype).itemsize for f in features)


def decoder(
    builder: tfds.core.DatasetBuilder, names: Sequence[str]
) -> Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """A function from a batch of `records_in_order` or `interleaved` to a dict of the features.

    Args:
      builder: the dataset.
      names: of the features.
    """
    shapes = {name: builder.info.features[name].shape for name in names}
    fields = {
        name: tf.io.FixedLenFeature([], tf.int64 if name == "index" else tf.string)
        for name in {*names, "index"}
    }

    def decode(due: tf.Tensor, records: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(records, fields)
        same = tf.debugging.assert_equal(parsed["index"], due, "not the example that is due")
        with tf.control_dependencies([same]):
            return {
                name: tf.identity(parsed[name])
                if name == "index"
                else tf.reshape(tf.io.decode_raw(parsed[name], tf.float32), (-1, *shapes[name]))
                for name in names
            }

    return decode
