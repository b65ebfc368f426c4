"""Beam's DaskRunner on a cluster of separate processes."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from lensing_tfds import simulate
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.task import Task
from tests.trainer.kept_runs import keep
from tests.trainer.tasks import statistics
from trainer.networks.families import build
from trainer.networks.scaling import Scaling
from trainer.runs.run import load_run
from trainer.runs.run_config import RunConfig, write_config
from trainer.settings.config import resolve

ROOT = pathlib.Path(__file__).parents[2]

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def flags():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield ["--runner", "DaskRunner", "--dask_client_address", cluster.scheduler_address]


def test_the_same_examples(generate, flags, small, assert_is_simulated):
    with generate(small, "--num_shards", "5", *flags):
        pass
    assert_is_simulated(small, 5)


def test_the_same_verdict(generate, flags, small, folder):
    with generate(small, "--num_shards", "5"):
        pass
    data = folder(small)
    command = [sys.executable, "-m", "pipelines.validate", "--dataset", f"lensing/{small.name}"]
    command += ["--data_dir", str(data.parents[2])]
    found = []
    for more in ([], [*flags, "--dask_npartitions", "4"]):
        done = subprocess.run(command + more, cwd=ROOT, text=True, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "tests passed" in done.stdout
        found.append(json.loads((data / "validation.json").read_text()))
    here, there = found
    assert here["tests"] and not list(data.glob("validation-*"))
    assert [test["name"] for test in here["tests"]] == [test["name"] for test in there["tests"]]
    for mine, theirs in zip(here["spectra"], there["spectra"], strict=True):
        np.testing.assert_allclose(mine["measured"], theirs["measured"], rtol=1e-10)
        np.testing.assert_allclose(mine["error"], theirs["error"], rtol=1e-6)


def test_a_killed_worker_is_replaced(generate, flags, slow, killer, assert_is_simulated):
    with generate(slow, "--num_shards", "4", *flags):
        pass
    assert killer.killed is not None
    assert_is_simulated(slow, 4)


def test_the_same_predictions(generate, flags, small, tmp_path):
    with generate(small, "--num_shards", "5"):
        pass
    name = f"lensing/{small.name}"
    settings = resolve(name, str(tmp_path), small, model="1x4-3", epochs=1)
    scaling = Scaling((0.0,), (90.0,), (0.0,), (0.05,))
    workdir = tmp_path / "run"
    workdir.mkdir()
    write_config(workdir, RunConfig(settings, small, DATASET_VERSION))
    task = Task(small, DATASET_VERSION)
    keep(build("1x4-3", task, statistics(task, scaling), seed=0), workdir)
    output = tmp_path / "predictions"
    command = [sys.executable, "-m", "pipelines.predict", "--workdir", str(workdir)]
    command += ["--output", str(output), "--split", "train", *flags, "--dask_npartitions", "3"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "90 examples" in done.stdout
    lensed = simulate(small, "train", range(90))["lensed"]
    expected = load_run(workdir).predict(lensed)[..., 0]
    found = np.concatenate([np.load(path) for path in sorted(output.glob("kappa-*.npy"))])
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.std())
    assert json.loads((output / "predictions.json").read_text())["num_shards"] == 5
