"""The stream from a bucket is the stream from a disk: moto's S3 server, over HTTP."""

import numpy as np
import pytest

from lensing_tfds import LensingError
from lensing_tfds.records import reading
from lensing_tfds.records.datasets import open_built
from trainer.data import stream
from trainer.data.source import steps_per_pass
from trainer.data.stored import StoredExamples


@pytest.fixture
def bucket(s3, data_dir):
    """The tiny dataset, copied into a bucket."""
    s3.mkdir("streamed")
    s3.put(f"{data_dir}/lensing", "streamed/lensing", recursive=True)
    yield s3
    s3.rm("streamed", recursive=True)


def read(stored, config, initial_epoch=0):
    source = StoredExamples(stored, config.max_examples)
    steps = steps_per_pass(source, config.batch_size)
    wanted = range(initial_epoch * steps, config.epochs * steps)
    batches = stream.training_batches(source, config, wanted)
    return [np.concatenate(pair, axis=-1) for pair in batches]


@pytest.mark.parametrize("max_examples", [None, 20])
def test_training_batches_are_those_of_the_same_files_on_a_disk(
    bucket, stored, changed, max_examples
):
    config = changed(max_examples=max_examples)
    expected = read(stored, config)
    batches = read(open_built("tiny", "s3://streamed"), config)
    assert len(batches) == len(expected)
    for batch, other in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(batch, other)


@pytest.mark.parametrize("split", ["test", "train[13:40]"])
def test_evaluation_batches_are_those_of_the_same_files_on_a_disk(bucket, stored, split):
    expected = reading.evaluation_batches(stored, split, 4)
    batches = reading.evaluation_batches(open_built("tiny", "s3://streamed"), split, 4)
    for batch, other in zip(batches, expected, strict=True):
        for name in other:
            np.testing.assert_array_equal(batch[name], other[name])


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone"])
def test_a_damaged_shard_is_named_when_a_network_is_trained_on_it(bucket, changed, damage):
    stored = open_built("tiny", "s3://streamed")
    (shard,) = bucket.glob("streamed/lensing/tiny/*/lensing-train.tfrecord-00001-of-00003")
    data = bytearray(bucket.cat(shard))
    data[500] ^= 1
    if damage == "gone":
        bucket.rm(shard)
    else:
        bucket.pipe(shard, bytes(data if damage == "flipped" else data[:-3]))
    with pytest.raises(LensingError, match=f"shard s3://{shard} "):
        read(stored, changed(epochs=1))
