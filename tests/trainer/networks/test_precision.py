"""Networks of mixed precision: what needs float32 has it, and no NaN comes out or back."""

import dataclasses
import functools

import keras
import numpy as np
import pytest

from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.simulation import simulate
from lensing_tfds.task import Task
from tests.trainer.networks.kinds import sample_of
from trainer.loop.compiling import compile_network
from trainer.networks import families
from trainer.networks.family import StartingNetwork
from trainer.networks.statistics import measure_statistics
from trainer.networks.whitening import Whiten
from trainer.settings.config import resolve

SKY = LensingConfig(name="any", npix=15, lx=3.0, stokes="TQU", noise_uK_arcmin=5.0, beam_arcmin=2.0)
TASK = Task(SKY, DATASET_VERSION)


def smallest(family) -> str:
    """The name of the smallest network of a family that a search may try."""
    space = family.space()
    names = (field.name for field in dataclasses.fields(space))
    return space.model({name: min(getattr(space, name).extremes) for name in names})


NAMES = [smallest(family) for family in families.FAMILIES.values() if family.space is not None]
NAMES += ["whiten-1x4-3"]


@functools.cache
def simulated() -> dict[str, np.ndarray]:
    return simulate(SKY, "train", range(64))


def begins_as_an_estimator(name: str) -> bool:
    return isinstance(families.parse(name), StartingNetwork)


def pairs(name: str, number: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Maps and κ for a network of this name, (number, 15, 15, channels).

    An estimator's are simulated. Another's maps are noise of the size of the CMB's, κ is what they
    show, pixel by pixel.
    """
    if begins_as_an_estimator(name):
        return simulated()["lensed"][:number], simulated()["kappa"][:number]
    shape = (number, *TASK.input_shape)
    x = (50 * np.random.default_rng(0).normal(size=shape)).astype(np.float32)
    return x, 0.2 * x[..., :1] / 50


def built(name: str, precision: str) -> keras.Model:
    x, kappa = pairs(name, 16)
    statistics = measure_statistics([{"lensed": x, "kappa": kappa}], TASK)
    sample = sample_of(simulated()) if begins_as_an_estimator(name) else None
    return families.build(name, TASK, statistics, 3, precision, sample)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", NAMES)
def test_every_family_trains_in_mixed_precision_without_a_nan(name, precision):
    model, (x, truth) = built(name, precision), pairs(name)
    kappa = np.asarray(model.predict_on_batch(x))
    assert kappa.dtype == np.float32 and np.isfinite(kappa).all()
    assert {weights.dtype for weights in model.weights} == {"float32"}
    settings = {"schedule": "constant", "warmup_steps": 0, "learning_rate": 5e-4}
    config = resolve("lensing/any", "", SKY, model=name, precision=precision, **settings)
    compile_network(model, config, 9)
    before = [weights.numpy().copy() for weights in model.trainable_weights]
    losses = [float(model.train_on_batch(x, truth)[0]) for _ in range(5)]
    assert losses[-1] < losses[0]
    after = [np.asarray(weights) for weights in model.trainable_weights]
    assert all(np.isfinite(weights).all() for weights in after)
    assert all((a != b).any() for a, b in zip(after, before, strict=True))
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (precision == "float16")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", [*NAMES, "unet-4x2x1", "hires-1x4-3"])
def test_an_estimate_is_that_of_single_precision_but_for_rounding(name, precision):
    single, mixed = built(name, "float32"), built(name, precision)
    random = np.random.default_rng(1)
    for one, other in zip(single.trainable_weights, mixed.trainable_weights, strict=True):
        value = np.asarray(one) + 0.03 * random.normal(size=one.shape)  # some start at zero
        one.assign(value)
        other.assign(value)
    x, _ = pairs(name)
    expected, kappa = (np.asarray(model.predict_on_batch(x)) for model in (single, mixed))
    rounding = {"bfloat16": 2**-8, "float16": 2**-11}[precision]
    assert 0 < np.std(kappa - expected) < 10 * rounding * np.std(expected)


@pytest.mark.parametrize("name", ["unet-4x1x1", "whiten-1x4-3"])
def test_whitened_maps_are_those_of_single_precision_to_the_last_bit(name):
    """bfloat16 rounds a map to where whitening finds nothing but rounding in its small scales."""

    def whitened(precision: str) -> np.ndarray:
        (network,) = (x for x in built(name, precision).layers if isinstance(x, keras.Model))
        (layer,) = (x for x in network.layers if isinstance(x, Whiten))
        seen = keras.Model(network.input, layer.output)
        return np.asarray(seen(pairs(name)[0] / 50))

    np.testing.assert_array_equal(whitened("bfloat16"), whitened("float32"))
