"""Shards: the same examples however they are cut, and nothing half-written."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lensing_tfds import simulate
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records import shard_seals, shards, tfrecord
from lensing_tfds.records.shard_plans import ShardSpec, SplitPlan, default_num_shards
from lensing_tfds.records.shard_summary import ShardResult, ShardSummary, SplitSummary
from lensing_tfds.simulation import block_size
from lensing_tfds.versions import VERSIONS

FEATURES = ("lensed", "unlensed", "kappa")


def read(paths, npix):
    """Decodes shards without TFDS: the format is tf.train.Example with raw float32 bytes."""
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in FEATURES}
    features["index"] = tf.io.FixedLenFeature([], tf.int64)
    records = list(tf.data.TFRecordDataset(paths).as_numpy_iterator())
    examples = tf.io.parse_example(records, features)
    maps = {
        name: tf.io.decode_raw(examples[name], tf.float32).numpy().reshape(-1, npix, npix, 1)
        for name in FEATURES
    }
    return maps | {"index": examples["index"].numpy()}


@given(num_examples=st.integers(1, 10**9), num_shards=st.integers(1, 50))
def test_shards_cover_a_split_once_and_evenly(num_examples, num_shards):
    config = LensingConfig(
        "c", npix=8, lx=1.0, num_examples={"train": num_examples, "validation": 1, "test": 1}
    )
    plan = SplitPlan(config, "train", num_shards, "/nowhere")
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
    plan = SplitPlan(config, "train", num_shards, f"{folder}/train")
    results = [shards.write_shard(spec) for spec in plan.shards()]
    assert [result.num_examples for result in results] == plan.shard_lengths
    examples = read([result.path for result in results], 16)
    expected = simulate(config, "train", range(40))
    for name in expected:
        np.testing.assert_array_equal(examples[name], expected[name])
    assert len(list(folder.iterdir())) == 2 * num_shards  # and seals, but no temporary file


def test_a_shard_is_written_again_to_the_same_bytes(tmp_path, tiny):
    first = shards.write_shard(ShardSpec(tiny, "train", 3, 9, str(tmp_path / "one")))
    again = shards.write_shard(ShardSpec(tiny, "train", 3, 9, str(tmp_path / "two")))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert first.num_bytes == again.num_bytes == (tmp_path / "one").stat().st_size
    assert (tmp_path / "one.crc32c").read_bytes() == (tmp_path / "two.crc32c").read_bytes()


def test_default_shards_are_100_to_200_MiB():
    for version in ("v6", "v7"):
        config = dataclasses.replace(
            VERSIONS[version],
            name="many",
            num_examples={"train": 10**6, "validation": 10, "test": 10},
        )
        count = default_num_shards(config, "train")
        size = 10**6 * 3 * 4 * config.npix**2 / count / 2**20
        assert 100 < size < 200
        assert default_num_shards(config, "test") == 1


def test_a_largest_size_of_shards_is_kept():
    config = VERSIONS["v7"]
    count = default_num_shards(config, "train", max_shard_bytes=2**20)
    assert 20_000 * 3 * 4 * 50**2 / count <= 2**20
    assert default_num_shards(config, "test", max_shard_bytes=1) == 1000  # an example each


def test_memory_is_bounded_by_a_block_not_by_the_shard(tmp_path, monkeypatch):
    sizes = []
    original = tfrecord.parts_alike

    def spy(examples):
        sizes.append(len(examples["index"]))
        return original(examples)

    monkeypatch.setattr(tfrecord, "parts_alike", spy)
    config = LensingConfig("c", npix=64, lx=5.0)
    count = 3 * block_size(64) + 1
    shards.write_shard(ShardSpec(config, "train", 0, count, str(tmp_path / "shard")))
    assert sizes == [block_size(64)] * 3 + [1]


def written(folder, config, start=0, stop=20):
    spec = ShardSpec(config, "train", start, stop, str(folder / "shard"))
    return spec, shards.write_shard(spec)


def test_a_finished_shard_is_verified_and_reused(tmp_path, tiny):
    spec, first = written(tmp_path, tiny)
    assert not first.reused and shard_seals.damage(spec) is None
    counted = []
    again = shards.write_shard(spec, counted.append)
    assert again.reused and counted == [20]
    assert (again.num_bytes, again.num_examples) == (first.num_bytes, first.num_examples)
    assert first.num_bytes == (tmp_path / "shard").stat().st_size


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def remove_seal(path):
    path.with_name("shard.crc32c").unlink()


def garble_seal(path):
    path.with_name("shard.crc32c").write_bytes(b"{\x00")


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (flip_a_bit, "checksum differs"),
        (truncate, "bytes instead of"),
        (lambda path: path.unlink(), "is missing"),
        (remove_seal, "no checksum beside it"),
        (garble_seal, "the checksum beside it is damaged"),
    ],
)
def test_damage_is_found_said_and_mended(tmp_path, tiny, harm, what):
    spec, _ = written(tmp_path, tiny)
    intact = (tmp_path / "shard").read_bytes()
    harm(tmp_path / "shard")
    assert what in shard_seals.damage(spec)
    assert not shards.write_shard(spec).reused
    assert (tmp_path / "shard").read_bytes() == intact and shard_seals.damage(spec) is None


@pytest.mark.parametrize(
    "other",
    [{"seed": 1}, {"noise_uK_arcmin": 3.0}, {"T_lmax": 200}, {"kappa_exaggeration_factor": 2.0}],
)
def test_a_shard_of_other_examples_is_not_reused(tmp_path, tiny, other):
    written(tmp_path, tiny)
    spec, result = written(tmp_path, dataclasses.replace(tiny, **other))
    assert not result.reused
    shifted, result = written(tmp_path, dataclasses.replace(tiny, **other), 1, 21)
    assert not result.reused
    assert (
        shard_seals.damage(spec) == "holds other examples" and shard_seals.damage(shifted) is None
    )


def test_name_and_number_of_examples_do_not_matter_to_a_shard(tmp_path, tiny):
    written(tmp_path, tiny)
    enlarged = dataclasses.replace(
        tiny, name="other", num_examples=dict(tiny.num_examples, train=99)
    )
    assert written(tmp_path, enlarged)[1].reused


def test_a_summary_folds_results_in_any_order():
    results = [
        ShardResult("train", "a", 10, 100, 2.0, False),
        ShardResult("train", "b", 11, 110, 4.0, False),
        ShardResult("test", "c", 5, 50, 0.5, True),
    ]
    summary = ShardSummary.of(results)
    assert summary["train"] == SplitSummary(2, 0, 21, 210, 6.0, 2.0, 4.0)
    assert summary["test"] == SplitSummary(1, 1, 5, 50)  # no time of one that was there
    assert summary["validation"] == SplitSummary()
    one, two = (
        ShardSummary.of(results[:1]),
        ShardSummary.of(results[1:]),
    )
    assert one + two == two + one == ShardSummary.of(reversed(results)) == summary
    assert ShardSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
    assert str(summary.total) == (
        "26 examples, 0 MB, 3 shards (1 reused); a shard took 3.00 s (2.00 to 4.00)"
    )


def test_an_unwritable_shard_names_its_path_and_leaves_nothing(tmp_path, tiny):
    (tmp_path / "file").write_text("not a folder")
    path = str(tmp_path / "file" / "shard")
    with pytest.raises(LensingError, match=f"cannot write {path}"):
        shards.write_shard(ShardSpec(tiny, "train", 0, 4, path))


def test_an_interrupted_shard_leaves_nothing(tmp_path, tiny):
    class Interrupted(Exception):
        pass

    def interrupt(_):
        raise Interrupted

    spec = ShardSpec(tiny, "train", 0, 4, str(tmp_path / "shard"))
    with pytest.raises(Interrupted):
        shards.write_shard(spec, interrupt)
    assert not list(tmp_path.iterdir())
