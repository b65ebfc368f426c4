"""The pool of processes: the same shards, and what happens when a worker is killed."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from lensing_tfds import LensingConfig, LensingError
from lensing_tfds.records import local_executor, shards
from lensing_tfds.records.local_executor import WORKERS_VARIABLE

CONFIG = LensingConfig(
    "many", npix=64, lx=5.0, num_examples={"train": 400, "validation": 40, "test": 40}
)


def plans(folder, config=CONFIG, num_shards=8):
    return [
        shards.SplitPlan(config, split, num_shards if split == "train" else 1, f"{folder}/{split}")
        for split in ("train", "validation", "test")
    ]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_pool_writes_what_one_process_writes(tmp_path):
    for workers in (1, 2):
        (tmp_path / str(workers)).mkdir()
        summary = local_executor.write_locally(plans(tmp_path / str(workers)), workers)
        assert (summary["train"].shards, summary["train"].num_examples) == (8, 400)
        assert summary.total.num_examples == 480 and summary.total.reused == 0
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_the_largest_shards_come_first(tmp_path):
    """So that no worker begins the longest one when the others have ended."""
    last_first = plans(tmp_path, num_shards=2)[::-1]
    results = list(local_executor.each_shard(shards.write_shard, last_first, 1))
    assert [result.num_examples for result in results] == [200, 200, 40, 40]


def test_workers_are_settable(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKERS_VARIABLE, "3")
    assert local_executor._worker_count(plans(tmp_path)) == 3
    assert local_executor._worker_count(plans(tmp_path)[1:2]) == 1  # no more than shards
    for bad in ("0", "-1", "two", ""):
        monkeypatch.setenv(WORKERS_VARIABLE, bad)
        with pytest.raises(LensingError, match=f"{WORKERS_VARIABLE} is '{bad}'"):
            local_executor._worker_count(plans(tmp_path))


def test_by_default_all_cores_work_when_there_is_work(tmp_path, monkeypatch):
    monkeypatch.delenv(WORKERS_VARIABLE, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    assert local_executor._worker_count(plans(tmp_path)) == 1  # a fraction of a second
    large = dataclasses.replace(CONFIG, num_examples=dict(CONFIG.num_examples, train=10**6))
    assert local_executor._worker_count(plans(tmp_path, large)) == 4


# As a person would write it: without `if __name__ == "__main__"`.
SCRIPT = textwrap.dedent(
    """
    import os, signal, sys
    from lensing_tfds import LensingConfig, LensingError
    from lensing_tfds.records import local_executor, shards
    # A shell that runs the tests in the background lets its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config = LensingConfig("big", npix=256, lx=10.0,
                           num_examples={"train": 4000, "validation": 1, "test": 1})
    plan = shards.SplitPlan(config, "train", 2, sys.argv[1] + "/train")
    print("started", flush=True)
    try:
        local_executor.write_locally([plan], workers=2)
    except LensingError as error:
        print("error:", error, flush=True)
    """
)


def start(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*unfinished*"))) < 2:  # both workers are at work
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_a_killed_worker_ends_the_build_in_one_line(tmp_path):
    process = start(tmp_path)
    writing = int(next(tmp_path.glob("*unfinished*")).name.split("-")[-2])
    os.kill(writing, signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert "error: a worker process was killed" in output


def test_ctrl_c_ends_the_workers_too(tmp_path):
    process = start(tmp_path)
    workers = [int(path.name.split("-")[-2]) for path in tmp_path.glob("*unfinished*")]
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) != 0
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
