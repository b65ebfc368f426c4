import keras
import numpy as np

from estimators.filtering.masked_patch import interior_of
from estimators.power_spectra import choose_bands
from estimators.skill import SkillMeter
from tests.trainer.networks.kinds import KINDS
from trainer.loop.losses import StandardisedError, judged
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
    config = keras.saving.serialize_keras_object(MapCorrelation(judged(KINDS["v13"])))
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, MapCorrelation) and again.lensing == judged(KINDS["v13"])


def test_of_a_masked_patch_the_pixels_that_are_judged_count_as_they_are_judged():
    lensing = KINDS["v13"]
    rng, shape = np.random.default_rng(2), (6, 32, 32, 1)
    truth, noise = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    window = interior_of(lensing)
    estimate = truth + noise * np.where(window[..., None] > 0, 1, 100)
    metric, loss = MapCorrelation(judged(lensing)), StandardisedError([2.0], judged(lensing))
    for few in (slice(0, 2), slice(2, 6)):
        metric.update_state(truth[few], estimate[few])
    bands = choose_bands(lensing.sky)
    meter = SkillMeter(bands, window)
    meter.add(truth[..., 0], estimate[..., 0])
    expected = meter.result(np.random.default_rng(0))
    np.testing.assert_allclose(metric.result(), expected.map_correlation.value, rtol=1e-4)
    np.testing.assert_allclose(loss(truth, estimate), expected.mse.value / 4, rtol=1e-4)
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(config)
    assert float(again(truth, estimate)) == float(loss(truth, estimate))
    assert judged(KINDS["v11"]) is None
