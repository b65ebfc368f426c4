"""The supervisor with children that are quick to start: shell commands, no search."""

import os
import sys

import pytest

from lensing_tfds.errors import LensingError
from tuning import supervisor
from tuning.supervisor import core_shares, supervise

# Stands in for `python -m tuning`: the chief listens until every worker's file is there.
CHILD = """
import os, pathlib, signal, socket, sys, time
folder = pathlib.Path({folder!r})
name = os.environ["KERASTUNER_TUNER_ID"]
(folder / (name + ".cores")).write_text(str(sorted(os.sched_getaffinity(0))))
(folder / (name + ".gpus")).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "unset"))
with (folder / (name + ".starts")).open("a") as file:
    file.write(".")
starts = len((folder / (name + ".starts")).read_text())
if name == "chief":
    listener = socket.create_server(("127.0.0.1", int(os.environ["KERASTUNER_ORACLE_PORT"])))
    while len(list(folder.glob("*.done"))) < {workers}:
        time.sleep(0.05)
    sys.exit(0)
{worker}
(folder / (name + ".done")).touch()
"""


@pytest.fixture(name="run", autouse=True)
def run_fixture(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "_LOOK_SECONDS", 0.05)

    def run(worker="", workers=2, ended=lambda: 0, environment=None, port=None):
        code = CHILD.format(folder=str(tmp_path), workers=workers, worker=worker)
        lines: list[str] = []
        command = [sys.executable, "-c", code]
        supervise(command, workers, port, ended, lines.append, environment)
        return lines

    return run


def starts(folder):
    return {p.stem: len(p.read_text()) for p in folder.glob("*.starts")}


@pytest.mark.parametrize(
    ("cores", "workers", "shares"),
    [
        ([0, 1], 1, [[0, 1]]),
        ([0, 1], 2, [[0], [1]]),
        ([0, 1], 3, [[0], [1], [0]]),
        ([2, 3, 4, 5, 6], 2, [[2, 3], [4, 5, 6]]),
    ],
)
def test_cores_are_dealt_out_once_each_while_there_are_enough(cores, workers, shares):
    assert core_shares(cores, workers) == shares


def test_each_worker_has_its_share_of_the_cores_and_of_the_gpus(run, tmp_path):
    before = os.sched_getaffinity(0)
    assert run(environment=dict(os.environ, CUDA_VISIBLE_DEVICES="4,5")) == []
    cores = [eval((tmp_path / f"worker-{i}.cores").read_text()) for i in (0, 1)]
    assert cores == core_shares(sorted(before), 2)
    gpus = [(tmp_path / f"{name}.gpus").read_text() for name in ("worker-0", "worker-1", "chief")]
    assert gpus == ["4", "5", "-1"]
    assert os.sched_getaffinity(0) == before


def test_a_worker_that_dies_is_started_again_under_its_name(run, tmp_path):
    lines = run("if name == 'worker-1' and starts < 3: os.kill(os.getpid(), signal.SIGKILL)")
    assert lines == ["worker-1 died of SIGKILL: starting it again"] * 2
    assert starts(tmp_path) == {"chief": 1, "worker-0": 1, "worker-1": 3}


def test_a_worker_that_dies_again_and_again_without_a_trials_end_is_given_up(run, tmp_path):
    with pytest.raises(LensingError, match="worker-0 died 11 times, now of SIGABRT"):
        run("os.abort()", workers=1)
    assert starts(tmp_path)["worker-0"] == 11


def test_deaths_are_counted_from_the_last_trials_end(run, tmp_path):
    worker = "if starts < 15: os.kill(os.getpid(), signal.SIGKILL)"
    run(worker, workers=1, ended=lambda: sum(starts(tmp_path).values()) // 4)
    assert starts(tmp_path)["worker-0"] == 15


def test_an_error_of_a_workers_own_ends_all(run, tmp_path):
    # The other one would work for an hour.
    worker = "time.sleep(0.2)\nif name == 'worker-1': sys.exit(2)\ntime.sleep(3600)"
    with pytest.raises(LensingError, match="worker-1 ended with status 2"):
        run(worker)
    assert starts(tmp_path)["worker-1"] == 1


def test_a_chief_that_ends_before_it_listens_is_no_endless_wait(tmp_path):
    with pytest.raises(LensingError, match="the chief ended with status 3"):
        supervise([sys.executable, "-c", "raise SystemExit(3)"], 2, None, lambda: 0)
