"""The form behind a quadratic estimate, and the spectra that biases are made of."""

import numpy as np
import pytest

from estimators.bandpowers.sky_sets import SkyMaker, observed
from estimators.bandpowers.sky_spectra import TRACER_CORRELATION, Bilinear
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from estimators.trispectrum.n1 import n1
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.sky import spectra
from tests.estimators.bandpowers.conftest import CONFIG, NUMBERS, Little


@pytest.fixture(scope="module")
def maps():
    return SkyMaker(CONFIG, spectra.fiducial(), observed("test")).skies(0, 3)[0].astype(float)


def fields(maps):
    return fields_of(maps, CONFIG.channels, CONFIG.sky)


def test_the_form_is_the_estimate_with_each_leg_of_another_map(maps):
    """EB with E of one map and B of the other, both ways: to rounding of float64."""
    estimator = QuadraticEstimator("EB", Observation.of(CONFIG, spectra.fiducial()))
    x, y = maps[:1], maps[1:2]
    mean = 0.01 * estimator.kappa(fields(maps[2:]))  # as an estimate that subtracts its mean

    def kappa(some):
        return estimator.kappa(fields(some)) - mean

    form = Bilinear(kappa, -mean)
    own = form.own(kappa(x)) + form.own(kappa(y))
    legs = [{"E": fields(a)["E"], "B": fields(b)["B"]} for a, b in ((x, y), (y, x))]
    expected = sum(estimator.kappa(leg) for leg in legs) / 2
    found = form.of(x, y, own)
    assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()


def test_n0_of_independent_skies_is_the_estimators_own(measured):
    """Lensed skies two by two have no power but N0; 96 of them, 15 rings: 5 sigma of 1 %."""
    n0 = measured.fiducial["n0"].mean(axis=0)
    theory = measured.rings.mean(np.nan_to_num(Little().combination().noise, posinf=0))
    modes = measured.rings.num_modes
    ratio = n0 / theory
    error = np.sqrt(2 / modes / NUMBERS.simulations)
    assert np.all(np.abs(ratio - 1) < 6 * error + 0.01)
    mean = np.sum(ratio * modes) / modes.sum()
    assert mean == pytest.approx(1, abs=0.02)


def test_rdn0_is_n0_on_average_and_follows_the_power_of_a_sky(measured):
    data, n0 = measured.fiducial["data_n0"], measured.fiducial["n0"]
    modes = measured.rings.num_modes

    def total(values):
        return values @ modes

    # Twice N0 of a pair, four times that of κ̂[d, s]; less N0 it is N0 again.
    assert total(data).mean() == pytest.approx(2 * total(n0).mean(), rel=0.03)
    auto = total(measured.fiducial["auto"])
    assert np.corrcoef(auto, total(data))[0, 1] > 0.5


def test_n1_of_paired_skies_is_its_direct_sum(measured):
    """Of all rings together, within what 96 skies tell and 10 % for orders beyond the first."""
    config, ensemble = CONFIG, Little().ensemble
    lensing = config.internal
    power = kappa_power(config, ensemble.theory, lensing.ell)
    plane = n1(Little().combination(), power, lensing, nodes=6)
    expected = measured.rings.mean(np.where(np.isfinite(plane), plane, 0))
    # Weighed by 1 / N0: else the smallest scales, where all is noise, would be all there is.
    weights = measured.rings.num_modes / measured.fiducial["n0"].mean(axis=0)
    each = (measured.fiducial["n0_n1"] - measured.fiducial["n0"]) @ weights
    error = each.std() / np.sqrt(len(each))
    total = expected @ weights
    assert error < 0.3 * total
    assert each.mean() == pytest.approx(total, abs=3 * error + 0.1 * total)


def test_the_tracer_has_the_correlation_that_it_is_said_to_have(measured):
    total = {k: np.sum(v * measured.rings.num_modes) for k, v in measured.fiducial.items()}
    true = total["tracer_true"] / np.sqrt(total["tracer"] * total["true"])
    assert true == pytest.approx(TRACER_CORRELATION, abs=0.02)


def test_only_quadratic_estimates_have_spectra_of_pairs(measured, network):
    assert set(measured.fiducial) - set(network.fiducial) == {"data_n0", "n0", "n0_n1"}
    np.testing.assert_array_equal(measured.fiducial["true"], network.fiducial["true"])
