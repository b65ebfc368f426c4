"""Cross-only estimates: those of sums over different splits, and without their noise."""

import itertools

import numpy as np
import pytest

from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from estimators.quadratic.splits import cross_only, cross_only_power
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import spectra
from lensing_tfds.sky.flat_sky import FlatSky
from tests.estimators.quadratic import skies

SKY = FlatSky(16, 0.05)
OBSERVATION = Observation(SKY, spectra.fiducial(), 2.0, 10.0)
POWER = OBSERVATION.total("B", "B")  # of noise alone, nearly
EB = QuadraticEstimator("EB", OBSERVATION)
EE = QuadraticEstimator("EE", OBSERVATION)


def split_maps(m, n, seed):
    rng = np.random.default_rng(seed)
    return [
        {name: skies.gaussian(POWER / SKY.area, rng, n).astype(np.complex128) for name in "EB"}
        for _ in range(m)
    ]


def pair(estimator, one, two):
    """κ̂_ij, by the fields of one from i and of the other from j."""
    x, y = estimator.pair
    if x != y:
        both = [estimator.kappa({x: a[x], y: b[y]}) for a, b in ((one, two), (two, one))]
        return (both[0] + both[1]) / 2
    total = estimator.kappa({x: one[x] + two[x]})
    return (total - estimator.kappa(one) - estimator.kappa(two)) / 2


@pytest.mark.parametrize("estimator", [EB, EE], ids=lambda estimator: estimator.pair)
@pytest.mark.parametrize("m", [2, 3])
def test_a_cross_only_estimate_is_that_of_all_pairs_of_splits(estimator, m):
    splits = split_maps(m, 2, 0)
    expected = sum(
        pair(estimator, splits[i], splits[j]) for i, j in itertools.permutations(range(m), 2)
    ) / (m * (m - 1))
    found = cross_only(estimator, splits)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("m", [4, 5])
def test_its_power_is_that_of_four_different_splits(m):
    splits = split_maps(m, 1, 1)
    expected = sum(
        (pair(EB, splits[i], splits[j]) * pair(EB, splits[k], splits[p]).conj()).real
        for i, j, k, p in itertools.permutations(range(m), 4)
    ) / (m * (m - 1) * (m - 2) * (m - 3))
    found = cross_only_power(EB, splits)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


def test_noise_has_no_power_in_it_whatever_its_model():
    """Of noise ten times the model's: the plain estimate's power is N0 a hundredfold, ours is 0."""
    n = 400
    splits = [
        {name: np.sqrt(10) * modes for name, modes in fields.items()}
        for fields in split_maps(4, n, 2)
    ]
    known = EB.response > 0
    power = cross_only_power(EB, splits)[:, known].mean(axis=1)
    mean = {name: sum(fields[name] for fields in splits) / 4 for name in "EB"}
    plain = (np.abs(EB.kappa(mean)[:, known]) ** 2).mean(axis=1)
    error = power.std() / np.sqrt(n)
    assert abs(power.mean()) < 4 * error
    assert plain.mean() > 20 * error


@pytest.mark.parametrize(("function", "m", "least"), [(cross_only, 1, 2), (cross_only_power, 3, 4)])
def test_too_few_splits_are_refused(function, m, least):
    with pytest.raises(LensingError, match=f"at least {least} splits of the data, not {m}"):
        function(EB, split_maps(m, 1, 3))
