"""`unrolled` begins as the iterated estimator, on maps of every kind, and learns from there."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.iterated.fitting import fit
from estimators.iterated.iterated_estimator import StagedEstimator
from estimators.quadratic.fields import fields_of
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.task import Task
from tests.trainer.networks.beginnings import check_mixed_precision
from tests.trainer.networks.kinds import KINDS, TABLE, sample_of
from trainer.networks import families, unrolled
from trainer.networks.quadratic_layers import RingGains
from trainer.networks.statistics import measure_statistics


def rms(values):
    return np.sqrt(np.mean(values**2, dtype=float))


@pytest.fixture(
    name="begun", scope="module", params=["v1", "v8", "v9", "v10", "v11", "v14", "edges"]
)
def begun_fixture(request):
    """A task, training maps, their statistics and the network that begins on them."""
    task = Task(KINDS[request.param], DATASET_VERSION)
    maps = simulate(task.lensing, "train", range(64))
    network = families.parse("unrolled-4x2x1-2").started(task, sample_of(maps))
    return task, maps, measure_statistics([maps], task), network


def standardised(measured, lensed):
    scaling = measured.scaling
    return ((lensed - scaling.input_mean) / scaling.input_std).astype(np.float32)


def kappa(model, measured, lensed):
    scaling = measured.scaling
    found = np.asarray(model(standardised(measured, lensed)), np.float64)[..., 0]
    return found * scaling.label_std[0] + scaling.label_mean[0]


def test_it_begins_as_the_iterated_estimator_in_numpy(begun):
    task, maps, measured, network = begun
    lensed = simulate(task.lensing, "test", range(3))["lensed"]
    estimator, sky = fit(task.lensing, TABLE, lambda: [maps]), task.lensing.sky

    def to_fields(maps):
        if isinstance(estimator.method, ByFilteredTemplate):
            return estimator.method.fields({"lensed": maps})
        return fields_of(maps, task.inputs.channels, sky)

    expected, single = (
        sky.to_map(estimator.kappa(to_fields(lensed.astype(dtype))))
        for dtype in (float, np.float32)
    )
    model = network.build(task, measured, 0)
    limit = max(1e-4 * rms(expected), 1.5 * rms(single - expected))
    assert rms(kappa(model, measured, lensed) - expected) < limit < 2e-3 * rms(expected)
    layers = [layer for layer in model.layers if isinstance(layer, RingGains)]
    layers[0].gains.assign(1.01 * layers[0].gains)
    assert rms(kappa(model, measured, lensed) - expected) > 2 * limit


SMALL = "unrolled-4x2x1"


def test_it_begins_as_the_iterated_estimator_where_stages_are_damped():
    task = Task(KINDS["v5"], DATASET_VERSION)
    maps, sky = simulate(task.lensing, "train", range(48)), task.lensing.sky
    network = families.parse(f"{SMALL}-2").started(task, sample_of(maps))
    network = dataclasses.replace(network, stages=network.stages[:3])
    assert all(stage.damped for stage in network.stages)
    lensed, measured = maps["lensed"][:3], measure_statistics([maps], task)
    fields = fields_of(lensed.astype(float), ("T",), sky)
    expected = sky.to_map(StagedEstimator(network.method, network.stages).kappa(fields))
    undamped = [dataclasses.replace(stage, damped=False) for stage in network.stages]
    other = sky.to_map(StagedEstimator(network.method, undamped).kappa(fields))
    found = kappa(network.build(task, measured, 0), measured, lensed)
    assert rms(found - expected) < min(2e-3 * rms(expected), 0.1 * rms(other - expected))


@pytest.fixture(name="small", scope="module")
def small_fixture():
    """A task, training maps, their statistics and a network of two stages, of Q and U."""
    task = Task(KINDS["v11"], DATASET_VERSION)
    maps = simulate(task.lensing, "train", range(32))
    network = families.parse(f"{SMALL}-2").started(task, sample_of(maps))
    network = dataclasses.replace(network, stages=network.stages[:2])
    return task, maps, measure_statistics([maps], task), network


def test_a_loaded_file_estimates_the_same(small, tmp_path):
    _, maps, measured, network = small
    model = network.build(small[0], measured, 0)
    inputs = standardised(measured, maps["lensed"][:2])
    before = np.asarray(model(inputs))
    for weight in model.trainable_weights:
        weight.assign(weight + 0.01)
    after = np.asarray(model(inputs))
    assert rms(after - before) > 1e-3
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(inputs), after)


def test_training_reaches_gains_and_unets_of_the_last_stages_and_makes_it_better(small):
    task, maps, measured, network = small
    model = network.build(task, measured, 0)
    before = {w.path: w.numpy().copy() for w in model.trainable_weights}
    assert sum("gains" in path for path in before) == 2
    inputs, (std,) = standardised(measured, maps["lensed"][:4]), measured.scaling.label_std
    model.compile(keras.optimizers.Adam(1e-3), loss="mse", run_eagerly=True)
    losses = [model.train_on_batch(inputs, maps["kappa"][:4] / std) for _ in range(4)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    moved = {w.path for w in model.trainable_weights if np.any(w.numpy() != before[w.path])}
    assert moved == set(before)


def test_what_is_counted_is_what_is_trained(begun):
    task, _, measured, network = begun
    model = network.build(task, measured, 0)
    count = sum(math.prod(w.shape) for w in model.trainable_weights)
    assert network.footprint(task).parameters == count


def test_in_mixed_precision_it_is_the_same_estimator_at_first(small):
    task, maps, measured, network = small
    inputs = standardised(measured, maps["lensed"][:1])
    check_mixed_precision(network, task, measured, inputs, maps["kappa"][:1])


def test_it_is_not_built_without_examples_nor_for_other_maps(small):
    task, maps, measured, network = small
    with pytest.raises(LensingError, match="needs examples"):
        families.build("unrolled", task, measured, 0)
    warm = dataclasses.replace(task.lensing, name="warm", cosmology={"H0": 70.0})
    with pytest.raises(LensingError, match=r"like_v11.*lensing/warm \(cosmology None not"):
        network.build(Task(warm, DATASET_VERSION), measured, 0)
    few = sample_of({name: values[:1] for name, values in maps.items()})
    with pytest.raises(LensingError, match="too few for"):
        families.build(SMALL, task, measured, 0, sample=few)


@pytest.mark.parametrize("name", ["unrolled", "unrolled-8x3x1", "unrolled-16x2x1-2"])
def test_names_are_read_as_they_are_written(name):
    assert unrolled.parse(name).name == name


def test_other_names_are_not_its():
    assert unrolled.parse("unrolled-16x2x1-1").name == "unrolled"
    for name in ("unet", "unrolled-2", "unrolled-8x3", "unrolled-0x1x1", "unrolled-8x3x1-0"):
        assert unrolled.parse(name) is None
