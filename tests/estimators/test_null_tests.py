"""A quadratic estimator passes; whatever a null test is for makes it fail."""

import dataclasses
import json

import numpy as np
import pytest

from estimators.ensemble import SkyEnsemble
from estimators.estimator import network
from estimators.null_tests import CurlEstimator, null_tests, observed_unlensed
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import instrument
from tests.estimators.quadratic_estimates import quadratic

CONFIG = LensingConfig(
    name="polarized", npix=48, lx=2.0, stokes="QU", oversampling=2, beam_arcmin=2.0,
    noise_uK_arcmin=1.0,
)  # fmt: skip
ESTIMATOR, _ = quadratic(CONFIG, "EB")
_ROTATION, _OF_ROTATION = quadratic(CONFIG, "EB", curl=True, filtered=False)
CURL = CurlEstimator(network(_ROTATION), _OF_ROTATION.noise)


@pytest.fixture(name="examples", scope="module")
def examples_fixture():
    return simulate(CONFIG, "test", range(60))


def batches(examples, size=16):
    for start in range(0, len(examples["index"]), size):
        yield {name: values[start : start + size] for name, values in examples.items()}


def run(examples, estimator=ESTIMATOR, size=16, **options):
    rng = np.random.default_rng(0)
    return null_tests(
        batches(examples, size), network(estimator), SkyEnsemble.of(CONFIG), rng, **options
    )


@pytest.fixture(name="result", scope="module")
def result_fixture(examples):
    return run(examples, curl=CURL, symmetry_tolerance=1e-6)


def test_a_quadratic_estimator_passes_everything(result):
    assert result.passed
    assert result.unlensed.passed and result.shuffled.passed
    assert result.curl is not None and result.curl.passed
    assert result.symmetry.passed
    assert (result.unlensed.rows, result.shuffled.rows, result.curl.rows) == (60, 30, 60)


def test_small_values_would_have_been_seen(result):
    """Whose errors are small: a response of one per cent, a correlation of five."""
    assert result.unlensed.overall.error < 0.003
    assert result.curl.overall.error < 0.003
    assert result.shuffled.overall.error < 0.02


def test_the_power_of_the_rotation_is_n0_and_some_per_cent(result):
    modes = slice(5, None)  # bands of hundreds of modes
    assert np.all(result.curl_power_over_noise.value[modes] > 0.95)
    assert np.all(result.curl_power_over_noise.value[modes] < 1.2)


def test_batches_are_a_matter_of_memory(examples, result):
    other = run(examples, size=7, curl=CURL, symmetry_tolerance=1e-6).to_json()
    for name in ("unlensed", "shuffled", "curl"):
        expected = getattr(result, name).to_json()
        assert other[name]["p_value"] == expected["p_value"]
        np.testing.assert_allclose(other[name]["in_bands"], expected["in_bands"], rtol=1e-5)


def test_knowing_kappa_without_lensing_fails(examples):
    """As lensed maps in place of the unlensed ones do."""
    result = run(examples | {"unlensed": examples["lensed"]})
    assert not result.unlensed.passed and not result.passed
    assert result.unlensed.overall.value > 0.1
    assert result.shuffled.passed


def test_pairs_that_are_not_shuffled_fail(examples):
    kappa = np.repeat(examples["kappa"][::2], 2, axis=0)  # the partner's is the example's own
    result = run(examples | {"kappa": kappa})
    assert not result.shuffled.passed and not result.passed
    assert result.shuffled.overall.value > 0.3


def test_a_rotation_that_follows_kappa_fails(examples):
    result = run(examples, curl=dataclasses.replace(CURL, estimator=network(ESTIMATOR)))
    assert not result.curl.passed and not result.passed


def test_an_estimator_that_knows_up_from_down_fails(examples):
    window = np.linspace(0.9, 1.1, CONFIG.npix)[:, None, None]  # by rows
    result = run(examples, lambda maps: ESTIMATOR(maps) * window, size=3, symmetry_tolerance=1e-2)
    assert not result.symmetry.passed and not result.passed
    mirrors_rows = [element & 1 != 0 for element in range(1, 8)]
    by_element = np.array(result.symmetry.relative_rms)
    np.testing.assert_allclose(by_element[mirrors_rows], 0.1, atol=0.06)
    assert by_element[1] < 1e-6  # columns alone
    assert result.unlensed.passed and result.shuffled.passed


def test_without_a_claim_of_symmetry_it_is_only_measured(examples):
    result = run(examples, lambda maps: maps[..., :1])
    assert max(result.symmetry.relative_rms) > 1  # Q is not a scalar
    assert result.symmetry.passed is None and result.curl is None
    assert result.passed


def test_an_estimate_of_zero_passes(examples):
    result = run(examples, lambda maps: np.zeros((*maps.shape[:3], 1)), symmetry_tolerance=0.0)
    assert result.passed
    assert result.shuffled.overall.value == 0


def test_json_has_all_of_it(result):
    values = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert values["passed"] is True
    assert values["unlensed"]["false_alarm_rate"] == 1e-3
    num_bands = len(values["unlensed"]["ell"])
    for name in ("unlensed", "shuffled", "curl"):
        assert len(values[name]["in_bands"]) == len(values[name]["in_bands_error"]) == num_bands
    assert len(values["symmetry"]["relative_rms"]) == 7
    assert len(values["curl_power_over_noise"]) == num_bands


def test_unlensed_maps_are_observed_as_lensed_ones_are(examples):
    config = dataclasses.replace(CONFIG, stokes="TQU", noise_uK_arcmin=100.0, taper=0.2)
    unlensed = np.zeros((40, 48, 48, 3), np.float32)
    batch = {"unlensed": unlensed, "index": np.arange(40)}
    maps = observed_unlensed(batch, config)
    window = instrument.taper_window(config.sky, 0.2)
    assert maps.dtype == np.float32
    inside = window == 1
    rms = maps[:, inside].std(axis=(0, 1)) * config.pixel_arcmin
    np.testing.assert_allclose(rms, [100, 141.4, 141.4], rtol=0.03)
    assert maps[:, 0].std() < 0.05 * maps[:, inside].std()
    alone = observed_unlensed({"unlensed": unlensed[7:8], "index": np.array([7])}, config)
    np.testing.assert_array_equal(alone, maps[7:8])
    assert not np.array_equal(maps[6], maps[7])
    assert not unlensed.any()


def test_too_few_examples_for_the_rate_are_refused(examples):
    few = {name: values[:23] for name, values in examples.items()}
    with pytest.raises(
        LensingError, match=r"rate of 0.001 need at least 24 examples, there are 23"
    ):
        run(few)


def test_estimates_that_nothing_can_be_said_about_are_refused(examples):
    def broken(maps):
        return np.where(maps[..., :1] == examples["lensed"][20, 3, 3, 0], np.nan, 0)

    with pytest.raises(LensingError, match="the estimate of network for example 20 is not finite"):
        run(examples, broken)
    with pytest.raises(LensingError, match=r"have shape \(16, 48, 48, 2\), must be .*48, 1\)"):
        run(examples, lambda maps: maps)
