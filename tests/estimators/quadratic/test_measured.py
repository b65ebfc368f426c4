"""What is measured on examples is what was put into them."""

import numpy as np
import pytest

from estimators.quadratic.measured import Calibrator, MeasuredObservation, measure_power
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import spectra
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky
from tests.estimators.quadratic import skies

SKY = FlatSky(16, 0.2)
RINGS = Bins.between([0, 50, 120, 200, np.inf], SKY)
POWER = 1e-6 / (1 + (SKY.ell / 100) ** 2)  # of the modes


def test_spectra_are_those_of_the_fields():
    rng = np.random.default_rng(0)
    te = 0.5 * POWER
    t, e = skies.correlated(POWER, 2 * POWER, te, rng, 2000)
    b = skies.gaussian(0.1 * POWER, rng, 2000)
    batches = ({"T": t[s], "E": e[s], "B": b[s]} for s in (slice(500), slice(500, None)))
    power = measure_power(batches, SKY)
    rings = Bins.fundamental(SKY)
    for name, expected in (("TT", POWER), ("EE", 2 * POWER), ("TE", te), ("BB", 0.1 * POWER)):
        mean = rings.spread(rings.mean(expected)) * SKY.area
        np.testing.assert_allclose(power[name], mean, rtol=0.15)


def test_a_measured_observation_holds_what_was_measured_where_modes_are_used():
    power = {"TT": POWER}
    observation = MeasuredObservation(SKY, spectra.fiducial(), lmax=150, power=power)
    used = observation.used
    np.testing.assert_array_equal(observation.total("T", "T"), np.where(used, POWER, 0))
    np.testing.assert_allclose(observation.inverse("T")[used], 1 / POWER[used])
    assert not observation.total("T", "B").any()


@pytest.fixture(name="kappa", scope="module")
def kappa_fixture():
    return skies.gaussian(POWER, np.random.default_rng(1), 3000)


def calibrated(kappa, estimate, mean_field=True):
    calibrator = Calibrator(RINGS, mean_field)
    for half in (slice(1000), slice(1000, None)):
        calibrator.add(kappa[half], estimate[half])
    return calibrator.result()


def test_gains_are_measured_inside_a_window(kappa):
    """An estimate that is half of κ inside the window, and nonsense outside."""
    window = np.zeros((16, 16))
    window[3:13, 3:13] = 1
    maps = np.where(window > 0, 0.5 * SKY.to_map(kappa), 1e3 * SKY.to_map(kappa[::-1].copy()))
    calibrator = Calibrator(RINGS, False, window)
    calibrator.add(kappa, SKY.to_modes(maps))
    np.testing.assert_allclose(calibrator.result().unbiased[SKY.ell < 200], 2)


def test_gain_filter_and_mean_field_are_found(kappa):
    rng = np.random.default_rng(2)
    mean = skies.gaussian(POWER, rng, 1)[0]
    estimate = 0.5 * kappa + skies.gaussian(POWER, rng, len(kappa)) + mean
    found = calibrated(kappa, estimate)
    np.testing.assert_allclose(found.response, 0.5, rtol=0.2)
    np.testing.assert_allclose(found.wiener, 0.5 / (0.25 + 1), rtol=0.2)
    np.testing.assert_allclose(found.unbiased, 2, rtol=0.2)
    assert np.abs(found.mean_field - mean).max() < 0.1 * np.abs(mean).max()


def test_a_mean_is_noise_where_there_is_no_mean_field(kappa):
    assert not calibrated(kappa, kappa, mean_field=False).mean_field.any()


def test_nothing_is_divided_by_a_response_that_is_noise(kappa):
    found = calibrated(kappa, np.roll(kappa, 1, axis=0))
    for values in (found.response, found.wiener, found.unbiased):
        assert not values.any()


def test_too_few_examples_are_refused(kappa):
    with pytest.raises(LensingError, match="at least 8 examples .* there are 7"):
        calibrated(kappa[:7], kappa[:7])
    with pytest.raises(LensingError, match="at least 8 examples .* there are 7"):
        measure_power([{"T": kappa[:7]}], SKY)
