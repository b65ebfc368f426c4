"""Nothing finished is lost: builds that are killed, share a folder, or run out of disk."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import tensorflow_datasets as tfds

from lensing_tfds import LensingConfig, LensingError
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records.local_executor import WORKERS_VARIABLE

CONFIG = LensingConfig(
    "many", npix=128, lx=5.0, num_examples={"train": 600, "validation": 20, "test": 20}
)
NUM_SHARDS = 12

BUILD = textwrap.dedent(
    f"""
    import sys
    import tensorflow_datasets as tfds
    from lensing_tfds.lensing_tfds_dataset_builder import Builder
    from lensing_tfds import LensingConfig, LensingError
    config = LensingConfig.from_json({CONFIG.to_json()!r})
    settings = tfds.download.DownloadConfig(num_shards={NUM_SHARDS})
    try:
        Builder(config=config, data_dir=sys.argv[1]).download_and_prepare(download_config=settings)
    except LensingError as error:
        sys.exit(f"error: {{error}}")
    """
)


def data_folder(data_dir):
    return pathlib.Path(data_dir) / "lensing" / "many" / DATASET_VERSION


def contents(data_dir):
    return {path.name: path.read_bytes() for path in data_folder(data_dir).iterdir()}


def start(data_dir, workers=1, **kwargs):
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(data_dir)],
        env=os.environ | {WORKERS_VARIABLE: str(workers)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **kwargs,
    )


def build(data_dir):
    builder = Builder(config=CONFIG, data_dir=data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=NUM_SHARDS)
    )
    return builder


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    build(folder)
    return contents(folder)


def wait_for(condition, process):
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("workers", "moment"),
    [
        (1, "*metadata.json"),
        (1, ".unfinished*00000-of-00012"),
        (1, "*00002-of-00012.crc32c"),
        (1, "*test*"),
        (2, "*00003-of-00012"),
    ],
)
def test_a_killed_build_goes_on_where_it_was(tmp_path, uninterrupted, workers, moment):
    process = start(tmp_path, workers)
    wait_for(lambda: list(data_folder(tmp_path).glob(moment)), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = {path: path.stat().st_mtime_ns for path in data_folder(tmp_path).glob("*-of-?????")}
    sealed = [path for path in before if pathlib.Path(f"{path}.crc32c").exists()]
    assert not (data_folder(tmp_path) / "dataset_info.json").exists()
    builder = build(tmp_path)
    assert contents(tmp_path) == uninterrupted  # with no half-written file beside
    assert all(path.stat().st_mtime_ns == before[path] for path in sealed)
    assert builder.summary.total.reused == len(sealed)


def test_two_builds_at_once_do_not_disturb_each_other(tmp_path, uninterrupted):
    both = [start(tmp_path), start(tmp_path)]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert contents(tmp_path) == uninterrupted


def test_an_interrupted_build_keeps_its_number_of_shards(tmp_path):
    def fail(plans):
        raise LensingError("the machine went away")

    builder = Builder(config=CONFIG, data_dir=tmp_path)
    builder.executor = fail
    with pytest.raises(LensingError, match="went away"):
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    with pytest.raises(LensingError, match=r"has, or was to have, 3 train shards, not 5"):
        Builder(config=CONFIG, data_dir=tmp_path).download_and_prepare(
            download_config=tfds.download.DownloadConfig(num_shards=5)
        )
    builder = Builder(config=CONFIG, data_dir=tmp_path)
    builder.download_and_prepare()  # no number asked for: it goes on
    assert builder.info.splits["train"].num_shards == 3


def test_an_executor_that_loses_a_shard_is_found_out(tmp_path):
    builder = Builder(config=CONFIG, data_dir=tmp_path)
    complete = builder.executor
    builder.executor = lambda plans: complete(plans[1:])
    with pytest.raises(LensingError, match="of 1 train shards with 600 examples, 0 with 0"):
        builder.download_and_prepare()
    assert not builder.is_prepared()


def test_a_file_that_may_not_grow_is_named_and_the_build_goes_on_later(tmp_path, uninterrupted):
    """The kernel refuses as a full disk would, after the smaller splits' shards."""
    limit = 1_200_000  # bytes a file
    limited = textwrap.dedent(
        f"""
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        """
    )
    process = subprocess.run(
        [sys.executable, "-c", limited + BUILD, str(tmp_path)],
        env=os.environ | {WORKERS_VARIABLE: "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "error: cannot write" in process.stderr and "File too large" in process.stderr
    assert not list(data_folder(tmp_path).glob("*unfinished*"))
    build(tmp_path)
    assert contents(tmp_path) == uninterrupted


CAN_MOUNT = (
    subprocess.run(
        ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
    ).returncode
    == 0
    if shutil.which("unshare")
    else False
)


@pytest.mark.skipif(not CAN_MOUNT, reason="no file system of a test's own can be mounted here")
def test_a_full_disk_is_named_and_the_build_goes_on_later(tmp_path, uninterrupted):
    (tmp_path / "build.py").write_text(BUILD)
    (tmp_path / "disk").mkdir()
    script = f"""
        set -e
        mount -t tmpfs -o size=30m none {tmp_path}/disk
        if {sys.executable} {tmp_path}/build.py {tmp_path}/disk; then exit 3; fi
        cp -r {tmp_path}/disk {tmp_path}/when_full
        mount -o remount,size=300m {tmp_path}/disk
        {sys.executable} {tmp_path}/build.py {tmp_path}/disk
        cp -r {tmp_path}/disk {tmp_path}/later
    """
    process = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script],
        env=os.environ | {WORKERS_VARIABLE: "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "error: cannot write" in process.stderr
    assert "No space left on device" in process.stderr and "Traceback" not in process.stderr
    left = contents(tmp_path / "when_full")
    finished = [name for name in left if f"{name}.crc32c" in left]
    assert finished and all(left[name] == uninterrupted[name] for name in finished)
    assert not any("unfinished" in name for name in left)
    assert contents(tmp_path / "later") == uninterrupted
    assert f"({len(finished)} reused)" in process.stderr


def damage_two(data_dir):
    """Flips a bit of one shard and cuts another short."""
    flipped, cut = sorted(data_folder(data_dir).glob("*train*-of-?????"))[3:5]
    data = bytearray(flipped.read_bytes())
    data[len(data) // 3] ^= 4
    flipped.write_bytes(data)
    cut.write_bytes(cut.read_bytes()[:-100])
    return flipped, cut


def tfds_build(data_dir):
    return subprocess.run(
        [str(pathlib.Path(sys.executable).with_name("tfds")), "build", "lensing_tfds"]
        + ["--config", json.dumps(CONFIG.to_json()), "--data_dir", str(data_dir)],
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_tfds_command_writes_just_the_damaged_shards_again(tmp_path, uninterrupted):
    build(tmp_path)
    damaged = damage_two(tmp_path)
    before = {path: path.stat().st_ino for path in data_folder(tmp_path).glob("*-of-?????")}
    assert "36 shards (34 reused)" in tfds_build(tmp_path).stderr
    after = {path: path.stat().st_ino for path in data_folder(tmp_path).glob("*-of-?????")}
    assert {path for path in before if before[path] != after[path]} == set(damaged)
    assert contents(tmp_path) == uninterrupted


def test_loading_a_prepared_dataset_does_not_read_it_all(tmp_path):
    """Only `tfds build` verifies: a loader of terabytes would wait."""
    build(tmp_path)
    damage_two(tmp_path)
    builder = build(tmp_path)
    assert builder.summary is None
