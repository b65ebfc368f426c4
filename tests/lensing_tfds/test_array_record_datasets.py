"""Datasets of ArrayRecord shards are built, resumed, mended and read as those of TFRecord are."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from lensing_tfds import LensingConfig, LensingError, simulate
from lensing_tfds.build import main
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records.building import build
from lensing_tfds.records.datasets import open_built
from lensing_tfds.records.reading import evaluation_batches

TQU = LensingConfig(
    "tqu", npix=16, lx=2.0, stokes="TQU", oversampling=2, unlensed_E=True,
    num_examples={"train": 5, "validation": 2, "test": 2},
)  # fmt: skip


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """The files' contents, by name."""
    (folder,) = folder.glob("lensing/*/*")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("array_record")
    build(TQU, str(folder), 2, "array_record")
    return folder


def test_the_files_are_those_that_tfds_builds(built, tmp_path):
    settings = tfds.download.DownloadConfig(num_shards=2)
    builder = Builder(config=TQU, data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare(download_config=settings)
    assert contents(tmp_path) == contents(built)
    assert "lensing-train.array_record-00001-of-00002.crc32c" in contents(built)


def test_tfds_and_we_read_the_same_examples_at_random(built):
    source = tfds.data_source("lensing/tqu", split="train", data_dir=built)
    stored = open_built("tqu", str(built))
    assert (stored.file_format, len(source)) == ("array_record", 5)
    expected = simulate(TQU, "train", range(5))
    (ours,) = evaluation_batches(stored, "train", 5)
    for name, values in expected.items():
        np.testing.assert_array_equal(ours[name], values)
        for index in (3, 0, 4):
            np.testing.assert_array_equal(source[index][name], values[index])


def test_a_builder_of_the_version_opens_it_as_tfds_does(built):
    source = Builder(config=TQU, data_dir=built).as_data_source("test")
    assert [int(example["index"]) for example in source] == [0, 1]


def test_a_build_goes_on_in_its_format_and_writes_again_what_is_damaged(built, tmp_path):
    build(TQU, str(tmp_path), 2, "array_record")
    (folder,) = tmp_path.glob("lensing/*/*")
    shard = folder / "lensing-train.array_record-00001-of-00002"
    for name in ("dataset_info.json", "lensing-test.array_record-00000-of-00002"):
        (folder / name).unlink()
    damaged = bytearray(shard.read_bytes())
    damaged[1000] ^= 1
    shard.write_bytes(damaged)
    (folder / "metadata.json").write_text("{}")  # so that only names say which format it is
    summary = build(TQU, str(tmp_path))
    assert contents(tmp_path) == contents(built)
    assert (summary.total.shards, summary.total.reused) == (6, 4)


def test_the_other_format_is_refused_before_any_work(built, tmp_path):
    before = contents(built)
    line = "has, or was to have, array_record shards, not tfrecord: leave the format out"
    with pytest.raises(LensingError, match=line):
        build(TQU, str(built), None, "tfrecord")
    with pytest.raises(LensingError, match=line):
        Builder(config=TQU, data_dir=built, file_format="tfrecord").download_and_prepare()
    assert contents(built) == before
    build(TQU, str(tmp_path))
    with pytest.raises(LensingError, match="has, or was to have, tfrecord shards, not array_rec"):
        Builder(config=TQU, data_dir=tmp_path, file_format="array_record").download_and_prepare()


def test_what_tfds_cannot_read_is_answered_with_what_can(built, tmp_path):
    with pytest.raises(LensingError, match=r"tf\.data does not read: use tfds\.data_source or"):
        Builder(config=TQU, data_dir=built).as_dataset()
    build(TQU, str(tmp_path))
    with pytest.raises(LensingError, match=r"tfds\.data_source does not read: use tfds\.load or"):
        Builder(config=TQU, data_dir=tmp_path).as_data_source()


def test_a_damaged_dataset_gives_no_source(tmp_path):
    small = dataclasses.replace(TQU, num_examples={"train": 1, "validation": 1, "test": 1})
    build(small, str(tmp_path), 1, "array_record")
    path = tmp_path / "lensing" / "tqu" / DATASET_VERSION / "metadata.json"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(LensingError, match="metadata.json is damaged: its checksum differs"):
        Builder(config=small, data_dir=tmp_path).as_data_source()


def test_the_command_takes_the_format_and_names_those_there_are(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--config", "v7", "--data_dir", str(tmp_path), "--file_format", "parquet"])
    line = "error: file format parquet: lensing is written as tfrecord, array_record\n"
    assert capsys.readouterr().err == line
    assert not list(tmp_path.iterdir())
