"""Beam's in-process runner, through both commands."""

import json
import os
import subprocess
import sys


def test_the_same_examples_in_one_process(generate, small, assert_is_simulated):
    with generate(small, "--num_shards", "3", "--runner", "FnApiRunner"):
        pass
    assert_is_simulated(small, 3)


def test_the_same_examples_in_a_pool_of_processes(generate, small, assert_is_simulated):
    flags = ["--direct_num_workers", "2", "--direct_running_mode", "multi_processing"]
    with generate(small, "--num_shards", "90", "--runner", "FnApiRunner", *flags):
        pass
    assert_is_simulated(small, 90)


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
