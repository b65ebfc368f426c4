"""Stages that go only as far as the remapped map gets more like an unlensed sky: `lensing/v5`."""

import dataclasses

import numpy as np
import pytest

from estimators.iterated.fitting import (
    MOST_DAMPED_STAGES,
    MOST_STAGES,
    fit,
    method_by_theory,
    most_stages_of,
)
from estimators.iterated.iterated_estimator import Stage
from estimators.iterated.remapping import (
    ByRemapping,
    RemapFeatures,
    expected_power,
    step_of_least,
)
from estimators.quadratic.fields import fields_of
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from lensing_tfds.sky.instrument import beam
from lensing_tfds.versions import VERSIONS
from tests.estimators.iterated.test_iterated_estimator import correlation, streamed

TABLE = spectra.fiducial()
CONFIG = VERSIONS["v5"]
SKY = CONFIG.sky


@pytest.fixture(name="skies", scope="module")
def skies_fixture():
    """Fields and κ of test skies."""
    maps = simulate(CONFIG, "test", range(100))
    kappa = SKY.to_modes(np.ascontiguousarray(maps["kappa"][..., 0]))
    return fields_of(maps["lensed"], CONFIG.channels, SKY), kappa


@pytest.fixture(name="features", scope="module")
def features_fixture():
    return RemapFeatures(CONFIG, TABLE, np.ones(100), is_first=False, damped=True)


def test_stages_are_damped_where_lensing_outshines_the_unlensed_sky_and_nowhere_else():
    assert {v for v, c in VERSIONS.items() if most_stages_of(c) == MOST_DAMPED_STAGES} == {"v5"}
    assert most_stages_of(VERSIONS["v4"]) == most_stages_of(VERSIONS["v11"]) == MOST_STAGES
    noisy = dataclasses.replace(CONFIG, name="noisy", noise_uK_arcmin=5.0)
    for config, damped in ((CONFIG, True), (noisy, False), (VERSIONS["v8"], False)):
        method = method_by_theory(config, TABLE)
        power = {"T": np.ones(30)}
        assert isinstance(method, ByRemapping) and method.damped == damped
        assert method.weighed_by(power).damped == damped
        assert method.features(method.weighed_by(power), 1).damped == damped
    assert not ByRemapping(CONFIG, TABLE).features(Stage(np.zeros(0), power=np.ones(30)), 1).damped


def test_templates_beside_which_T_is_remapped_stay_undamped():
    method = method_by_theory(VERSIONS["v10"], TABLE)
    assert method.by_remapping.damped
    assert not method.weighed_by({"T": np.ones(9), "B": np.ones(9)}).damped


def test_remapped_by_the_truth_a_map_has_the_chi_squared_of_an_unlensed_one(features, skies):
    """As many as it has modes; the map as it is observed has more."""
    fields, kappa = skies
    used = (features.weights > 0) * SKY.mode_counts
    chi_squared = features._chi_squared(fields["T"], kappa)
    # 0.3 % by chance; pixels cannot hold all that lensing moves across their Nyquist multipole.
    assert np.mean(chi_squared) == pytest.approx(np.sum(used), rel=0.03)
    assert np.mean(features._chi_squared(fields["T"], 0 * kappa)) > 2.5 * np.sum(used)
    assert not np.any(used[SKY.ell > CONFIG.T_lmax]) and not np.any(used[~SKY.inner])


def test_noise_is_expected_too():
    noisy = dataclasses.replace(CONFIG, noise_uK_arcmin=2.0, beam_arcmin=1.0)
    expected, ell = expected_power(noisy, TABLE), SKY.ell
    of_noise = np.radians(2.0 / 60) ** 2
    np.testing.assert_allclose(expected[ell > CONFIG.T_lmax], of_noise)
    below = (ell > 0) & (ell < 1500)
    assert np.any(below)
    signal = spectra.at_multipoles(TABLE.TT, ell)[below] * np.square(beam(ell, 1.0)[below])
    np.testing.assert_allclose(expected[below], signal + of_noise)


def test_a_spike_is_not_followed(features, skies):
    fields, kappa = (skies[0]["T"][:4], skies[1][:4])
    spike = np.zeros((4, SKY.npix, SKY.npix), np.float32)
    spike[:, 20, 30] = 0.8
    spike = SKY.to_modes(spike)
    spike[:, ~SKY.inner] = 0
    found = features.reached({"T": fields}, kappa, kappa + spike)
    share = np.sum((found - kappa) * spike.conj(), axis=(1, 2)).real / np.sum(
        np.abs(spike) ** 2, axis=(1, 2)
    )
    assert np.all(share < 0.1) and found.dtype == kappa.dtype
    onwards = features.reached({"T": fields}, kappa + spike, kappa)
    left = np.abs(onwards - kappa).max(axis=(1, 2)) / np.abs(spike).max(axis=(1, 2))
    assert np.all(left < 0.3)


def test_an_undamped_stage_reaches_what_its_gains_make(skies):
    fields, kappa = skies
    plain = RemapFeatures(CONFIG, TABLE, np.ones(100), is_first=False)
    assert plain.reached(fields, kappa, 2 * kappa) is not kappa
    np.testing.assert_array_equal(plain.reached(fields, kappa, 2 * kappa), 2 * kappa)


def test_a_step_ends_where_the_parabola_is_least():
    at = np.array([-1.0, 0.25, 0.5, 0.9, 3.0])
    values = [(share - at) ** 2 + 7 for share in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(step_of_least(*values), [0, 0.25, 0.5, 0.9, 1])
    # Lines, and hills: whichever end is lower.
    here, middle, there = np.array([[1, 0.5, 0], [1, 2, 3], [1, 3, 0.5], [1, 3, 1.5], [1, 1, 1]]).T
    np.testing.assert_array_equal(step_of_least(here, middle, there), [1, 0, 1, 0, 0])
    lost = step_of_least(*(np.where(np.eye(3)[i], np.nan, i) for i in range(3)))
    assert np.isnan(lost).all()


@pytest.mark.parametrize("memory", [0, 200_000])
def test_skies_that_are_not_kept_are_damped_alike(memory):
    small = dataclasses.replace(CONFIG, name="small", npix=24)
    training = streamed(simulate(small, "train", range(64)), 16)
    few = {"most_stages": 4, "least_gain": -1.0}
    kept = fit(small, TABLE, training, **few).stages
    anew = fit(small, TABLE, training, memory=memory, **few).stages
    for one, other in zip(kept, anew, strict=True):
        np.testing.assert_allclose(one.gains, other.gains, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(one.power, other.power, rtol=1e-5)


def test_damped_stages_are_better_and_lose_no_sky(skies, monkeypatch):
    fields, kappa = skies
    training = streamed(simulate(CONFIG, "train", range(128)), 64)

    def errors_and_correlation():
        fitted = fit(CONFIG, TABLE, training, most_stages=4, least_gain=-1.0)
        first, *_, last = map(np.concatenate, zip(*fitted.by_stage(fields), strict=True))
        errors = [
            np.sum(SKY.mode_counts * np.abs(e - kappa) ** 2, axis=(1, 2)) for e in (first, last)
        ]
        return errors, correlation(last, kappa, SKY.mode_counts)

    (first, last), rho = errors_and_correlation()
    monkeypatch.setattr(ByRemapping, "damped", False)
    (before, undamped), rho_undamped = errors_and_correlation()
    assert rho > rho_undamped + 0.005
    assert np.max(last / first) < 0.8 and np.max(undamped / before) > 1
