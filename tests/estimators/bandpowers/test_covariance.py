"""Covariances from few and many simulations: χ² as it should be, too few refused."""

import numpy as np
import pytest

from estimators.bandpowers.covariance import Covariance
from lensing_tfds.errors import LensingError

P = 12
TRUE = 0.2 ** np.abs(np.subtract.outer(np.arange(P), np.arange(P))) * np.outer(
    np.linspace(1, 3, P), np.linspace(1, 3, P)
)


def draws(seed, *shape):
    generator = np.random.default_rng(seed)
    return generator.multivariate_normal(np.zeros(P), TRUE, shape)


@pytest.mark.parametrize("simulations", [16, 24, 59, 60, 240])
def test_chi2_is_the_number_of_bands_on_average(simulations):
    """400 realisations of the simulations: the mean of χ² scatters by 2 to 4 %."""
    means = []
    for seed in range(400):
        covariance = Covariance.of(draws([seed, simulations], simulations))
        data = draws([seed, 1], 20)
        means.append(np.einsum("ni,ij,nj->", data, covariance.inverse, data) / 20)
    assert np.mean(means) == pytest.approx(P, rel=0.1 if simulations < 60 else 0.03)


def test_few_simulations_are_shrunk_which_brings_them_nearer_the_truth():
    true = 0.7 ** np.abs(np.subtract.outer(np.arange(P), np.arange(P)))
    sample = np.random.default_rng(3).multivariate_normal(np.zeros(P), true, 40)
    shrunk = Covariance.of(sample)
    assert 0 < shrunk.shrinkage < 1
    plain = np.cov(sample.T)
    np.testing.assert_allclose(np.diag(shrunk.matrix), np.diag(plain))
    assert np.linalg.norm(shrunk.matrix - true) < np.linalg.norm(plain - true)
    assert Covariance.of(draws(3, 5 * P)).shrinkage == 0


def test_what_bands_have_in_common_is_not_shrunk_away():
    """Correlations of 0.3 of all bands with all: the variance of their sum stays."""
    generator = np.random.default_rng(1)
    ratios = []
    for _ in range(100):
        common = generator.standard_normal((30, 1))
        numbers = np.sqrt(0.7) * generator.standard_normal((30, P)) + np.sqrt(0.3) * common
        covariance = Covariance.of(numbers)
        assert covariance.shrinkage > 0.3
        ratios.append(covariance.matrix.sum() / (P + 0.3 * P * (P - 1)))
    assert np.mean(ratios) == pytest.approx(1, abs=0.05)


def test_numbers_without_correlation_are_shrunk_nearly_to_none():
    independent = np.random.default_rng(0).standard_normal((30, P))
    assert Covariance.of(independent).shrinkage > 0.7


def test_fewer_than_bands_and_3_are_refused():
    with pytest.raises(LensingError, match=r"14 simulations are too few.*Hartlap.*at least 15"):
        Covariance.of(draws(0, P + 2))
    assert Covariance.of(draws(0, P + 3)).hartlap > 0


def test_several_kinds_need_as_many_as_one():
    three = np.concatenate([draws(seed, P + 3) for seed in range(3)], axis=1)
    assert np.linalg.eigvalsh(Covariance.of(three, kinds=3).matrix).min() > 0
    with pytest.raises(LensingError, match=f"covariance of {P} band powers"):
        Covariance.of(three[: P + 2], kinds=3)


def test_the_factors_are_those_of_the_literature():
    covariance = Covariance.of(draws(0, 100))
    assert covariance.hartlap == pytest.approx((100 - P - 2) / 99)
    b = (100 - P - 2) / ((100 - P - 1) * (100 - P - 4))
    a = 2 / ((100 - P - 1) * (100 - P - 4))
    assert covariance.parameter_factor() == pytest.approx((1 + b * (P - 1)) / (1 + a + 2 * b))
