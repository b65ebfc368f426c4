"""`qe_unet` begins as the quadratic estimator, on maps of every kind, and learns from there."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from estimators.filtering.masked_patch import is_filtered
from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.iterated.iterated_estimator import Combination
from estimators.iterated.quadratic_stage import fit_quadratic_stage, quadratic_estimators
from estimators.quadratic.fields import fields_of
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.task import Task
from tests.trainer.networks.beginnings import check_mixed_precision
from tests.trainer.networks.kinds import KINDS, TABLE, sample_of
from tests.trainer.tasks import statistics
from trainer.networks import families, qe_unet
from trainer.networks.scaling import measure_scaling
from trainer.networks.statistics import measure_statistics


@pytest.fixture(name="built", scope="module", params=KINDS)
def built_fixture(request):
    """A config, its training maps, the network of it, and other maps."""
    config = KINDS[request.param]
    task = Task(config, DATASET_VERSION)
    maps = simulate(config, "train", range(64))
    measured = measure_statistics([maps], task)
    model = families.build("qe_unet-4x2x1", task, measured, 0, sample=sample_of(maps))
    return task, maps, model, simulate(config, "test", range(3))["lensed"]


def combination(task, maps):
    """A function that gives κ of the estimators in NumPy, of masked maps filtered."""
    sky, channels = task.lensing.sky, task.inputs.channels
    method = None
    if is_filtered(task.lensing):
        method = ByFilteredTemplate.of(task.lensing, TABLE)
    estimators = quadratic_estimators(task.lensing, TABLE, [maps])
    stage = fit_quadratic_stage(task.lensing, estimators, [maps], method)

    def kappa(lensed):
        fields = method.filtered({"lensed": lensed}) if method else fields_of(lensed, channels, sky)
        return sky.to_map(Combination(stage, sky).of([e.kappa(fields) for e in estimators]))

    return kappa


def rms(values):
    return np.sqrt(np.mean(values**2, dtype=float))


def test_it_begins_as_the_quadratic_estimator_in_numpy(built):
    task, maps, model, lensed = built
    kappa = combination(task, maps)
    expected, single = (kappa(lensed.astype(dtype)) for dtype in (float, np.float32))
    found = np.asarray(model(lensed))[..., 0]
    # Modes that lensing alone filled lie a million times below the others: NumPy's single
    # precision is off by more than 1e-4 there itself. Filters stop at a residual of 3e-3, and
    # rounding may make one of them a step more.
    share = 1e-3 if is_filtered(task.lensing) else 1e-4
    limit = max(share * rms(expected), 1.5 * rms(single - expected))
    assert rms(found - expected) < limit < 3e-3 * rms(expected)


SMALL = "qe_unet-4x2x1"


@pytest.fixture(name="small", scope="module")
def small_fixture():
    """A task, training maps and statistics, of Q and U."""
    task = Task(KINDS["v11"], DATASET_VERSION)
    maps = simulate(task.lensing, "train", range(32))
    return task, maps, measure_statistics([maps], task)


def test_a_loaded_file_estimates_the_same(small, tmp_path):
    task, maps, measured = small
    model = families.build(SMALL, task, measured, 0, sample=sample_of(maps))
    before, lensed = np.asarray(model(maps["lensed"][:2])), maps["lensed"][:2]
    for weight in model.trainable_weights:
        weight.assign(weight + 0.01)
    after = np.asarray(model(lensed))
    assert rms(after - before) > 1e-3 * rms(before)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(lensed), after)


def test_training_reaches_gains_and_the_unet_and_makes_it_better(small):
    task, maps, measured = small
    model = families.build(SMALL, task, measured, 0, sample=sample_of(maps))
    before = {w.path: w.numpy().copy() for w in model.trainable_weights}
    model.compile(keras.optimizers.Adam(1e-3), loss="mse", run_eagerly=True)
    losses = [model.train_on_batch(maps["lensed"][:4], maps["kappa"][:4]) for _ in range(4)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    names = {path for path, weight in before.items() if "gains" in path}
    assert len(names) == 1 and len(before) > 10
    moved = {w.path for w in model.trainable_weights if np.any(w.numpy() != before[w.path])}
    assert moved == set(before)


def test_what_is_counted_is_what_is_trained(small):
    for kind in ("v4", "v10", "v15", "edges"):
        task = Task(KINDS[kind], DATASET_VERSION)
        maps = simulate(task.lensing, "train", range(48))
        of = statistics(task, measure_scaling([maps], task))
        model = families.build(SMALL, task, of, 0, sample=sample_of(maps))
        count = sum(math.prod(w.shape) for w in model.trainable_weights)
        assert families.parse(SMALL).footprint(task).parameters == count


def test_in_mixed_precision_it_is_the_same_estimator_at_first(small):
    task, maps, measured = small
    network = families.parse(SMALL).started(task, sample_of(maps))
    inputs = maps["lensed"][:1] / measured.scaling.input_std
    check_mixed_precision(network, task, measured, inputs, maps["kappa"][:1])


def test_it_is_not_built_without_examples_nor_for_other_maps(small):
    task, maps, measured = small
    with pytest.raises(LensingError, match="needs examples"):
        families.build("qe_unet", task, measured, 0)
    network = families.parse(SMALL).started(task, sample_of(maps))
    deeper = dataclasses.replace(task.lensing, name="deep", noise_uK_arcmin=0.5)
    with pytest.raises(LensingError, match=r"v11.*lensing/deep \(noise_uK_arcmin 1.0 not 0.5\)"):
        network.build(Task(deeper, DATASET_VERSION), measured, 0)
    with pytest.raises(LensingError, match="too few for"):
        families.build(
            SMALL, task, measured, 0, sample=sample_of({k: v[:1] for k, v in maps.items()})
        )


@pytest.mark.parametrize("name", ["qe_unet", "qe_unet-8x3x1"])
def test_names_are_read_as_they_are_written(name):
    assert qe_unet.parse(name).name == name


def test_other_names_are_not_its():
    assert qe_unet.parse("qe_unet-16x2x1").name == "qe_unet"
    for name in ("unet", "qe_unet-", "qe_unet8x3x1", "qe_unet-0x1x1", "qe_unet-8x3"):
        assert qe_unet.parse(name) is None
