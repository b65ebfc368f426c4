"""The network `iterated` is the iterated estimator, in a file that says all."""

import keras
import numpy as np
import pytest

from estimators.iterated.fitting import fit
from estimators.iterated.iterated_estimator import IteratedEstimator
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from lensing_tfds.task import Task
from lensing_tfds.versions import VERSIONS
from tests.trainer.tasks import scaling
from trainer.networks import families, iterated
from trainer.networks.physical import task_of

TABLE = spectra.fiducial()


@pytest.fixture(name="fitted", scope="module", params=[("TQU", 32), ("QU", 33), ("T", 24)])
def fitted_fixture(request):
    """A config, its fitted estimator, the network of it, and other maps."""
    stokes, npix = request.param
    config = LensingConfig(
        "any", npix=npix, lx=npix * 2.5 / 60, stokes=stokes, oversampling=2, beam_arcmin=1.5,
        noise_uK_arcmin=1.0,
    )  # fmt: skip
    maps = simulate(config, "train", range(24))
    estimator = fit(config, TABLE, lambda: [maps], most_stages=3, least_gain=-1)
    task = Task(config, DATASET_VERSION)
    model = iterated.build(task, TABLE, estimator.stages, scaling(task))
    return task, estimator, model, simulate(config, "test", range(3))["lensed"]


def test_its_estimates_are_those_of_the_estimator_in_numpy(fitted):
    task, estimator, model, maps = fitted
    sky = task.lensing.sky
    expected = sky.to_map(estimator.kappa(fields_of(maps, task.inputs.channels, sky)))
    found = np.asarray(model(maps))
    assert found.shape == (3, *task.label_shape) and found.dtype == np.float32
    error = np.sqrt(np.mean((found[..., 0] - expected) ** 2, dtype=float))
    assert error < 1e-4 * expected.std()


def test_a_loaded_file_estimates_the_same_and_tells_its_stages(fitted, tmp_path):
    task, estimator, model, maps = fitted
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(maps), model(maps))
    assert task_of(loaded) == task
    found = iterated.stages_of(loaded)
    assert len(found) == 3
    observation, pairs = Observation.of(task.lensing, TABLE), pairs_of(task.lensing)
    fields = fields_of(maps, task.inputs.channels, task.lensing.sky)
    again = IteratedEstimator(observation, pairs, found)
    # To the bit: another stage is then fitted alike.
    np.testing.assert_array_equal(again.kappa(fields), estimator.kappa(fields))
    for stage, kept in zip(estimator.stages, found, strict=True):
        np.testing.assert_array_equal(stage.residual_b, kept.residual_b)


def test_its_gains_and_nothing_else_can_be_trained(fitted):
    _, estimator, model, _ = fitted
    gains = sum(stage.gains.size for stage in estimator.stages)
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == gains


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (VERSIONS["v4"], "T_lmax 383 cuts the unlensed sky"),
        (VERSIONS["v7"], "it is lensed on its own pixels"),
        (LensingConfig("edges", npix=64, lx=2.0, oversampling=2, noise_uK_arcmin=1.0, padding=2),
         "the patch is not periodic"),
        (LensingConfig("silent", npix=64, lx=2.0, oversampling=2), "there is no noise"),
    ],
)  # fmt: skip
def test_maps_that_theory_does_not_describe_are_refused(config, reason):
    with pytest.raises(LensingError, match=f"lensing/{config.name} .*{reason}"):
        iterated.Iterated().refuse_another(config)


def test_it_is_not_built_without_examples():
    task = Task(VERSIONS["v11"], DATASET_VERSION)
    with pytest.raises(LensingError, match="iterated is fitted to examples"):
        families.build("iterated", task, None, 0)
    assert families.is_fitted("iterated") and not families.is_fitted("4x64-9")
