"""Records of shards that are in a bucket: TensorFlow itself knows no `s3://` any more."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from lensing_tfds.records import storage, tfrecord

_AT_ONCE = 32  # records that Python hands over together


def remote_records(file: tf.Tensor) -> tf.data.Dataset:
    """Reads a shard as `tf.data.TFRecordDataset(file)` would.

    The shard is read from its start, a few MiB ahead; checksums are verified.

    Args:
      file: path of the shard, a scalar string.

    Returns:
      Serialised records. A damaged shard, or a bucket that cannot be read, ends it with
      `tf.errors.InvalidArgumentError`.
    """

    def blocks(path: bytes) -> Iterator[np.ndarray]:
        with storage.reading(path.decode()) as stream:
            records = tfrecord.records(stream)
            while block := list(itertools.islice(records, _AT_ONCE)):
                yield np.array(block, object)

    return tf.data.Dataset.from_generator(
        blocks, args=(file,), output_signature=tf.TensorSpec([None], tf.string)
    ).unbatch()
