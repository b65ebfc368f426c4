"""Beam's FlinkRunner on Flink's embedded cluster, with Python workers in processes of their own."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def flags():
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            pytest.skip(f"Flink needs {program}, which is not installed")
    script = [ROOT / "scripts" / "flink_job_server.sh", sys.prefix]
    jar = subprocess.run(script, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    return [
        *("--runner", "FlinkRunner", "--flink_master", "[local]", "--flink_job_server_jar", jar),
        *("--flink_conf_dir", str(ROOT / "pipelines" / "flink")),
        *("--parallelism", "2", "--sdk_worker_parallelism", "2"),
    ]


@pytest.fixture
def worker_pool():
    """The address of a pool that starts a process for each worker that Flink asks for."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
    pool = subprocess.Popen(
        [*command, "--service_port", str(port)],
        cwd=ROOT,
        env=os.environ | {"PATH": path},  # it starts them as `python`
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("localhost", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"localhost:{port}"
    finally:
        pool.terminate()
        pool.wait()


def test_the_same_examples(generate, flags, small, assert_is_simulated):
    workers = ["--environment_type", "LOOPBACK", "--experiments", "use_loopback_process_worker"]
    with generate(small, "--num_shards", "6", *flags, *workers):
        pass
    assert_is_simulated(small, 6)


def test_a_killed_worker_is_replaced(
    generate, flags, worker_pool, slow, killer, assert_is_simulated
):
    workers = ["--environment_type", "EXTERNAL", "--environment_config", worker_pool]
    with generate(slow, "--num_shards", "4", *flags, *workers):
        pass
    assert killer.killed is not None
    assert_is_simulated(slow, 4)
