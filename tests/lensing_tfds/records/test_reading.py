"""Whoever reads a shard gets the examples that it must have, all of them, or its name."""

import dataclasses
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import given
from hypothesis import strategies as st

from lensing_tfds import LensingError, simulate
from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records import reading, seals, shards, split_reader, storage, tfrecord
from lensing_tfds.records.datasets import open_built
from lensing_tfds.records.shard_plans import ShardSpec
from trainer.data import stream
from trainer.data.source import steps_per_pass
from trainer.data.stored import StoredExamples
from trainer.settings.config import resolve

TINY = LensingConfig(
    "tiny", npix=16, lx=5.0, num_examples={"train": 50, "validation": 10, "test": 11}
)


@pytest.fixture(scope="module")
def intact(tmp_path_factory) -> pathlib.Path:
    """A folder with `lensing/tiny`, in three shards a split: train has 16 + 17 + 17 examples."""
    folder = tmp_path_factory.mktemp("intact")
    Builder(config=TINY, data_dir=folder).download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=3)
    )
    return folder


@pytest.fixture
def dataset(intact, tmp_path) -> pathlib.Path:
    """The folder of a copy, to be spoilt."""
    shutil.copytree(intact / "lensing", tmp_path / "lensing")
    return tmp_path / "lensing" / "tiny" / DATASET_VERSION


def opened(dataset):
    return open_built("tiny", str(dataset.parent.parent.parent))


def shard_of(dataset, split="train", number=2):
    return dataset / f"lensing-{split}.tfrecord-{number:05d}-of-00003"


def emptied(shard):
    shard.write_bytes(b"")


def cut_between_records(shard):
    content = shard.read_bytes()
    record = tfrecord.num_bytes(dict.fromkeys(("lensed", "unlensed", "kappa"), 4 * 16**2), 0, 1)
    assert len(content) % record == 0
    shard.write_bytes(content[: 2 * record])


def lengthened(shard):
    shard.write_bytes(shard.read_bytes() + shard.read_bytes())


def swapped(shard):
    """For another one of the same size."""
    number = int(shard.name[-len("0-of-00003")])
    shutil.copyfile(str(shard).replace(f"{number}-of", f"{number - 1}-of"), shard)


def flipped(shard):
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(bytes(content))


def removed(shard):
    shard.unlink()


DAMAGES = {
    emptied: r"has 0 of its \d+ examples",
    cut_between_records: r"has 2 of its \d+ examples",
    lengthened: r"has more than its \d+ examples",
    swapped: r"has example \d+ in place of \d+",
    flipped: "is truncated or corrupted",
    removed: "is missing",
}


def in_order(stored, split):
    return list(reading.evaluation_batches(stored, split, 8))


def a_slice(stored, split):
    return list(reading.evaluation_batches(stored, f"{split}[-17:]", 8))  # the last shard


def training_stream(stored, split, max_examples=None):
    settings = resolve("lensing/tiny", "", TINY, model="1x4-3", batch_size=16, epochs=2)
    source = StoredExamples(stored, max_examples)
    steps = 2 * steps_per_pass(source, settings.batch_size)
    return list(stream.training_batches(source, settings, range(steps)))


def validation_stream(stored, split):
    return list(stream.validation_batches(stored, 4))


def without_tensorflow(stored, split):
    return [list(shards.read_shard(spec)) for spec in stored.plan(split).shards()]


READERS = {
    in_order: "train",
    a_slice: "train",
    training_stream: "train",
    validation_stream: "validation",
    without_tensorflow: "test",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("read", READERS, ids=lambda f: f.__name__)
def test_every_reader_names_the_shard_and_what_is_wrong_with_it(dataset, read, damage):
    split = READERS[read]
    shard = shard_of(dataset, split)
    stored = opened(dataset)
    read(stored, split)  # it can
    damage(shard)
    message = f"shard {re.escape(str(shard))} {DAMAGES[damage]}"
    with pytest.raises(LensingError, match=message):
        read(stored, split)


@pytest.mark.parametrize(
    "damage", [emptied, cut_between_records, swapped], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("read", [in_order, training_stream], ids=lambda f: f.__name__)
def test_a_shard_that_is_damaged_while_it_is_read_is_no_end_either(
    dataset, monkeypatch, read, damage
):
    """Sizes were right when the reading began."""
    stored = opened(dataset)
    sizes = storage.sizes(str(dataset))
    monkeypatch.setattr(storage, "sizes", lambda folder: sizes)
    damage(shard_of(dataset))
    message = f"shard {re.escape(str(shard_of(dataset)))} {DAMAGES[damage]}"
    with pytest.raises(LensingError, match=message):
        read(stored, "train")


@pytest.mark.parametrize("split", ["train", "train[:3]", "train[15:17]", "train[20:]", "test[4:9]"])
def test_slices_have_their_indices(dataset, split):
    first, last = {
        "train": (0, 50), "train[:3]": (0, 3), "train[15:17]": (15, 17), "train[20:]": (20, 50),
        "test[4:9]": (4, 9),
    }[split]  # fmt: skip
    batches = reading.evaluation_batches(opened(dataset), split, 4)
    index = np.concatenate([batch["index"] for batch in batches])
    np.testing.assert_array_equal(index, np.arange(first, last))


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4), st.integers(1, 2**12))
def test_the_size_of_records_is_known_without_them(indices, size):
    maps = {"kappa": np.zeros((1, size), "<f4"), "other": np.zeros((1, 3), "<f4")}
    map_bytes = {name: values.nbytes for name, values in maps.items()}
    for index in indices:
        record = tfrecord.stretches([maps | {"index": np.array([index])}])
        assert tfrecord.num_bytes(map_bytes, index, index + 1) == sum(map(len, record))


@given(st.integers(0, 2**20), st.integers(0, 300), st.integers(1, 2**13))
def test_the_size_of_a_file_is_that_of_its_records(start, count, size):
    indices = range(start, start + count)
    sizes = [tfrecord.num_bytes({"kappa": size}, index, index + 1) for index in indices]
    assert tfrecord.num_bytes({"kappa": size}, start, start + count) == sum(sizes)


def test_a_right_shard_of_another_size_is_read(dataset, monkeypatch):
    """Another writer's protobuf may be longer."""
    monkeypatch.setattr(ShardSpec, "usual_bytes", 1)
    kappa = np.concatenate([batch["kappa"] for batch in in_order(opened(dataset), "train")])
    np.testing.assert_array_equal(kappa, simulate(TINY, "train", range(50))["kappa"])


@pytest.mark.parametrize("read", READERS, ids=lambda f: f.__name__)
def test_another_datasets_shards_of_the_same_shape_are_refused(dataset, tmp_path, read):
    other = dataclasses.replace(TINY, name="other", seed=8)
    Builder(config=other, data_dir=tmp_path).download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=3)
    )
    split = READERS[read]
    shard = shard_of(dataset, split)
    for name in (shard.name, f"{shard.name}{seals.SHARD_SEAL}"):
        shutil.copyfile(tmp_path / "lensing" / "other" / DATASET_VERSION / name, dataset / name)
    stored = opened(dataset)
    message = f"shard {shard} holds other examples"
    with pytest.raises(LensingError, match=message):
        read(stored, split)


def test_no_shard_is_looked_at_before_it_is_due(dataset, monkeypatch):
    looked_at = []
    monkeypatch.setattr(
        split_reader, "refuse_other_examples", lambda spec, remedy: looked_at.append(spec.start)
    )
    batches = reading.evaluation_batches(opened(dataset), "train", 1)
    next(batches)
    assert looked_at == [0]
    assert len(list(batches)) == 49 and looked_at == [0, 16, 33]
