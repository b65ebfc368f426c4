"""The likelihood of A_L: unbiased, and its intervals hold what they say."""

import numpy as np
import pytest

from estimators.bandpowers.amplitude import AMPLITUDES, LIMITS, Amplitude, Response, fit_amplitude
from estimators.bandpowers.covariance import Covariance

THEORY = np.array([4.0, 2.0, 1.0, 0.5])
N1 = np.array([0.1, 0.2, 0.3, 0.4])
SIGMA = np.array([0.4, 0.2, 0.2, 0.2])


def response():
    """C + (A − 1) (C + N1), and a little of second order."""
    return Response(
        np.stack([THEORY + (a - 1) * (THEORY + N1) + 0.1 * (a - 1) ** 2 for a in AMPLITUDES])
    )


def test_the_response_is_the_parabola_through_what_was_simulated():
    for amplitude in (*AMPLITUDES, 1.4):
        step = amplitude - 1
        expected = THEORY + step * (THEORY + N1) + 0.1 * step**2
        np.testing.assert_allclose(response().at(amplitude), expected)
        np.testing.assert_allclose(response().slope(amplitude), THEORY + N1 + 0.2 * step)


@pytest.mark.parametrize("simulations", [12, 40, 400])
@pytest.mark.parametrize("truth", [0.9, 1.1])
def test_a_is_unbiased_and_its_intervals_cover(truth, simulations):
    """1,500 skies, each with its own covariance: 1 % in 68 % by chance."""
    generator = np.random.default_rng([simulations, int(10 * truth)])
    found = []
    for _ in range(1500):
        simulated = SIGMA * generator.standard_normal((simulations, len(SIGMA)))
        data = response().at(truth) + SIGMA * generator.standard_normal(len(SIGMA))
        found.append(fit_amplitude(data, response(), Covariance.of(simulated)))
    values, errors = (np.array([getattr(f, n) for f in found]) for n in ("value", "error"))
    assert values.mean() == pytest.approx(truth, abs=4 * values.std() / np.sqrt(1500))
    held = [np.mean(np.abs(values - truth) < z * errors) for z in (0.9945, 1.96)]
    assert held == pytest.approx([0.68, 0.95], abs=0.06 if simulations < 20 else 0.03)


def test_chi2_has_its_degrees_of_freedom():
    exact = Covariance(np.diag(SIGMA**2), 10**9, 0.0)
    generator = np.random.default_rng(5)
    chi2 = [
        fit_amplitude(THEORY + SIGMA * generator.standard_normal(4), response(), exact).chi2
        for _ in range(2000)
    ]
    assert np.mean(chi2) == pytest.approx(3, rel=0.05)


def test_errors_are_enlarged_for_a_covariance_of_few_simulations():
    generator = np.random.default_rng(0)
    covariance = Covariance.of(SIGMA * generator.standard_normal((20, 4)))
    slope = response().slope()
    curvature = slope @ covariance.inverse @ slope
    error = fit_amplitude(response().at(1.0), response(), covariance).error
    assert covariance.parameter_factor() > 1.01
    assert error**2 * curvature == pytest.approx(covariance.parameter_factor(), rel=1e-5)


def test_intervals_and_probabilities_are_a_gaussians():
    fitted = Amplitude(1.0, 0.1, chi2=3.0, degrees=3)
    assert fitted.interval(0.68) == pytest.approx((0.90055, 1.09945), abs=1e-4)
    assert fitted.probability == pytest.approx(0.3916, abs=1e-4)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_fit_that_ends_at_a_limit_of_the_search_says_so(limit):
    """Beyond it χ² still falls; a little inside it is a fit like any other."""
    exact = Covariance(np.diag(SIGMA**2), 10**9, 0.0)
    linear = Response(np.stack([a * THEORY for a in AMPLITUDES]))
    inward = -np.sign(limit)
    for truth, expected in ((limit - 0.5 * inward, True), (limit + 0.01 * inward, False)):
        fitted = fit_amplitude(truth * THEORY, linear, exact)
        assert fitted.at_limit is expected
        assert fitted.value == pytest.approx(limit if expected else truth, abs=1e-4)
