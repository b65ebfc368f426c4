"""The network `iterated` is the iterated estimator, in a file that says all."""

import keras
import numpy as np
import pytest

from estimators.iterated.fitting import fit, method_by_theory
from estimators.iterated.iterated_estimator import StagedEstimator
from estimators.quadratic.fields import fields_of
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


def rms(values):
    return np.sqrt(np.mean(np.square(values, dtype=float)))


def survey(stokes, npix):
    return LensingConfig(
        "any", npix=npix, lx=npix * 2.5 / 60, stokes=stokes, oversampling=2, beam_arcmin=1.5,
        noise_uK_arcmin=1.0,
    )  # fmt: skip


def small(version, npix):
    """A config of a version's kind."""
    fields = VERSIONS[version].to_json() | {"name": f"small-{version}", "npix": npix}
    return LensingConfig.from_json(fields)


KINDS = {
    **{f"{stokes}-{npix}": survey(stokes, npix) for stokes, npix in (("TQU", 32), ("QU", 33))},
    "T-24": survey("T", 24),
    # T that is remapped: of one unlensed sky; cut; on 1' pixels; with all modes; with noise.
    **{
        version: small(version, npix)
        for version, npix in (
            ("v1", 24),
            ("v2", 25),
            ("v4", 24),
            ("v5", 27),
            ("v6", 24),
            ("v8", 26),
        )
    },
}


@pytest.fixture(name="fitted", scope="module", params=KINDS)
def fitted_fixture(request):
    """A task, its fitted estimator, the network of it, and other maps."""
    config = KINDS[request.param]
    maps = simulate(config, "train", range(24))
    fitted = fit(config, TABLE, lambda: [maps], most_stages=3, least_gain=-1)
    stages = [iterated.as_stored(stage) for stage in fitted.stages]
    task = Task(config, DATASET_VERSION)
    estimator = StagedEstimator(method_by_theory(config, TABLE), stages)
    model = iterated.build(task, TABLE, stages, scaling(task))
    return task, estimator, model, simulate(config, "test", range(3))["lensed"]


def test_its_estimates_are_those_of_the_estimator_in_numpy(fitted):
    task, estimator, model, maps = fitted
    channels, sky = task.inputs.channels, task.lensing.sky
    single, exact = (
        sky.to_map(estimator.kappa(fields_of(maps.astype(dtype), channels, sky)))
        for dtype in (np.float32, np.float64)
    )
    found = np.asarray(model(maps))
    assert found.shape == (3, *task.label_shape) and found.dtype == np.float32
    # Modes that lensing alone filled lie a million times below the others, and single precision is
    # off by more than 1e-4 itself.
    limit = max(1e-4 * rms(exact), 2 * rms(single - exact))
    assert rms(found[..., 0] - exact) < limit < 5e-3 * rms(exact)


def test_a_loaded_file_estimates_the_same_and_tells_its_stages(fitted, tmp_path):
    task, estimator, model, maps = fitted
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(maps), model(maps))
    assert task_of(loaded) == task
    found = iterated.stages_of(loaded)
    assert len(found) == 3
    again = StagedEstimator(method_by_theory(task.lensing, TABLE), found)
    fields = fields_of(maps, task.inputs.channels, task.lensing.sky)
    # To the bit: another stage is then fitted alike.
    np.testing.assert_array_equal(again.kappa(fields), estimator.kappa(fields))
    for stage, kept in zip(estimator.stages, found, strict=True):
        assert stage.damped == kept.damped == (task.lensing.name == "small-v5")
        for name in ("residual_b", "power", "mean_field"):
            np.testing.assert_array_equal(getattr(stage, name), getattr(kept, name))


def test_its_gains_and_nothing_else_can_be_trained(fitted):
    _, estimator, model, _ = fitted
    gains = sum(stage.gains.size for stage in estimator.stages)
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == gains


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (LensingConfig("cut", npix=64, lx=10.0, stokes="QU", T_lmax=383),
         "T_lmax 383 cuts the unlensed sky"),
        (LensingConfig("own", npix=64, lx=10.0, stokes="QU"), "it is lensed on its own pixels"),
        (LensingConfig("edges", npix=64, lx=2.0, oversampling=2, noise_uK_arcmin=1.0, padding=2),
         "the patch is not periodic"),
        (LensingConfig("silent", npix=64, lx=2.0, oversampling=2, stokes="QU"),
         "there is no noise"),
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
