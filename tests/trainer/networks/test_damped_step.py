"""The layer of damped steps is `RemapFeatures.reached`, and passes gradients on."""

import keras
import numpy as np
import pytest

from estimators.iterated.remapping import RemapFeatures
from estimators.quadratic.fields import fields_of
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from lensing_tfds.versions import VERSIONS
from tests.trainer.networks.kinds import smaller
from trainer.networks.flow_layers import DampedStep, Unlens

TABLE = spectra.fiducial()
CONFIG = smaller(VERSIONS["v5"], 26)
SKY = CONFIG.sky


def whole(modes):
    full = SKY.full_plane(modes)
    return full.real.astype(np.float32), full.imag.astype(np.float32)


def given(t, kappa):
    """T, T remapped by κ, and κ."""
    left = Unlens(SKY.npix, SKY.side)(whole(t), whole(kappa))
    return whole(t), left, whole(kappa)


@pytest.fixture(name="step", scope="module")
def step_fixture():
    """Features, T, an estimate from which to go, and one to go to: past the truth, or astray."""
    maps = simulate(CONFIG, "test", range(4))
    kappa = SKY.to_modes(np.ascontiguousarray(maps["kappa"][..., 0]))
    t = fields_of(maps["lensed"], ("T",), SKY)["T"]
    features = RemapFeatures(CONFIG, TABLE, np.ones(100), is_first=False, damped=True)
    astray = kappa[[0, 1, 3, 2]] * np.array([1.5, 1.1, 1, 1], np.float32)[:, None, None]
    astray[0] = 1.5 * kappa[0]
    return features, t, np.float32(0.3) * kappa, astray


def test_it_is_the_step_in_numpy(step):
    features, t, kappa, new = step
    expected = features.reached({"T": t}, kappa, new)
    re, im = DampedStep.of(features, SKY)(*given(t, kappa), whole(new))
    found = np.asarray(re) + 1j * np.asarray(im)
    assert np.abs(found - SKY.full_plane(expected)).max() < 1e-4 * np.abs(new).max()
    size = [np.linalg.norm(one) for one in (expected - kappa)[:2]]
    full = [np.linalg.norm(one) for one in (new - kappa)[:2]]
    assert 0.3 < size[0] / full[0] < 0.9  # it goes to 1.2 times the truth less than 1.5 times


def test_gradients_take_the_length_of_the_step_as_given(step):
    tf = pytest.importorskip("tensorflow")
    features, t, kappa, new = step
    layer = DampedStep.of(features, SKY)
    re, im = (tf.constant(part) for part in whole(new))
    with tf.GradientTape() as tape:
        tape.watch(re)
        total = tf.reduce_sum(layer(*given(t, kappa), (re, im))[0], axis=(1, 2))
    found = np.asarray(tape.gradient(total, re))
    reached, whole_kappa = layer(*given(t, kappa), whole(new))[0], whole(kappa)[0]
    share = np.sum((np.asarray(reached) - whole_kappa) * (whole(new)[0] - whole_kappa), axis=(1, 2))
    share /= np.sum((whole(new)[0] - whole_kappa) ** 2, axis=(1, 2))
    np.testing.assert_allclose(found, np.broadcast_to(share[:, None, None], found.shape), atol=1e-4)


def test_a_layer_that_has_lost_its_weights_gives_nan(step):
    _, t, kappa, new = step
    config = keras.saving.serialize_keras_object(DampedStep(SKY.npix, SKY.side))
    bare = keras.saving.deserialize_keras_object(config)
    assert np.isnan(np.asarray(bare(*given(t, kappa), whole(new))[0])).all()
