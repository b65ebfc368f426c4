"""A network is the same on TensorFlow, JAX and PyTorch, and so is its training.

What a run is after an epoch on TensorFlow is taken up in a process of each backend, in which it is
as if TensorFlow were not installed. JAX comes with
the extra `test`; PyTorch, some gigabytes, by `make test-backends`.
"""

import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from lensing_tfds import VERSIONS, LensingConfig
from lensing_tfds.records.building import build
from tests.backends.on_backend import take_up
from tests.trainer.networks.kinds import smaller
from trainer.networks import families, iterated
from trainer.settings.config import resolve
from trainer.train import train

ROOT = pathlib.Path(__file__).parents[2]
HERE = pathlib.Path(__file__).parent

# Grids of 30, 15 and 8 pixels: one of odd size among them.
SURVEY = LensingConfig(
    "sharp", npix=30, lx=30 * 2.5 / 60, stokes="QU", oversampling=2, beam_arcmin=1.5,
    noise_uK_arcmin=1.0, num_examples={"train": 40, "validation": 8, "test": 12},
)  # fmt: skip

# T, which `iterated` remaps, by a pixel or so. No mode is read that lies below the noise, 0.02 of T
# in a pixel, of which T's rounding, 6e-8 of it in each step, is 3e-6.
STUDY = dataclasses.replace(
    VERSIONS["v3"], name="study", npix=24, noise_uK_arcmin=50.0,
    num_examples={"train": 40, "validation": 8, "test": 12},
)  # fmt: skip

# Q and U, which are filtered by layers. Where T is filtered too, as on v15, no two backends' are
# the same to 1e-4: 3e-3 of their rms and, of three maps, 3e-2 has been seen between two.
MASKED, HOLES = (
    dataclasses.replace(
        smaller(VERSIONS[version], 30), name=name,
        num_examples={"train": 40, "validation": 8, "test": 12},
    ) for name, version in (("masked", "v14"), ("holes", "v15"))
)  # fmt: skip

SMALL = {
    "stack": ["whiten-hires-1x4-3"],
    "unet": ["unet-4x3x1"],
    "qe_unet": ["qe_unet-4x2x1"],
    "unrolled": ["unrolled-4x2x1"],
}
"""Networks of the families that have smaller ones than their default."""

RUNS = {
    name: (SURVEY, name)
    for family in families.FAMILIES.values()
    for name in SMALL.get(family.name, family.known[:1])
} | {
    "iterated-T": (STUDY, "iterated"),
    "iterated-masked": (MASKED, "iterated"),
    "unrolled-masked": (MASKED, "unrolled-4x2x1"),
    "unet-masked": (HOLES, "unet-4x3x1"),
}
"""A dataset and a network of every family."""

BACKENDS = ["tensorflow", "jax", "torch"]


@pytest.fixture(scope="module")
def begun(unmeasured, tmp_path_factory):
    """A folder of runs of one epoch, or one stage, each, and maps."""
    data_dir, folder = (str(tmp_path_factory.mktemp(name)) for name in ("data", "runs"))
    for lensing in (SURVEY, STUDY, MASKED, HOLES):
        build(lensing, data_dir)
    # A rate at which an epoch moves what begins as an estimator by more than it is rounded.
    trained = {"epochs": 1, "batch_size": 16, "schedule": "constant", "learning_rate": 0.03}
    with stages(1):
        for name, (lensing, model) in RUNS.items():
            settings = {} if families.is_fitted(model) else trained
            dataset = f"lensing/{lensing.name}"
            config = resolve(dataset, data_dir, lensing, model=model, **settings)
            train(config, f"{folder}/{name}", lambda line: None)
    return folder


@contextlib.contextmanager
def stages(number):
    """Has `iterated` end after so many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            iterated, "are_enough", lambda correlations, most: len(correlations) >= number
        )
        yield


@pytest.fixture(scope="module")
def taken_up(begun, tmp_path_factory):
    """A function: what became of a run on a backend, where all are taken up at once."""
    folders: dict[str, pathlib.Path] = {}

    def result(backend, run):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed: make test-backends")
        if backend not in folders:
            folder = tmp_path_factory.mktemp(backend) / "runs"
            shutil.copytree(begun, folder)
            with stages(2):
                take_up(folder) if backend == "tensorflow" else in_a_process(folder, backend)
            folders[backend] = folder
        return dict(np.load(folders[backend] / f"{run}-after.npz"))

    return result


def in_a_process(folder, backend):
    ended = subprocess.run(
        [sys.executable, str(HERE / "without_tensorflow.py"), str(HERE / "on_backend.py"), folder],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.split()[-1] == backend


@pytest.mark.parametrize("backend", BACKENDS[1:])
@pytest.mark.parametrize("run", RUNS)
def test_estimates_are_the_same(taken_up, backend, run):
    expected, found = (taken_up(b, run)["before"] for b in ("tensorflow", backend))
    assert len(expected) == 12 and np.std(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.std(expected))


@pytest.mark.parametrize("backend", BACKENDS[1:])
@pytest.mark.parametrize("run", RUNS)
def test_an_epoch_of_training_goes_on_as_on_tensorflow(taken_up, backend, run):
    """The same examples in the same order, the same moments of the optimizer, the same steps."""
    expected, found = (taken_up(b, run) for b in ("tensorflow", backend))
    moved = np.std(expected["after"] - expected["before"])
    assert moved > 0
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)
    np.testing.assert_allclose(found["after"], expected["after"], rtol=0, atol=1e-3 * moved)
