"""The combination of quadratic estimators: least noise, and the noise it says."""

import numpy as np
import pytest

from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import PAIRS, QuadraticEstimator
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import spectra
from lensing_tfds.sky.flat_sky import FlatSky
from tests.estimators.quadratic.skies import observed

OBSERVATION = Observation(
    FlatSky(32, np.radians(2.2)), spectra.fiducial(), beam_arcmin=4, noise_uK_arcmin=2, lmin=200
)
COMBINED = MinimumVariance(PAIRS, OBSERVATION)
ESTIMATED = np.isfinite(COMBINED.noise)


@pytest.fixture(scope="module")
def fields():
    return observed(OBSERVATION, np.random.default_rng(11), 600)


def test_noise_and_covariance_are_those_of_gaussian_maps(fields):
    """Of the five pairs with one another, averaged over L in units of N0, and of the combination.

    The estimates' cross-power is compared with the noise covariance, and that of EB and TB with
    the other three, which parity makes zero, with zero.
    """
    estimates = [estimator.kappa(fields) for estimator in COMBINED.estimators]
    area = OBSERVATION.sky.area
    for i, one in enumerate(COMBINED.estimators):
        for j, two in enumerate(COMBINED.estimators[: i + 1]):
            scale = np.sqrt(one.noise * two.noise)[ESTIMATED]
            expected = np.mean(one.noise_covariance(two)[ESTIMATED] / scale)
            cross = (estimates[i] * estimates[j].conj()).real[:, ESTIMATED] * area / scale
            measured = cross.mean(axis=1)
            error = np.std(measured) / np.sqrt(len(measured))
            assert error < 0.01
            assert abs(measured.mean() - expected) < 4 * error
            if (one.pair[1] == "B") != (two.pair[1] == "B"):
                assert abs(expected) < 1e-10
    power = np.abs(COMBINED.kappa(fields)[:, ESTIMATED]) ** 2 * area / COMBINED.noise[ESTIMATED]
    measured = power.mean(axis=1)
    error = np.std(measured) / np.sqrt(len(measured))
    assert error < 0.01
    assert abs(measured.mean() - 1) < 4 * error


def test_weights_keep_the_normalisation_and_have_the_least_noise():
    """They add up to 1, and no other weights that do are less noisy: the gradient of wᵀNw along
    any such direction vanishes, as (Nw)_α is the same for all α (Lagrange)."""
    np.testing.assert_allclose(COMBINED.weights.sum(axis=0)[ESTIMATED], 1, rtol=1e-9)
    assert not COMBINED.weights[:, ~ESTIMATED].any()
    for one in COMBINED.estimators:
        row = sum(
            one.noise_covariance(two)[ESTIMATED] * weight[ESTIMATED]
            for two, weight in zip(COMBINED.estimators, COMBINED.weights, strict=True)
        )
        np.testing.assert_allclose(row, COMBINED.noise[ESTIMATED], rtol=1e-6)
        assert np.all(COMBINED.noise[ESTIMATED] <= one.noise[ESTIMATED] * (1 + 1e-9))


def test_one_pair_alone_is_that_pair(fields):
    few = {name: modes[:3] for name, modes in fields.items()}
    alone, estimator = MinimumVariance(["EB"], OBSERVATION), QuadraticEstimator("EB", OBSERVATION)
    np.testing.assert_allclose(alone.kappa(few), estimator.kappa(few), rtol=1e-12)
    np.testing.assert_allclose(alone.noise, estimator.noise, rtol=1e-12)


@pytest.mark.parametrize("pairs", [[], ["TT", "EB", "TT"]])
def test_bad_pairs(pairs):
    with pytest.raises(LensingError, match="must be at least one, each once"):
        MinimumVariance(pairs, OBSERVATION)
