import keras
import numpy as np

from trainer.loop.metrics import MapCorrelation


def draw(rng: np.random.Generator, n: int, offset: float) -> tuple[np.ndarray, np.ndarray]:
    truth = rng.normal(size=(n, 8, 8, 1))
    estimate = 0.3 * truth + rng.normal(size=truth.shape)
    return (truth + offset).astype(np.float32), (5 * estimate - offset).astype(np.float32)


def test_batches_give_pearsons_correlation_of_all_their_pixels_even_with_large_means():
    rng = np.random.default_rng(0)
    batches = [draw(rng, n, offset) for n, offset in ((3, 100), (16, 101), (1, 98), (7, 100))]
    metric = MapCorrelation()
    for truth, estimate in batches:
        metric.update_state(truth, estimate)
    truth, estimate = (np.concatenate(maps).ravel() for maps in zip(*batches, strict=True))
    expected = np.corrcoef(truth.astype(np.float64), estimate.astype(np.float64))[0, 1]
    np.testing.assert_allclose(float(metric.result()), expected, atol=1e-4)


def test_a_reset_forgets():
    metric = MapCorrelation()
    metric.update_state(*draw(np.random.default_rng(0), 4, 0))
    metric.reset_state()
    truth = np.random.default_rng(1).normal(size=(4, 8, 8, 1))
    metric.update_state(truth, -2 * truth)
    np.testing.assert_allclose(float(metric.result()), -1, rtol=1e-6)


def test_a_constant_estimate_has_no_correlation():
    metric = MapCorrelation()
    metric.update_state(np.arange(4.0), np.zeros(4))
    assert float(metric.result()) == 0


def test_keras_can_save_and_load_it():
    config = keras.saving.serialize_keras_object(MapCorrelation())
    assert isinstance(keras.saving.deserialize_keras_object(config), MapCorrelation)
