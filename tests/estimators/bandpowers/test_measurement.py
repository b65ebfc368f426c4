"""Band powers of simulated skies: unbiased after all that is subtracted, refused where unknown."""

import dataclasses

import numpy as np
import pytest

from estimators.bandpowers.amplitude import fit_amplitude
from estimators.bandpowers.measurement import Numbers, band_powers, default_bands, each_sky, measure
from estimators.bandpowers.rings import BandRings
from lensing_tfds.errors import LensingError
from tests.estimators.bandpowers.conftest import CONFIG, NUMBERS, Little

BANDS = BandRings.given(CONFIG.sky, [180, 900, 1620, 2340, 3060])


@pytest.fixture(scope="module", params=["measured", "network"])
def powers(request):
    return band_powers(request.getfixturevalue(request.param), BANDS)


def test_debiased_band_powers_are_theorys(powers):
    for kind, values in powers.values.items():
        pull = (values - powers.expected) / powers.errors(kind)
        assert np.abs(pull).max() < 4, kind
    # What was subtracted is far more than the errors: it matters.
    assert np.all(powers.noise[1:] > 5 * powers.errors("auto")[1:])


@pytest.mark.parametrize("name", ["measured", "network"])
def test_simulations_as_data_have_the_power_of_their_own_kappa(name, request):
    """Exactly: it is what the Monte-Carlo correction, an average over them, is made for."""
    measured = request.getfixturevalue(name)
    powers = band_powers(dataclasses.replace(measured, data=measured.fiducial), BANDS)
    own = measured.fiducial["true"].mean(axis=0) @ powers.biases.windows.T
    np.testing.assert_allclose(powers.values["auto"], own, rtol=1e-9)


def test_little_is_left_to_the_monte_carlo_correction(measured, network):
    """Any offset would vanish in it: what is subtracted before must be right by itself."""
    quadratic, other = (band_powers(spectra, BANDS) for spectra in (measured, network))
    assert np.all(np.abs(quadratic.correction) < 0.1 * quadratic.raw)
    np.testing.assert_allclose(other.correction, 0, atol=1e-9 * other.expected.min())


def test_windows_are_of_the_response(powers):
    assert np.allclose(powers.biases.windows.sum(axis=1), 1)
    expected = powers.biases.windows @ powers.biases.theory
    np.testing.assert_allclose(powers.expected, expected)


def test_the_amplitude_of_single_skies_is_unbiased(measured):
    powers = band_powers(measured, BANDS)
    one = powers.covariance_of(1).part(slice(BANDS.num))
    found = [fit_amplitude(sky, powers.response, one) for sky in each_sky(measured, BANDS)]
    values = np.array([fitted.value for fitted in found])
    scatter = values.std()
    assert values.mean() == pytest.approx(1, abs=4 * scatter / np.sqrt(len(values)))
    assert np.mean([fitted.error for fitted in found]) == pytest.approx(scatter, rel=0.35)


def test_a_quadratic_estimate_responds_by_c_and_n1_as_kappa_grows(measured):
    """dĈ/dA = C + N1 and what is of higher order: N1 is not subtracted as it grows."""
    powers = band_powers(measured, BANDS)
    n1 = powers.biases.in_bands(powers.biases.n1)
    slope = powers.response.slope()
    assert np.all(slope > powers.expected)
    np.testing.assert_allclose(slope, powers.expected + n1, rtol=0.3)


def test_n1_unsubtracted_is_a_bias_that_is_seen(measured):
    powers = band_powers(measured, BANDS)
    biases = dataclasses.replace(powers.biases, n1=np.zeros_like(powers.biases.n1))
    shift = (
        biases.excess(measured.fiducial)["auto"] - powers.biases.excess(measured.fiducial)["auto"]
    )
    np.testing.assert_allclose(shift, powers.biases.in_bands(powers.biases.n1))
    assert np.all(shift[1:] > powers.errors("auto")[1:] / 4)


def test_rdn0_lowers_errors_and_correlations(measured):
    powers = band_powers(measured, BANDS)
    assert powers.without_rdn0.errors[-1] > powers.errors("auto")[-1]
    others = ~np.eye(BANDS.num, dtype=bool)
    with_rdn0 = powers.auto_covariance.correlations[others].mean()
    assert powers.without_rdn0.correlations[others].mean() > with_rdn0 + 0.05


def test_a_network_has_no_rdn0_and_its_response_is_measured(network):
    powers = band_powers(network, BANDS)
    assert powers.without_rdn0 is None
    assert not powers.biases.n1.any()
    np.testing.assert_allclose(powers.responses[1], 0.6, rtol=0.15)


def test_default_bands_are_the_judges(measured):
    bands, left_out = default_bands(measured, Little().ensemble)
    judged = BandRings.judged(CONFIG.sky)
    assert bands.num + len(left_out) == judged.num
    assert np.array_equal(bands.edges, judged.edges[: bands.num + 1])


def test_a_response_that_vanishes_in_a_band_is_refused(measured):
    noise = np.random.default_rng(0).standard_normal
    fiducial = dict(measured.fiducial)
    fiducial["cross"] = fiducial["cross"].copy()
    cut = measured.rings.ell > 1620
    fiducial["cross"][:, cut] = 1e-9 * noise(fiducial["cross"][:, cut].shape)
    blind = dataclasses.replace(measured, fiducial=fiducial)
    with pytest.raises(LensingError, match="response of little vanishes in the band 1620-2340"):
        band_powers(blind, BANDS)
    bands, left_out = default_bands(blind, Little().ensemble)
    assert left_out and bands.edges[-1] <= 1700


def test_too_few_simulations_are_refused(measured):
    few = {name: values[:8] for name, values in measured.fiducial.items()}
    bands = BandRings.given(CONFIG.sky, [180, 540, 900, 1260, 1620, 1980, 2340])
    with pytest.raises(LensingError, match="8 simulations are too few for the covariance of 6"):
        band_powers(dataclasses.replace(measured, fiducial=few, low=None, high=None), bands)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"simulations": 0}, "0 simulations: band powers need at least 1"),
        ({"data": 0}, "0 observed skies"),
        ({"scaled": 1}, "1 simulations with other spectra: band powers need at least 2"),
        ({"rdn0": 0}, "0 simulations for RDN0"),
        ({"simulations": 30, "scaled": 31}, "31 simulations with other spectra are more than"),
    ],
)
def test_impossible_numbers_of_skies_are_refused(numbers, message):
    with pytest.raises(LensingError, match=message):
        Numbers(**numbers)


def test_numbers_are_those_that_were_asked_for(measured):
    assert len(measured.data["auto"]) == NUMBERS.data
    assert len(measured.fiducial["auto"]) == NUMBERS.simulations


def test_kappa_from_files_is_refused_before_any_work(tmp_path):
    class OfFiles:
        kappa_files, name = object(), "own"

    class Source:
        ensemble = type("Ensemble", (), {"config": OfFiles})

    with pytest.raises(LensingError, match="κ of lensing/own is from files"):
        measure("own", Source(), NUMBERS, str(tmp_path / "spectra"))
    assert not list(tmp_path.iterdir())
