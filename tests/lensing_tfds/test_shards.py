"""Shards: the same examples however they are cut, and nothing half-written."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lensing_tfds import shards, simulate
from lensing_tfds.configs import VERSIONS, LensingConfig, LensingError
from lensing_tfds.simulation import block_size


def read(paths, npix):
    """Decodes shards without TFDS: the format is tf.train.Example with raw float32 bytes."""
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in shards.FEATURES}
    features["index"] = tf.io.FixedLenFeature([], tf.int64)
    records = list(tf.data.TFRecordDataset(paths).as_numpy_iterator())
    examples = tf.io.parse_example(records, features)
    maps = {
        name: tf.io.decode_raw(examples[name], tf.float32).numpy().reshape(-1, npix, npix, 1)
        for name in shards.FEATURES
    }
    return maps | {"index": examples["index"].numpy()}


@given(num_examples=st.integers(1, 10**9), num_shards=st.integers(1, 50))
def test_shards_cover_a_split_once_and_evenly(num_examples, num_shards):
    config = LensingConfig(
        "c", npix=8, lx=1.0, num_examples={"train": num_examples, "validation": 1, "test": 1}
    )
    plan = shards.SplitPlan(config, "train", num_shards, "/nowhere")
    specs = list(plan.shards())
    assert [specs[0].start, specs[-1].stop] == [0, num_examples]
    assert all(a.stop == b.start for a, b in zip(specs, specs[1:], strict=False))
    assert max(plan.shard_lengths) - min(plan.shard_lengths) <= 1
    assert plan.shard_lengths == [spec.stop - spec.start for spec in specs]
    assert len({spec.path for spec in specs}) == num_shards


@settings(max_examples=6)
@given(num_shards=st.integers(1, 40))
def test_any_number_of_shards_holds_the_same_bits(tmp_path_factory, num_shards):
    config = LensingConfig(
        "tiny", npix=16, lx=5.0, num_examples={"train": 40, "validation": 7, "test": 5}
    )
    folder = tmp_path_factory.mktemp("shards")
    plan = shards.SplitPlan(config, "train", num_shards, f"{folder}/train")
    results = [shards.write_shard(spec) for spec in plan.shards()]
    assert [result.num_examples for result in results] == plan.shard_lengths
    examples = read([result.path for result in results], 16)
    expected = simulate(config, "train", range(40))
    for name in expected:
        np.testing.assert_array_equal(examples[name], expected[name])
    assert len(list(folder.iterdir())) == num_shards  # no temporary file is left


def test_a_shard_is_written_again_to_the_same_bytes(tmp_path, tiny):
    first = shards.write_shard(shards.ShardSpec(tiny, "train", 3, 9, str(tmp_path / "one")))
    again = shards.write_shard(shards.ShardSpec(tiny, "train", 3, 9, str(tmp_path / "two")))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert first.num_bytes == again.num_bytes < (tmp_path / "one").stat().st_size


def test_default_shards_are_100_to_200_MiB():
    for version in ("v6", "v7"):
        config = dataclasses.replace(
            VERSIONS[version],
            name="many",
            num_examples={"train": 10**6, "validation": 10, "test": 10},
        )
        count = shards.default_num_shards(config, "train")
        size = 10**6 * 3 * 4 * config.npix**2 / count / 2**20
        assert 100 < size < 200
        assert shards.default_num_shards(config, "test") == 1


def test_memory_is_bounded_by_a_block_not_by_the_shard(tmp_path, monkeypatch):
    sizes = []
    original = shards.serialize

    def spy(examples):
        sizes.append(len(examples["index"]))
        return original(examples)

    monkeypatch.setattr(shards, "serialize", spy)
    config = LensingConfig("c", npix=64, lx=5.0)
    count = 3 * block_size(64) + 1
    shards.write_shard(shards.ShardSpec(config, "train", 0, count, str(tmp_path / "shard")))
    assert sizes == [block_size(64)] * 3 + [1]


def test_an_unwritable_shard_names_its_path_and_leaves_nothing(tmp_path, tiny):
    (tmp_path / "file").write_text("not a folder")
    path = str(tmp_path / "file" / "shard")
    with pytest.raises(LensingError, match=f"cannot write {path}"):
        shards.write_shard(shards.ShardSpec(tiny, "train", 0, 4, path))


def test_an_interrupted_shard_leaves_nothing(tmp_path, tiny):
    class Interrupted(Exception):
        pass

    def interrupt(_):
        raise Interrupted

    spec = shards.ShardSpec(tiny, "train", 0, 4, str(tmp_path / "shard"))
    with pytest.raises(Interrupted):
        shards.write_shard(spec, interrupt)
    assert not list(tmp_path.iterdir())
