"""Networks of mixed precision: what needs float32 has it, and no NaN comes out or back."""

import dataclasses

import keras
import numpy as np
import pytest

from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.task import Task
from trainer.networks import families
from trainer.networks.statistics import measure_statistics
from trainer.networks.whitening import Whiten
from trainer.settings.config import resolve
from trainer.train import compile_network

SKY = LensingConfig(name="any", npix=15, lx=3.0, stokes="TQU", noise_uK_arcmin=5.0, beam_arcmin=2.0)
TASK = Task(SKY, DATASET_VERSION)


def smallest(family) -> str:
    """The name of the smallest network of a family that a search may try."""
    space = family.space()
    names = (field.name for field in dataclasses.fields(space))
    return space.model({name: min(getattr(space, name).extremes) for name in names})


NAMES = [smallest(family) for family in families.FAMILIES.values() if family.space is not None]
NAMES += ["whiten-1x4-3"]


def maps(number: int = 4) -> np.ndarray:
    """Maps that are nothing but noise, of the size of the CMB's."""
    shape = (number, *TASK.input_shape)
    return (50 * np.random.default_rng(0).normal(size=shape)).astype(np.float32)


def truth(x: np.ndarray) -> np.ndarray:
    """κ that is what the maps show, pixel by pixel."""
    return 0.2 * x[..., :1] / 50


def built(name: str, precision: str) -> keras.Model:
    x = maps(16)
    statistics = measure_statistics([{"lensed": x, "kappa": truth(x)}], TASK)
    return families.build(name, TASK, statistics, 3, precision)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", NAMES)
def test_every_family_trains_in_mixed_precision_without_a_nan(name, precision):
    model, x = built(name, precision), maps()
    kappa = np.asarray(model.predict_on_batch(x))
    assert kappa.dtype == np.float32 and np.isfinite(kappa).all()
    assert {weights.dtype for weights in model.weights} == {"float32"}
    settings = {"schedule": "constant", "warmup_steps": 0, "learning_rate": 5e-4}
    config = resolve("lensing/any", "", SKY, model=name, precision=precision, **settings)
    compile_network(model, config, 9)
    before = [weights.numpy().copy() for weights in model.trainable_weights]
    losses = [float(model.train_on_batch(x, truth(x))[0]) for _ in range(5)]
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
    expected, kappa = (np.asarray(model.predict_on_batch(maps())) for model in (single, mixed))
    rounding = {"bfloat16": 2**-8, "float16": 2**-11}[precision]
    assert 0 < np.std(kappa - expected) < 10 * rounding * np.std(expected)


@pytest.mark.parametrize("name", ["unet-4x1x1", "whiten-1x4-3"])
def test_whitened_maps_are_those_of_single_precision_to_the_last_bit(name):
    """bfloat16 rounds a map to where whitening finds nothing but rounding in its small scales."""

    def whitened(precision: str) -> np.ndarray:
        (network,) = (x for x in built(name, precision).layers if isinstance(x, keras.Model))
        (layer,) = (x for x in network.layers if isinstance(x, Whiten))
        seen = keras.Model(network.input, layer.output)
        return np.asarray(seen(maps() / 50))

    np.testing.assert_array_equal(whitened("bfloat16"), whitened("float32"))
