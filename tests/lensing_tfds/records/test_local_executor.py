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
from lensing_tfds.records.shard_plans import SplitPlan
from tests.processes import assert_all_end, writer_of

CONFIG = LensingConfig(
    "many", npix=64, lx=5.0, num_examples={"train": 400, "validation": 40, "test": 40}
)


def plans(folder, config=CONFIG, num_shards=8):
    return [
        SplitPlan(config, split, num_shards if split == "train" else 1, f"{folder}/{split}")
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
    import sys
    from lensing_tfds import LensingConfig, LensingError
    from lensing_tfds.records import local_executor
    from lensing_tfds.records.shard_plans import SplitPlan
    config = LensingConfig("big", npix=256, lx=10.0,
                           num_examples={"train": 4000, "validation": 1, "test": 1})
    plan = SplitPlan(config, "train", 2, sys.argv[1] + "/train")
    print("started", flush=True)
    try:
        local_executor.write_locally([plan], workers=2)
    except LensingError as error:
        print("error:", error, flush=True)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    """
)


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def workers_of(process, folder):
    """Those that write shards, as soon as both do."""
    deadline = time.monotonic() + 60
    while True:
        workers = [writer_of(path) for path in folder.glob("*unfinished*")]
        if len(workers) == 2 and None not in workers:
            return workers
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_worker_ends_the_build_in_one_line(tmp_path):
    process = start(tmp_path)
    os.kill(workers_of(process, tmp_path)[0], signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert "error: a worker process was killed" in output
    assert_all_end(process.pid)


@pytest.mark.parametrize("cause", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_workers_end_with_their_parent_whatever_ended_it(tmp_path, cause):
    process = start(tmp_path)
    assert process.pid not in workers_of(process, tmp_path)
    os.kill(process.pid, cause)  # it alone, as a batch system or the kernel does
    process.wait(timeout=30)
    assert_all_end(process.pid)


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.1, 0.3, 0.6, 1.0])
def test_workers_that_are_only_starting_end_with_their_parent_too(tmp_path, moment):
    process = start(tmp_path)
    process.stdout.readline()
    time.sleep(moment)
    process.kill()
    process.wait(timeout=30)
    assert_all_end(process.pid)


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.1, 0.3, 0.6, 1.0, "at work"])
def test_ctrl_c_ends_the_workers_too_and_nobody_prints_a_traceback(tmp_path, moment):
    process = start(tmp_path)
    if moment == "at work":
        workers_of(process, tmp_path)
    else:
        process.stdout.readline()
        time.sleep(moment)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, errors = process.communicate(timeout=30)
    assert output.endswith("stopped\n") and "Traceback" not in errors
    assert_all_end(process.pid)
