"""Examples by their indices: the right ones, or the name of the shard that lacks them."""

import itertools
import os
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lensing_tfds import LensingError, simulate
from lensing_tfds.configs import LensingConfig
from lensing_tfds.records import split_reader, storage, tfrecord
from lensing_tfds.records.shard_plans import SplitPlan
from lensing_tfds.records.shards import write_shard
from lensing_tfds.records.split_reader import SplitReader

# Indices of one byte and of two, these in both of two shards.
CONFIG = LensingConfig(
    "small", npix=8, lx=5.0, num_examples={"train": 260, "validation": 2, "test": 3}
)
REMEDY = "mend it"


def written(folder: pathlib.Path, split: str, num_shards: int) -> SplitPlan:
    plan = SplitPlan(CONFIG, split, num_shards, f"{folder}/lensing-{split}.tfrecord")
    for spec in plan.shards():
        write_shard(spec)
    return plan


@pytest.fixture(scope="module")
def train(tmp_path_factory) -> SplitPlan:
    return written(tmp_path_factory.mktemp("train"), "train", 2)


@pytest.fixture(scope="module")
def expected():
    return simulate(CONFIG, "train", range(260))


@given(st.lists(st.tuples(st.integers(0, 260), st.integers(0, 260)), max_size=5))
def test_any_ranges_are_read_in_their_order_bit_for_bit(train, expected, pairs):
    ranges = [range(min(pair), max(pair)) for pair in pairs]
    wanted = list(itertools.chain(*ranges))
    examples = SplitReader(train, range(260), REMEDY).read(ranges)
    assert examples.keys() == expected.keys()
    for name, values in expected.items():
        assert examples[name].dtype == values.dtype
        np.testing.assert_array_equal(examples[name], values[wanted])


def test_blocks_of_one_example_and_features_by_name(train, expected, monkeypatch):
    monkeypatch.setattr(split_reader, "_BLOCK_BYTES", 1)
    examples = SplitReader(train, range(260), REMEDY, ["kappa"]).read([range(90, 140)])
    assert examples.keys() == {"kappa", "index"}
    np.testing.assert_array_equal(examples["kappa"], expected["kappa"][90:140])


def test_only_the_shards_that_may_be_asked_for_are_looked_at(tmp_path):
    plan = written(tmp_path, "test", 3)
    pathlib.Path(plan.shard(2).path).unlink()
    assert SplitReader(plan, range(2), REMEDY).read([range(2)])["index"].tolist() == [0, 1]
    with pytest.raises(LensingError, match=f"shard {plan.shard(2).path} is missing: {REMEDY}"):
        SplitReader(plan, range(3), REMEDY)


def test_a_flip_of_any_byte_is_found(tmp_path):
    plan = written(tmp_path, "validation", 1)
    shard = plan.shard(0).path
    reader = SplitReader(plan, range(2), REMEDY)
    with open(shard, "r+b", buffering=0) as file:
        for place, byte in enumerate(pathlib.Path(shard).read_bytes()):
            os.pwrite(file.fileno(), bytes([byte ^ 1 << place % 8]), place)
            with pytest.raises(LensingError, match=f"{shard} is truncated or corrupted .*mend it"):
                reader.read([range(2)])
            os.pwrite(file.fileno(), bytes([byte]), place)
    assert len(reader.read([range(2)])["index"]) == 2


def test_a_cut_at_any_byte_is_found_before_and_after_the_shard_is_opened(tmp_path):
    plan = written(tmp_path, "validation", 1)
    shard = plan.shard(0).path
    reader = SplitReader(plan, range(2), REMEDY)
    for length in reversed(range(os.path.getsize(shard))):
        os.truncate(shard, length)
        with pytest.raises(LensingError, match=f"shard {shard} (has|is truncated) .*mend it"):
            reader.read([range(2)])
        with pytest.raises(LensingError, match=f"shard {shard} (has|is truncated) .*mend it"):
            SplitReader(plan, range(2), REMEDY)


def test_records_in_another_order_are_found(tmp_path):
    plan = written(tmp_path, "validation", 1)
    shard = pathlib.Path(plan.shard(0).path)
    content = shard.read_bytes()
    shard.write_bytes(content[len(content) // 2 :] + content[: len(content) // 2])
    with pytest.raises(LensingError, match=f"shard {shard} has example 1 in place of 0"):
        SplitReader(plan, range(2), REMEDY).read([range(2)])


def test_a_shard_that_was_removed_meanwhile_is_missing(tmp_path):
    plan = written(tmp_path, "validation", 1)
    reader = SplitReader(plan, range(2), REMEDY)
    pathlib.Path(plan.shard(0).path).unlink()
    with pytest.raises(LensingError, match=f"cannot read {plan.shard(0).path}: No such file"):
        reader.read([range(2)])


@pytest.mark.parametrize("padding", [b"", b"\x80\x00"])
def test_examples_of_other_software_are_read_bit_for_bit(tmp_path, padding):
    """TFDS leaves the order of the features open, and a number may have more bytes than needed."""
    import tensorflow as tf
    from tensorflow.core.example import example_pb2, feature_pb2

    plan = written(tmp_path, "validation", 1)
    spec = plan.shard(0)
    expected = SplitReader(plan, range(2), REMEDY).read([range(2)])
    with storage.reading(spec.path) as file:
        records = list(tfrecord.records(file))
    with tf.io.TFRecordWriter(spec.path) as writer:
        for record in records:
            found = example_pb2.Example.FromString(record).features.feature
            features = b"".join(
                feature_pb2.Features(feature={name: found[name]}).SerializeToString()
                for name in sorted(found, reverse=True)
            )
            size = len(features)
            length = bytes([size & 0x7F | 0x80, size >> 7 | (0x80 if padding else 0)])
            writer.write(b"\x0a" + length + padding + features)
    assert (storage.size(spec.path) == spec.usual_bytes) == (padding == b"")
    reader = SplitReader(plan, range(2), REMEDY)
    for ranges in ([range(2)], [range(1, 2), range(1)]):
        examples = reader.read(ranges)
        wanted = list(itertools.chain(*ranges))
        for name, values in expected.items():
            np.testing.assert_array_equal(examples[name], values[wanted])
    content = bytearray(pathlib.Path(spec.path).read_bytes())
    content[-100] ^= 1
    pathlib.Path(spec.path).write_bytes(content)
    with pytest.raises(LensingError, match=f"shard {spec.path} is truncated or corrupted"):
        reader.read([range(2)])
