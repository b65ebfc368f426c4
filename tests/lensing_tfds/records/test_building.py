"""A build without TFDS leaves the files of one with it, and goes on with the other's."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from lensing_tfds import VERSIONS, LensingConfig, LensingError
from lensing_tfds.build import main
from lensing_tfds.configs import DATASET_VERSION, SPLITS
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records import dataset_files
from lensing_tfds.records.building import Building, build
from lensing_tfds.records.shard_summary import ShardSummary, SplitSummary

ROOT = pathlib.Path(__file__).parents[3]
WITHOUT_TENSORFLOW = ROOT / "tests" / "backends" / "without_tensorflow.py"

POLARIZED = LensingConfig(
    "polarized", npix=16, lx=2.0, stokes="TQU", oversampling=2, unlensed_E=True,
    num_examples={"train": 5, "validation": 2, "test": 2},
)  # fmt: skip


def contents(folder):
    """The files' contents, by name."""
    (folder,) = folder.glob("lensing/*/*")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def with_tfds(config, folder, num_shards=None):
    settings = tfds.download.DownloadConfig(num_shards=num_shards)
    Builder(config=config, data_dir=folder).download_and_prepare(download_config=settings)


@pytest.fixture
def both(tiny):
    """Configs of T, and of T, Q, U and E."""
    return tiny, POLARIZED


def test_its_files_are_those_of_tfds_byte_for_byte(both, tmp_path):
    for config in both:
        ours, theirs = tmp_path / config.name / "ours", tmp_path / config.name / "theirs"
        build(config, str(ours), 2)
        with_tfds(config, theirs, 2)
        assert contents(ours) == contents(theirs)


@pytest.mark.parametrize("name", ["v1", "v10"])
def test_a_version_is_described_as_by_tfds(name, tmp_path):
    config = VERSIONS[name]
    building = Building(config, str(tmp_path))
    plans = [building.plan(split) for split in SPLITS]
    summary = ShardSummary({p.split: SplitSummary(num_bytes=12345) for p in plans})
    builder = Builder(config=config, data_dir=tmp_path)
    builder.info.set_splits(tfds.core.SplitDict([builder._split_info(p, summary) for p in plans]))
    written = dataset_files.files(config, dict(builder.info.metadata), plans, summary)
    assert written == builder._files()


def test_either_goes_on_with_the_others_build(tiny, tmp_path):
    build(tiny, str(tmp_path), 3)
    before = contents(tmp_path)
    (folder,) = tmp_path.glob("lensing/*/*")
    for go_on in (lambda: with_tfds(tiny, tmp_path), lambda: build(tiny, str(tmp_path))):
        for name in ("dataset_info.json", "lensing-train.tfrecord-00001-of-00003"):
            (folder / name).unlink()
        go_on()
        assert contents(tmp_path) == before


def test_it_writes_again_what_is_damaged_and_nothing_else(tiny, tmp_path):
    build(tiny, str(tmp_path), 3)
    before = contents(tmp_path)
    (folder,) = tmp_path.glob("lensing/*/*")
    shard = folder / "lensing-train.tfrecord-00001-of-00003"
    damaged = bytearray(shard.read_bytes())
    damaged[1000] ^= 1
    shard.write_bytes(damaged)
    (folder / "metadata.json").write_text("{}")
    summary = build(tiny, str(tmp_path))
    assert contents(tmp_path) == before
    assert (summary.total.shards, summary.total.reused) == (9, 8)


def test_another_config_or_number_of_shards_is_refused(tiny, tmp_path):
    build(tiny, str(tmp_path), 3)
    with pytest.raises(LensingError, match=r"holds another config named 'tiny' \(seed: 0 .*4\)"):
        build(dataclasses.replace(tiny, seed=4), str(tmp_path))
    with pytest.raises(LensingError, match="3 train shards, not 2: leave the number out"):
        build(tiny, str(tmp_path), 2)
    with pytest.raises(LensingError, match="num_shards is 0: must be at least 1"):
        build(tiny, str(tmp_path), 0)


def test_the_command_builds_where_tensorflow_is_not(tiny, tmp_path):
    script = ROOT / "lensing_tfds" / "build.py"
    config = json.dumps(dataclasses.replace(tiny, name="wide").to_json())
    ended = subprocess.run(
        [sys.executable, WITHOUT_TENSORFLOW, script, "--config", config, "--data_dir", tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"lensing/wide is in {tmp_path}: ")
    loaded = tfds.load("lensing/wide", split="train", data_dir=tmp_path)
    assert [int(e["index"]) for e in loaded] == list(range(40))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        main(["--config", "v7", "--data_dir", f"{tmp_path}/file"])
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.count("\n") == 1
    assert error.startswith(f"error: data_dir {tmp_path}/file cannot be written")
    assert not list(tmp_path.glob(f"**/{DATASET_VERSION}"))
