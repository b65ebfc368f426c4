import numpy as np
import pytest

from estimators.iterated.ring_regression import RingRegression
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky
from tests.estimators.quadratic.skies import gaussian

SKY = FlatSky(16, 0.2)
RINGS = Bins.between([1, 120, 200, np.inf], SKY)
POWER = np.where(SKY.ell > 0, 1e-6 / (1 + (SKY.ell / 100) ** 2), 0.0)
N = 50


@pytest.fixture(scope="module")
def skies():
    """κ, and two noisy views of it, one of them fifteen orders of magnitude larger."""
    rng = np.random.default_rng(3)
    kappa, one, two = (gaussian(POWER, rng, N) for _ in range(3))
    return kappa, [kappa + one, 1e15 * (0.5 * kappa + 2 * two)]


def regression(kappa, features, size=20, mean_field=False):
    fit = RingRegression(RINGS, len(features), mean_field)
    for start in range(0, len(kappa), size):
        batch = slice(start, start + size)
        fit.add(kappa[batch], [feature[batch] for feature in features])
    return fit


def plain_least_squares(kappa, features, ring):
    """Every real number of the whole plane as a row, solved by NumPy."""
    full = np.hypot(*np.meshgrid(*[np.fft.fftfreq(SKY.npix, SKY.pixel)] * 2)) * 2 * np.pi
    low, high = [(1, 120), (120, 200), (200, np.inf)][ring]
    inside = (full >= low) & (full < high)
    columns = [SKY.full_plane(modes)[:, inside].ravel() for modes in (*features, kappa)]
    *left, right = (np.concatenate([c.real, c.imag]) for c in columns)
    return np.linalg.lstsq(np.stack(left, axis=1), right, rcond=None)[0]


@pytest.mark.parametrize("ring", [0, 1, 2])
def test_gains_are_those_of_plain_least_squares(skies, ring):
    kappa, (one, two) = skies
    gains = regression(kappa, [one, two]).gains()[:, ring]
    # In units of their own, so that NumPy's solver, which does not scale, is exact. The ridge
    # changes gains by 1e-6 of themselves.
    plain = plain_least_squares(kappa, [one, two / 1e15], ring) / [1, 1e15]
    np.testing.assert_allclose(gains, plain, rtol=1e-4)


def test_the_correlation_is_that_of_the_fit(skies):
    kappa, features = skies
    fit = regression(kappa, features)
    estimate = sum(RINGS.spread(g) * f for g, f in zip(fit.gains(), features, strict=True))
    power = [
        np.sum(SKY.mode_counts * (a * b.conj()).real)
        for a, b in ((estimate, kappa), (estimate, estimate), (kappa, kappa))
    ]
    assert fit.correlation() == pytest.approx(power[0] / np.sqrt(power[1] * power[2]), abs=1e-6)


def test_a_feature_given_twice_is_no_trouble(skies):
    kappa, (one, two) = skies
    once, twice = (regression(kappa, f).correlation() for f in ([one, two], [one, two, one]))
    assert twice == pytest.approx(once, rel=1e-5)


def test_a_feature_of_zeros_and_modes_of_no_feature_have_no_gain(skies):
    kappa, (one, _) = skies
    low = one * (SKY.ell < 120)
    gains = regression(kappa, [low, 0 * one]).gains()
    assert np.all(gains[0, 1:] == 0) and gains[0, 0] > 0.1
    assert np.all(gains[1] == 0)


def test_too_few_examples_are_refused_with_the_number_that_is_needed(skies):
    kappa, features = skies
    many = [features[0] * (1 + i) for i in range(11)]
    with pytest.raises(LensingError, match="1 examples are too few for 11 gains .* at least 2 are"):
        regression(kappa[:1], [feature[:1] for feature in many]).gains()
    fit = RingRegression(RINGS, 11)
    fit.add(kappa[:2], [feature[:2] for feature in many])
    assert fit.gains().shape == (11, 3)


def test_a_mean_field_is_taken_off_the_features_and_is_no_estimate(skies):
    kappa, features = skies
    mean = gaussian(100 * POWER, np.random.default_rng(5), len(features))
    means = [modes[None] * scale for modes, scale in zip(mean, (1, 1e15), strict=True)]
    shifted = [feature + m for feature, m in zip(features, means, strict=True)]
    fit = regression(kappa, shifted, mean_field=True)
    centred = [feature - feature.mean(axis=0) for feature in features]
    alone = regression(kappa, centred)
    np.testing.assert_allclose(fit.gains(), alone.gains(), rtol=1e-3)
    assert fit.correlation() == pytest.approx(alone.correlation(), abs=1e-4)
    assert regression(kappa, shifted).correlation() < fit.correlation() - 0.1
    gains = RINGS.spread(fit.gains())
    total = sum(g * f.mean(axis=0) for g, f in zip(gains, shifted, strict=True))
    np.testing.assert_allclose(fit.mean_field(), total, rtol=1e-6, atol=1e-9 * np.abs(total).max())


def test_filters_are_the_gains_of_each_feature_by_itself_at_unit_variance(skies):
    kappa, features = skies
    filters = regression(kappa, features).filters()
    for feature, own in zip(features, filters, strict=True):
        assert np.var(SKY.to_map(feature * RINGS.spread(own))) == pytest.approx(1, rel=1e-3)
        alone = regression(kappa, [feature]).gains()[0]
        np.testing.assert_allclose(own / own[0], alone / alone[0], rtol=1e-5)
