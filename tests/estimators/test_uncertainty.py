"""Errors are measured where an estimate was not fitted, and hold the truth as often as they say."""

import dataclasses
import json

import numpy as np
import pytest

from estimators.coverage import CoverageMeter
from estimators.estimator import network
from estimators.judge import judge_estimators
from estimators.real_modes import RealModes
from estimators.uncertainty import LEVELS, Uncertainty, measured_uncertainty, rings_of
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.flat_sky import FlatSky
from tests.estimators import skies

SKY, BANDS = skies.CONFIG.sky, skies.ENSEMBLE.bands
ELL = skies.grid_multipoles(SKY.npix, SKY.side)
RESIDUAL_CL = 1e-7 / (1 + ELL / 50)


def residuals(n, seed):
    return skies.gaussian_maps(RESIDUAL_CL, SKY.side, n, np.random.default_rng(seed))


def measured(n=400, seed=1, sample=residuals):
    return measured_uncertainty([(np.zeros((n, SKY.npix, SKY.npix)), sample(n, seed))], BANDS)


def edited(**changes):
    return Uncertainty.from_json(measured(50).to_json() | changes)


def covered(uncertainty, n=400, seed=2, sample=residuals):
    meter = CoverageMeter(uncertainty, BANDS, skies.ENSEMBLE.kappa_power)
    kappa = skies.kappa_maps(n, np.random.default_rng(seed + 100))
    meter.add(kappa, kappa + sample(n, seed))
    return meter.result(np.random.default_rng(0))


@pytest.mark.parametrize("npix", [15, 16])
def test_a_real_map_has_as_many_numbers_as_pixels(npix):
    """Parseval's theorem holds for the numbers, and each is drawn with the spectrum's variance."""
    sky = FlatSky(npix, 0.3)
    numbers = RealModes(sky)
    maps = np.random.default_rng(0).standard_normal((4_000, npix, npix))
    found = numbers.of(maps)
    assert found.shape == (4_000, npix**2)
    np.testing.assert_allclose((found**2).sum(axis=1), (maps**2).mean(axis=(1, 2)))
    np.testing.assert_allclose((found**2).mean(axis=0) * npix**2, 1, atol=6 * np.sqrt(2 / 4_000))
    assert np.abs(np.corrcoef(found.T) - np.eye(npix**2)).max() < 6 / np.sqrt(4_000)


def test_the_variance_is_that_of_the_residual():
    uncertainty = measured(2_000)
    expected = rings_of(SKY).mean(RESIDUAL_CL[:, : SKY.npix // 2 + 1])
    error = np.sqrt(2 / (2_000 * rings_of(SKY).num_modes))
    assert np.all(np.abs(uncertainty.power / expected - 1) < 4 * error)
    assert uncertainty.pixel_std == pytest.approx(residuals(500, 7).std(), rel=0.02)
    one, two = 0.9945, 1.9600  # what a normal distribution has
    np.testing.assert_allclose(uncertainty.factors[0], one, rtol=0.03)
    np.testing.assert_allclose(uncertainty.factors[1], two, rtol=0.03)
    np.testing.assert_allclose(uncertainty.pixel_factors, [one, two], rtol=0.03)


def test_errors_are_those_inside_a_window():
    """Ten times the residual outside of it is not seen: neither measured, nor judged."""
    window = np.zeros((SKY.npix, SKY.npix))
    window[: SKY.npix // 2, SKY.npix // 4 :] = 1

    def sample(n, seed):
        return residuals(n, seed) * np.where(window > 0, 1, 10)

    zeros = np.zeros((400, SKY.npix, SKY.npix))
    found = measured_uncertainty([(zeros, sample(400, 1))], BANDS, window)
    assert found.pixel_std == pytest.approx(residuals(500, 7).std(), rel=0.03)
    meter = CoverageMeter(found, BANDS, skies.ENSEMBLE.kappa_power, window)
    meter.add(zeros, sample(400, 2))
    for of, level in zip(meter.result(np.random.default_rng(0)), LEVELS, strict=True):
        assert np.all(np.abs(of.modes.value - level) < 6 * of.modes.error + 0.01)
        assert of.pixels.value == pytest.approx(level, abs=6 * of.pixels.error)


def test_intervals_hold_the_truth_as_often_as_they_say():
    for of, level in zip(covered(measured(1_000), 1_000), LEVELS, strict=True):
        assert of.level == level
        # The quantiles have an error of their own, as large.
        assert np.all(np.abs(of.modes.value - level) < 4 * np.hypot(of.modes.error, of.modes.error))
        assert np.all(of.modes.error < 0.01)
        assert of.pixels.value == pytest.approx(level, abs=6 * of.pixels.error)


def test_errors_that_are_a_tenth_too_small_are_seen():
    right = measured()
    wrong = dataclasses.replace(right, power=0.9**2 * right.power)
    for of, less in zip(covered(wrong), (0.05, 0.028), strict=True):
        assert of.modes.value.mean() == pytest.approx(of.level - less, abs=0.01)
        assert of.pixels.value < of.level - less / 2


def heavy(n, seed):
    """Residuals whose size differs from sky to sky."""
    sizes = np.exp(0.8 * np.random.default_rng(seed + 50).standard_normal((n, 1, 1)))
    return sizes * residuals(n, seed)


def test_heavy_tails_are_covered_by_what_was_measured_not_by_a_normal_distribution():
    of_68, of_95 = covered(measured(4_000, sample=heavy), 4_000, sample=heavy)
    assert np.all(np.abs(of_68.modes.value - 0.68) < 0.03)
    assert np.all(np.abs(of_95.modes.value - 0.95) < 0.015)
    assert measured(4_000, sample=heavy).factors[0].max() < 0.8


def test_the_interval_score_is_smallest_for_the_right_errors_and_that_of_normal_ones():
    """Relative to the spectrum of κ alone, Gaussian errors' score is σ / σ_κ (4 σ φ(z) / α)."""
    right = measured(1_000)
    expected = skies.band_average(BANDS, np.sqrt(RESIDUAL_CL)) / BANDS.average(
        np.sqrt(skies.ENSEMBLE.kappa_power)
    )
    scores = [covered(right)]
    for factor in (0.7, 1.4):
        scores.append(covered(dataclasses.replace(right, power=factor**2 * right.power)))
    for best, *others in zip(*scores, strict=True):
        assert np.all(np.abs(best.score.value - expected) < 5 * best.score.error)
        for other in others:
            assert np.all(other.score.value > best.score.value)


def test_the_judge_measures_the_coverage_of_who_gives_errors():
    kappa = skies.kappa_maps(200, np.random.default_rng(3))
    estimate = kappa + residuals(200, 4)
    (plain,) = skies.oracle(estimate)
    sure = dataclasses.replace(skies.oracle(estimate)[0], uncertainty=measured())
    judged = [
        judge_estimators(
            skies.batches(kappa), [one], skies.ENSEMBLE, "test", np.random.default_rng(0)
        )
        for one in (plain, sure)
    ]
    assert judged[0].coverage is None
    assert [of.level for of in judged[1].coverage] == [0.68, 0.95]
    assert np.all(np.abs(judged[1].coverage[1].modes.value - 0.95) < 0.04)
    np.testing.assert_array_equal(judged[0].skill.rho_ell.value, judged[1].skill.rho_ell.value)


def test_there_and_back_nothing_changes():
    uncertainty = measured(50)
    again = Uncertainty.from_json(json.loads(json.dumps(uncertainty.to_json())))
    assert again.to_json() == uncertainty.to_json()
    np.testing.assert_array_equal(again.mode_std, uncertainty.mode_std)


def test_modes_in_no_band_have_no_interval():
    half_width = measured(50).mode_half_width(0.95)
    assert np.isnan(half_width[0, 0])
    assert np.isfinite(half_width[0, 1])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: measured(2), "errors at 95% need at least 3 validation examples, there are 2"),
        (lambda: measured(50).pixel_half_width(0.9), r"level is 0.9: must be 0.68 or 0.95"),
        (lambda: Uncertainty.from_json({"npix": 16}), "not the errors of an estimator"),
        (lambda: edited(extra=1), r"unknown keys \['extra'\], missing \[\]"),
        (lambda: edited(num_examples=0), "num_examples of errors is 0: must be at least 1"),
        (lambda: edited(num_examples=2.5), "num_examples is 2.5: must be a whole number"),
        (lambda: edited(num_examples="50"), "num_examples is '50'"),
        (lambda: edited(npix="16"), "npix is '16'"),
        (lambda: edited(power=["1"] * 11), "power of errors is not made of numbers"),
        (lambda: edited(pixel_factors={"68": 1, "95": 2, "99": 3}), "must have 68 and 95, and not"),
        (lambda: dataclasses.replace(measured(50), power=[1.0]), r"power .* shape \(1,\): must be"),
        (lambda: dataclasses.replace(measured(50), pixel_factors=[1.0, -2.0]), "negative"),
        (lambda: dataclasses.replace(measured(50), pixel_factors=[2.0, 1.0]), "with the level"),
        (lambda: Uncertainty.from_json(measured(50).to_json() | {"side": 0}), "not the errors"),
        (
            lambda: covered(dataclasses.replace(measured(50), edges=BANDS.edges / 2)),
            "the errors are of 16 x 16 pixels .* judged are .*: train again",
        ),
    ],
)
def test_what_is_no_uncertainty_is_named(make, match):
    with pytest.raises(LensingError, match=match):
        make()


def test_errors_of_another_patch_are_refused():
    other = measured_uncertainty(
        [(np.zeros((50, 16, 16)), residuals(50, 0))], type(BANDS)(FlatSky(16, 0.1), BANDS.edges * 3)
    )
    with pytest.raises(
        LensingError, match=r"the errors are of .* on 5.73 deg, .* judged are .* on 20 deg"
    ):
        CoverageMeter(other, BANDS, skies.ENSEMBLE.kappa_power)


def test_an_estimator_gives_no_errors_unless_somebody_measured_them():
    assert network(lambda maps: maps).uncertainty is None
