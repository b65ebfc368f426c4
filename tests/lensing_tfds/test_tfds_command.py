"""The command `tfds build`, which is not ours, but our users: on any stream, from any shell."""

import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import time

import pytest

from lensing_tfds import LensingConfig, LensingError
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.lensing_tfds_dataset_builder import Builder, _require_a_config
from tests.processes import assert_all_end

TINY = LensingConfig("tiny", npix=16, lx=5.0, num_examples={"train": 4, "validation": 1, "test": 1})
TFDS = pathlib.Path(sys.executable).with_name("tfds")
ROOT = pathlib.Path(__file__).parents[2]


def start(*arguments, **environment):
    return subprocess.Popen(
        [TFDS, "build", "lensing_tfds", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def built(home):
    """What a build says where nothing but ASCII can be printed."""
    (home / "tmp").mkdir()
    process = start(
        *("--config", json.dumps(TINY.to_json()), "--data_dir=~/datasets"),
        HOME=str(home),
        TMPDIR=str(home / "tmp"),
        PYTHONIOENCODING="ascii",
    )
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return output


def test_the_home_folder_is_expanded_where_no_shell_does(built, home):
    assert (home / "datasets" / "lensing" / "tiny" / DATASET_VERSION / "dataset_info.json").exists()
    assert not (ROOT / "~").exists()


def test_in_python_too(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    builder = Builder(config=TINY, data_dir="~/datasets")
    assert builder.data_dir.startswith(f"{tmp_path}/datasets/lensing/tiny/")
    assert pickle.loads(pickle.dumps(builder)).data_dir == builder.data_dir


def test_no_temporary_folder_is_left(built, home):
    assert list((home / "tmp").iterdir()) == []


def test_letters_that_the_stream_lacks_are_spelled(built):
    assert "kappa" in built and built.isascii()


def test_the_end_of_a_build_shows_no_bibliography(built):
    assert "@article" not in built
    assert "entries of BibTeX: builder.info.citation>" in built
    assert Builder(config=TINY).info.citation.startswith("@")


def test_all_versions_are_built_only_by_naming_each(tmp_path):
    process = start("--data_dir", str(tmp_path))
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("error: which version? Name it, as by: --config v7 (")
    assert "v10 10.5" in errors and "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "lensing_tfds", "--config", "v7"],
        ["build", "lensing_tfds", "--config=v7"],
        ["build", "lensing_tfds", "-c", "v7"],
        ["build", "lensing_tfds", "--config_idx=6"],
        ["build", "lensing_tfds", "--builder_config_id", "6"],
        ["build", "lensing/v7", "--imports", "lensing_tfds"],
    ],
)
def test_a_version_may_be_named_in_every_way_of_tfds(arguments):
    _require_a_config(arguments)
    with pytest.raises(LensingError, match="which version"):
        _require_a_config(["build", "lensing_tfds", "--data_dir", "/data/c", "--overwrite"])


@pytest.mark.parametrize("arguments", [["--config", ""], ["--config="], ["-c", ""], ["--config"]])
def test_an_empty_name_is_no_version(arguments):
    with pytest.raises(LensingError, match="which version"):
        _require_a_config(["build", "lensing_tfds", *arguments])


def test_a_json_after_a_short_flag_is_a_name():
    _require_a_config(["build", "lensing_tfds", "-c", '{"name": "x",\n"npix": 16}'])
    _require_a_config(["build", "lensing_tfds", "-cv7"])
    _require_a_config(["build", "lensing_tfds", "-c=v7"])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--config", ""], "error: which version?"),
        (["--config", "v7", "--config_idx", "3"], "error: Config should only be defined once"),
        (["--config", "v7", "--file_format", "parquet"], "error: file format parquet: "),
    ],
)
def test_what_tfds_cannot_do_is_one_line(tmp_path, arguments, line):
    process = start(*arguments, "--data_dir", str(tmp_path))
    _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith(line) and "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_workers_of_several_builds_at_once_end_with_tfds(tmp_path):
    """`--num_processes` forks workers that nobody tells when TFDS is killed."""
    large = LensingConfig(
        "large", npix=256, lx=10.0, num_examples=dict.fromkeys(TINY.num_examples, 9999)
    )
    process = start(
        *("--config", json.dumps(large.to_json()), "--data_dir", str(tmp_path)),
        *("--num_processes", "2"),
    )
    deadline = time.monotonic() + 90
    while not list(tmp_path.glob("lensing/large/*/.unfinished*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert_all_end(process.pid)


def test_ctrl_c_ends_a_build_that_just_starts_in_one_line(tmp_path):
    process = start("--config", "v9", "--data_dir", str(tmp_path))
    while "Loading dataset" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(1)  # until then TFDS is at work by itself
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert errors.endswith("stopped; what was finished is kept\n") and "Traceback" not in errors
    assert_all_end(process.pid)
