"""Estimates of known quality get the scores that theory gives them."""

import numpy as np
import pytest

from estimators import power_spectra
from estimators.skill import SkillMeter, difference, difference_ell
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import spectra
from tests.estimators import skies

SIDE = skies.CONFIG.side
ELL = skies.grid_multipoles(skies.CONFIG.npix, SIDE)
KAPPA_CL = kappa_power(skies.CONFIG, spectra.fiducial(), ELL)
BANDS = skies.ENSEMBLE.bands


def skill_of(kappa, estimate, seed=0):
    meter = SkillMeter(BANDS)
    meter.add(kappa, estimate)
    return meter.result(np.random.default_rng(seed))


@pytest.fixture(name="kappa", scope="module")
def kappa_fixture():
    return skies.kappa_maps(400, np.random.default_rng(0))


def test_what_is_outside_a_window_counts_for_nothing():
    """Of an estimate that is right inside and anything outside, ρ is 1 and so is the response."""
    rng = np.random.default_rng(11)
    sky = BANDS.sky
    window = np.zeros((sky.npix, sky.npix))
    window[2:-2, 2:-2] = 1
    kappa = rng.standard_normal((8, sky.npix, sky.npix))
    estimate = np.where(window > 0, kappa, 100.0)
    meter = SkillMeter(BANDS, window)
    meter.add(kappa, estimate)
    found = meter.result(np.random.default_rng(0))
    assert found.map_correlation.value == pytest.approx(1)
    np.testing.assert_allclose(found.transfer_ell.value, 1)
    assert found.zero_mse.value == pytest.approx(1, rel=0.2)  # per pixel that counts
    blind = SkillMeter(BANDS)
    blind.add(kappa, estimate)
    assert blind.result(np.random.default_rng(0)).map_correlation.value < 0.5


def test_a_filtered_noisy_estimate_has_the_skill_that_theory_gives(kappa):
    """κ̂ = w κ + noise: T = <wC>/<C>, ρ = <wC>/sqrt(<C><w²C + N>), within errors."""
    gain = 1 / (1 + (ELL / 60) ** 2)
    noise_cl = np.full_like(ELL, 0.3 * KAPPA_CL.max())
    rng = np.random.default_rng(1)
    noise = skies.gaussian_maps(noise_cl, SIDE, len(kappa), rng)
    skill = skill_of(kappa, skies.filtered(kappa, gain) + noise)

    def average(c_ell):
        return skies.band_average(BANDS, c_ell)

    true_cl, cross_cl = average(KAPPA_CL), average(gain * KAPPA_CL)
    estimate_cl = average(gain**2 * KAPPA_CL + noise_cl)
    for measured, expected in (
        (skill.true_cl, true_cl),
        (skill.cross_cl, cross_cl),
        (skill.estimate_cl, estimate_cl),
        (skill.residual_cl, average((1 - gain) ** 2 * KAPPA_CL + noise_cl)),
        (skill.transfer_ell, cross_cl / true_cl),
        (skill.rho_ell, cross_cl / np.sqrt(true_cl * estimate_cl)),
    ):
        assert np.all(np.abs(measured.value - expected) < 4 * measured.error)
        assert np.all(measured.error < 0.1 * np.abs(expected))

    def variance(c_ell):
        return c_ell.sum() / SIDE**2

    expected_map = variance(gain * KAPPA_CL) / np.sqrt(
        variance(KAPPA_CL) * variance(gain**2 * KAPPA_CL + noise_cl)
    )
    assert skill.map_correlation.value == pytest.approx(
        expected_map, abs=4 * skill.map_correlation.error
    )
    expected_mse = variance((1 - gain) ** 2 * KAPPA_CL + noise_cl)
    assert skill.mse.value == pytest.approx(expected_mse, abs=4 * skill.mse.error)
    assert skill.zero_mse.value == pytest.approx(variance(KAPPA_CL), abs=4 * skill.zero_mse.error)


def test_the_posterior_mean_transfers_rho_squared(kappa):
    noise_cl = np.full_like(ELL, 0.5 * KAPPA_CL.max())
    noise = skies.gaussian_maps(noise_cl, SIDE, len(kappa), np.random.default_rng(2))
    wiener = KAPPA_CL / (KAPPA_CL + noise_cl)
    skill = skill_of(kappa, skies.filtered(kappa + noise, wiener))
    difference = skill.transfer_ell.value - skill.rho_ell.value**2
    assert np.all(np.abs(difference) < 4 * skill.transfer_ell.error)


def test_the_truth_is_perfect_and_its_negative_the_opposite(kappa):
    perfect, opposite = skill_of(kappa, kappa), skill_of(kappa, -2 * kappa)
    np.testing.assert_allclose(perfect.rho_ell.value, 1)
    np.testing.assert_allclose(perfect.transfer_ell.value, 1)
    assert perfect.map_correlation.value == pytest.approx(1)
    assert perfect.mse.value == pytest.approx(0, abs=1e-12 * perfect.zero_mse.value)
    np.testing.assert_allclose(opposite.rho_ell.value, -1)
    np.testing.assert_allclose(opposite.transfer_ell.value, -2)
    assert opposite.map_correlation.value == pytest.approx(-1)


def test_pairs_that_do_not_belong_together_show_no_skill(kappa):
    skill = skill_of(kappa, np.roll(kappa, 1, axis=0))
    assert np.all(np.abs(skill.rho_ell.value) < 4 * skill.rho_ell.error)
    assert np.all(np.abs(skill.transfer_ell.value) < 4 * skill.transfer_ell.error)
    assert abs(skill.map_correlation.value) < 4 * skill.map_correlation.error


def test_a_constant_estimate_has_no_correlation_and_no_warning(kappa):
    skill = skill_of(kappa, np.zeros_like(kappa))
    assert skill.map_correlation.value == 0
    np.testing.assert_array_equal(skill.rho_ell.value, 0)
    assert skill.mse.value == skill.zero_mse.value


def test_errors_are_the_scatter_of_repeated_judgements():
    rng = np.random.default_rng(3)
    repeats, n = 150, 60
    values, errors = [], []
    for _ in range(repeats):
        kappa = skies.kappa_maps(n, rng)
        skill = skill_of(kappa, kappa + skies.kappa_maps(n, rng))
        values.append(
            [skill.map_correlation.value, *skill.rho_ell.value, *skill.transfer_ell.value]
        )
        errors.append(
            [skill.map_correlation.error, *skill.rho_ell.error, *skill.transfer_ell.error]
        )
    # The scatter of 150 values is known to 1/sqrt(300) = 6 %.
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(values, axis=0), rtol=0.2)


def test_the_calibrated_noise_is_what_was_added_over_the_response(kappa):
    noise_cl = np.full_like(ELL, 0.3 * KAPPA_CL.max())
    noise = skies.gaussian_maps(noise_cl, SIDE, len(kappa), np.random.default_rng(4))
    measured = skill_of(kappa, 0.2 * kappa + noise).noise_ell
    assert np.all(np.abs(measured.value - noise_cl[0, 0] / 0.2**2) < 4 * measured.error)
    assert np.all(measured.error < 0.3 * measured.value)


def test_the_response_is_held_out(kappa):
    """Examples 0, 2, ... are divided by the response of 1, 3, ..., and the other way round."""
    kappa = kappa[:12]
    estimate = kappa + 0.3 * np.roll(kappa, 1, axis=0)
    skill = skill_of(kappa, estimate)

    def cross(a, b, half):
        return power_spectra.measure(a[half::2], b[half::2], BANDS).cross.mean(axis=0)

    expected = 0
    for half in (0, 1):
        response = cross(kappa, estimate, 1 - half) / cross(kappa, kappa, 1 - half)
        expected += (
            cross(estimate, estimate, half) / response**2
            - 2 * cross(kappa, estimate, half) / response
            + cross(kappa, kappa, half)
        ) / 2
    found = np.isfinite(skill.noise_ell.value)
    assert found.any()
    np.testing.assert_allclose(skill.noise_ell.value[found], expected[found], rtol=1e-9)


def test_noise_over_no_response_is_not_a_number(kappa):
    unrelated = skill_of(kappa, np.roll(kappa, 1, axis=0)).noise_ell
    assert np.isnan(unrelated.value).all() and np.isnan(unrelated.error).all()
    assert np.isnan(skill_of(kappa, np.zeros_like(kappa)).noise_ell.value).all()
    assert np.isnan(skill_of(kappa[:3], kappa[:3]).noise_ell.value).all()


def test_differences_have_the_errors_of_pairs(kappa):
    noise = skies.kappa_maps(len(kappa), np.random.default_rng(5))
    one, other = skill_of(kappa, kappa + noise), skill_of(kappa, kappa + 1.05 * noise)
    above = difference(one, other)
    assert above.value == pytest.approx(one.map_correlation.value - other.map_correlation.value)
    assert above.value > 10 * above.error > 0
    assert above.error < 0.2 * one.map_correlation.error
    assert difference(one, one).error == 0
    bands = difference_ell(one, other)
    np.testing.assert_allclose(bands.value, one.rho_ell.value - other.rho_ell.value)
    assert np.all(bands.value > 5 * bands.error) and np.all(bands.error > 0)
    assert np.all(bands.error < 0.3 * one.rho_ell.error)


def test_batches_do_not_matter(kappa):
    estimate = kappa + np.roll(kappa, 1, axis=0)
    at_once, one_by_one = SkillMeter(BANDS), SkillMeter(BANDS)
    at_once.add(kappa[:20], estimate[:20])
    for n in range(20):
        one_by_one.add(kappa[n : n + 1], estimate[n : n + 1])
    first, second = (meter.result(np.random.default_rng(0)) for meter in (at_once, one_by_one))
    np.testing.assert_allclose(first.rho_ell, second.rho_ell, rtol=1e-12)
    np.testing.assert_allclose(first.map_correlation, second.map_correlation, rtol=1e-12)


def test_one_example_is_too_few(kappa):
    with pytest.raises(LensingError, match="errors need at least 2 examples, there are 1"):
        skill_of(kappa[:1], kappa[:1])
    with pytest.raises(LensingError, match="there are 0"):
        SkillMeter(BANDS).result(np.random.default_rng(0))
