"""Beam's in-process runner, through both commands."""

import json
import os
import subprocess
import sys
import time

from tests.processes import LOOPBACK, assert_all_end, listening


def test_the_same_examples_in_one_process(generate, small, assert_is_simulated):
    with generate(small, "--num_shards", "3", "--runner", "FnApiRunner"):
        pass
    assert_is_simulated(small, 3)


POOL = ["--runner", "FnApiRunner", "--direct_num_workers", "2"]
POOL += ["--direct_running_mode", "multi_processing"]


def test_the_same_examples_in_a_pool_of_processes_that_no_other_machine_can_reach(
    generate, small, assert_is_simulated
):
    addresses = set()
    with generate(small, "--num_shards", "90", *POOL) as process:
        while process.poll() is None:
            addresses |= listening(process.pid)
            time.sleep(0.02)
    assert addresses and addresses <= LOOPBACK
    assert_is_simulated(small, 90)


def test_the_pool_ends_with_the_command_whatever_ended_that(tmp_path, slow):
    command = [sys.executable, "-m", "pipelines.generate", "--data_dir", str(tmp_path)]
    command += ["--config", json.dumps(slow.to_json()), "--num_shards", "4", *POOL]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    while not list(tmp_path.glob("lensing/*/*/.unfinished*.tfrecord*")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert_all_end(process.pid, seconds=60)


def test_tfds_build_uses_the_runner_it_is_given(tmp_path, small, assert_is_simulated):
    tfds = os.path.join(os.path.dirname(sys.executable), "tfds")
    command = [tfds, "build", "lensing", "--imports", "lensing_tfds", "--data_dir", str(tmp_path)]
    command += ["--config", json.dumps(small.to_json()), "--num_shards", "2"]

    def build(runner):
        options = ["--beam_pipeline_options", f"runner={runner}"]
        return subprocess.run(command + options, text=True, capture_output=True, timeout=120)

    refused = build("SpeedyRunner")
    assert refused.returncode != 0 and "SpeedyRunner" in refused.stderr
    built = build("FnApiRunner")
    assert built.returncode == 0, built.stderr
    assert_is_simulated(small, 2)
