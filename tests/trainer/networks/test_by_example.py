"""Estimates are the same whether examples are worked off together or one after the other."""

import keras
import numpy as np
import pytest
from keras import ops

from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from lensing_tfds.configs import LensingConfig
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from trainer import serving
from trainer.machine import devices
from trainer.networks import by_example
from trainer.networks import quadratic_layers as layers

LARGE = 182  # pixels on a side, of maps that are worked off one after the other
CONFIG = LensingConfig(
    "small", npix=32, lx=32 * 2.5 / 60, stokes="QU", oversampling=2, beam_arcmin=1.5,
    noise_uK_arcmin=1.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _on_a_cpu(monkeypatch):
    monkeypatch.setattr(devices, "has_accelerator", lambda: False)


def seen(npix, examples=3):
    """The numbers of examples that a function is given, call by call."""
    numbers, x = [], np.arange(2.0 * examples, dtype=np.float32).reshape(examples, 2)

    def products(fields):
        numbers.append(fields["x"].shape[0])
        return fields["x"] * fields["y"], [fields["x"]]

    product, (same,) = by_example.by_example(products, {"x": x, "y": x + 1}, npix)
    np.testing.assert_array_equal(product, x * (x + 1))
    np.testing.assert_array_equal(same, x)
    return set(numbers)


def test_large_maps_are_worked_off_one_after_the_other_and_small_ones_together():
    assert seen(LARGE) == {1}
    assert seen(LARGE - 1) == {3}
    assert seen(LARGE, examples=0) == {0}


def test_a_gpu_and_a_file_for_any_device_take_whole_batches(monkeypatch):
    with by_example.whole_batches():
        assert seen(LARGE) == {3}
    assert seen(LARGE) == {1}
    monkeypatch.setattr(devices, "has_accelerator", lambda: True)
    assert seen(LARGE) == {3}


@keras.saving.register_keras_serializable(package="tests")
class Scaled(keras.layers.Layer):
    """Multiplies by a number that is trained."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(), initializer="ones")

    def call(self, maps):
        return self.factor * maps


def network():
    """A quadratic estimate of scaled maps."""
    estimator = QuadraticEstimator("EB", Observation.of(CONFIG, spectra.fiducial()))
    inputs = keras.Input((32, 32, 2))
    fields = layers.ObservedFields(32, CONFIG.side, CONFIG.channels)(Scaled()(inputs))
    estimate = layers.QuadraticEstimator.of(estimator)(fields["E"], fields["B"])
    return keras.Model(inputs, layers.KappaMap(32, CONFIG.side)(estimate))


def trained(monkeypatch, fewest):
    """Estimates before and after a step; and whether examples were transformed one by one."""
    monkeypatch.setattr(by_example, "_FEWEST_PIXELS", fewest)
    batches, fft2, model = [], ops.fft2, network()
    monkeypatch.setattr(ops, "fft2", lambda x: batches.append(x[0].shape[0]) or fft2(x))
    examples = simulate(CONFIG, "test", range(3))
    found = [model.predict(examples["lensed"], verbose=0)]
    model.compile(keras.optimizers.SGD(100.0), "mse", jit_compile=False)
    model.fit(examples["lensed"], examples["kappa"], batch_size=3, verbose=0)
    found.append(model.predict(examples["lensed"], verbose=0))
    monkeypatch.setattr(ops, "fft2", fft2)
    return found, 1 in batches


def test_a_layer_estimates_and_learns_the_same_either_way(monkeypatch):
    (together, learnt), one = trained(monkeypatch, 10**9)
    assert not one
    (apart, learnt_apart), one = trained(monkeypatch, 0)
    assert one
    np.testing.assert_allclose(apart, together, atol=1e-5 * together.std())
    np.testing.assert_allclose(learnt_apart, learnt, atol=1e-5 * learnt.std())
    assert np.abs(learnt - together).max() > 0.01 * together.std()


def test_a_saved_model_has_no_loop_over_examples(monkeypatch, tmp_path):
    tf = pytest.importorskip("tensorflow")
    monkeypatch.setattr(by_example, "_FEWEST_PIXELS", 0)
    model, maps = network(), simulate(CONFIG, "test", range(2))["lensed"]
    write, read = serving._WRITTEN_AND_READ["saved_model"]
    write(model, tmp_path)
    np.testing.assert_allclose(read(tmp_path)(maps), model(maps), rtol=1e-3)
    functions = tf.saved_model.load(str(tmp_path)).serve.concrete_functions
    kinds = {op.type for function in functions for op in function.graph.get_operations()}
    assert not [kind for kind in kinds if "While" in kind]
