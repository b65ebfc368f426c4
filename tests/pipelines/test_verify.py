"""Damage is found, named, and mended by the command that is printed."""

import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from lensing_tfds import LensingConfig
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from pipelines import verify

TINY = LensingConfig(
    "tiny", npix=16, lx=5.0, num_examples={"train": 40, "validation": 7, "test": 5}
)


@pytest.fixture
def built(tmp_path):
    builder = Builder(config=TINY, data_dir=tmp_path)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    return builder


def run(data_dir):
    verify.main(["--dataset", "lensing/tiny", "--data_dir", str(data_dir)])


def test_an_intact_dataset(tmp_path, built, capsys):
    run(tmp_path)
    assert capsys.readouterr().out == "lensing/tiny: all 9 shards are intact\n"


def test_damaged_shards_are_named_and_the_printed_command_mends_them(tmp_path, built, capsys):
    flipped, cut, lost = sorted(built.data_path.glob("*-of-00003"))[2:5]
    data = bytearray(flipped.read_bytes())
    data[1000] ^= 1
    flipped.write_bytes(bytes(data))
    cut.write_bytes(cut.read_bytes()[:-5])
    lost.unlink()
    with pytest.raises(SystemExit) as caught:
        run(tmp_path)
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    found = out.splitlines()
    assert len(found) == 3
    assert found[0].startswith(f"shard {flipped} ") and "checksum differs" in found[0]
    assert found[1].startswith(f"shard {cut} has ") and "bytes instead of" in found[1]
    assert found[2] == f"shard {lost} is missing"
    line = err.splitlines()[-1]
    assert line.startswith("error: 3 of 9 shards are damaged")
    command = line.split("again: ")[1]
    with_tfds = os.environ | {"PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    mended = subprocess.run(
        command, shell=True, env=with_tfds, capture_output=True, text=True, check=True
    )
    assert "9 shards (6 reused)" in mended.stderr
    run(tmp_path)


def test_a_dataset_that_is_not_there_or_not_finished_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path)
    assert "lensing/tiny is not in" in capsys.readouterr().err
    (tmp_path / "lensing" / "tiny" / DATASET_VERSION).mkdir(parents=True)
    with pytest.raises(SystemExit):
        run(tmp_path)
    assert "was not finished" in capsys.readouterr().err


@pytest.mark.parametrize(
    "module", ["lensing_tfds.records.datasets", "lensing_tfds.lensing_tfds_dataset_builder"]
)
def test_what_tfds_registers_can_be_imported_first_or_last(module):
    """TFDS imports the builder while whoever needs TFDS is imported."""
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)


def test_the_command_as_it_is_typed(tmp_path, built):
    command = [sys.executable, "-m", "pipelines.verify", "--dataset", "lensing/tiny"]
    command += ["--data_dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "lensing/tiny: all 9 shards are intact\n"
