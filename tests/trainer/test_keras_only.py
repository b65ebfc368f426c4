"""A network that is exported for Keras alone estimates the same where there is no project."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from lensing_tfds import simulate
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.task import Task
from lensing_tfds.versions import VERSIONS
from tests.trainer.networks.kinds import sample_of, smaller
from trainer.keras_only import keras_only
from trainer.networks import families
from trainer.networks.statistics import measure_statistics

NETWORKS = {"v11": "qe_unet-2x1x1", "v8": "unrolled-1x2x3"}
"""By the sky; the second remaps by its own κ, by indices that a graph must not know before."""

READ = """
import sys
import keras, numpy as np
for name in sys.argv[1:]:
    model = keras.saving.load_model(f"{name}.keras")
    np.save(f"{name}-kappa.npy", np.asarray(model(np.load(f"{name}-maps.npy"))))
assert not {"trainer", "estimators", "lensing_tfds", "tensorflow"} & sys.modules.keys()
"""


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """A folder of files, and the estimates of the networks that are in them."""
    folder, estimates = tmp_path_factory.mktemp("files"), {}
    for kind, name in NETWORKS.items():
        config = smaller(VERSIONS[kind], 16)
        task, maps = Task(config, DATASET_VERSION), simulate(config, "train", range(64))
        measured = measure_statistics([maps], task)
        model = families.build(name, task, measured, 0, sample=sample_of(maps))
        lensed = simulate(config, "test", range(3))["lensed"]
        lensed[-1, 0, 0, 0] = np.nan
        keras_only(model).save(folder / f"{kind}.keras")
        np.save(folder / f"{kind}-maps.npy", lensed)
        estimates[kind] = np.asarray(model(lensed))
    return folder, estimates


def assert_same(found, expected, tolerance):
    assert np.isnan(expected[-1]).all() and np.isfinite(expected[:-1]).all()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.nanstd(expected))


def test_the_file_gives_the_networks_estimates(expected):
    folder, estimates = expected
    for kind, estimate in estimates.items():
        found = keras.saving.load_model(folder / f"{kind}.keras")(
            np.load(f"{folder}/{kind}-maps.npy")
        )
        assert_same(np.asarray(found), estimate, 1e-5)


def test_a_process_that_has_only_keras_reads_it_on_another_backend(expected):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    folder, estimates = expected
    environment = {name: x for name, x in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", READ, *estimates]
    environment["KERAS_BACKEND"] = "jax"
    subprocess.run(command, cwd=folder, env=environment, check=True)
    for kind, estimate in estimates.items():
        # Other orders of sums, in single precision: v8's weakest modes, which lensing alone filled,
        # are a million times below the strongest, and are off by 1e-4 themselves.
        assert_same(np.load(folder / f"{kind}-kappa.npy"), estimate, 1e-3)


def test_a_network_that_was_read_from_a_file_has_no_name_twice():
    """The first sum that a process writes down is called "add", as the network's own was."""

    class Doubled(keras.layers.Layer):
        def call(self, maps):
            return keras.ops.add(maps, maps)

    maps = keras.Input((4, 4, 1))
    added = keras.layers.Add(name="add")([Doubled(name="doubled")(maps), maps])
    model = keras.Model(maps, keras.layers.Activation("relu", name="add_1")(added))
    keras.backend.clear_session()  # as in a process that has made none
    found = keras_only(model)
    assert len({part.name for part in found.operations}) == len(found.operations)
    np.testing.assert_array_equal(found(np.ones((1, 4, 4, 1))), 3 * np.ones((1, 4, 4, 1)))


def test_what_is_not_written_down_is_named():
    class Mine(keras.layers.Layer):
        def call(self, maps):
            return Inner()(maps)

    class Inner(keras.layers.Layer):
        def call(self, maps):
            return 2 * maps

    maps = keras.Input((4, 4, 1))
    with pytest.raises(TypeError, match="not of Keras's own: Inner"):
        keras_only(keras.Model(maps, Mine()(maps)))
