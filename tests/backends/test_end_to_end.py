"""A network is trained, judged and used where TensorFlow is not installed, by commands."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from lensing_tfds import simulate

BACKENDS = [name for name in ("jax", "torch") if importlib.util.find_spec(name)]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is not None, reason="make test-jax or test-torch"
)


@pytest.mark.parametrize("backend", BACKENDS)
def test_skies_that_never_repeat_train_a_network_that_is_judged_and_used(backend, tmp_path):
    small = {"name": "small", "npix": 32, "lx": 5.0, "kappa_exaggeration_factor": 10.0}
    small["num_examples"] = {"train": 48, "validation": 24, "test": 24}

    def run(module, *arguments):
        ended = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=os.environ | {"KERAS_BACKEND": backend},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{module}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
        return ended.stdout

    dataset = ["--dataset", "lensing/small", "--data_dir", "data"]
    run("lensing_tfds.build", "--config", json.dumps(small), "--data_dir", "data")
    settings = ["--workdir", "run", "--model", "unet-4x2x1", "--epochs", "2", "--uncertainty"]
    said = run("trainer", *dataset, *settings, "--fresh", "--reuse", "2", "--simulators", "1")
    assert "fresh examples of lensing/small" in said
    run("trainer.evaluate", "--workdir", "run", "--checks")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["num_examples"] == 24

    maps = simulate(small, "test", range(3))
    np.save(tmp_path / "maps.npy", maps["lensed"])
    run("trainer.reconstruct", "--model", "run", "--maps", "maps.npy", "--output", "kappa.npz")
    with np.load(tmp_path / "kappa.npz") as found:
        kappa = found["kappa"]
    assert kappa.size == maps["kappa"].size and np.isfinite(kappa).all() and kappa.std() > 0
