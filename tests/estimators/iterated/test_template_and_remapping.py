"""T that is remapped as well: better than by templates, and without a sky that diverges."""

import dataclasses

import numpy as np
import pytest

from estimators.iterated import fitting, template_and_remapping
from estimators.iterated.fitting import as_fitted, fit, method_by_theory, method_of
from estimators.iterated.iterated_estimator import ByTemplate, Stage, rings_of
from estimators.iterated.template_and_remapping import ByTemplateAndRemapping, without_spikes
from estimators.quadratic.fields import fields_of
from estimators.quadratic.legs import Legs
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from tests.estimators.iterated.test_iterated_estimator import correlation, streamed
from tests.estimators.quadratic.skies import gaussian

TABLE = spectra.fiducial()
CONFIG = LensingConfig(
    "t", npix=64, lx=64 * 2 / 60, oversampling=2, beam_arcmin=1.4, noise_uK_arcmin=1.0
)
SKIES = 300
STAGES = 5


@pytest.fixture(name="skies", scope="module")
def skies_fixture():
    """Training maps; the fields and κ of other skies."""
    test = simulate(CONFIG, "test", range(SKIES))
    kappa = CONFIG.sky.to_modes(np.ascontiguousarray(test["kappa"][..., 0]))
    maps = simulate(CONFIG, "train", range(80))
    return maps, fields_of(test["lensed"], CONFIG.channels, CONFIG.sky), kappa


def estimated(maps, fields):
    fitted = fit(CONFIG, TABLE, streamed(maps), most_stages=STAGES, least_gain=-1.0)
    return fitted.kappa(fields)


def largest_power(estimate):
    """That of a single sky, over the prior's."""
    sky = CONFIG.sky
    prior = np.sum(sky.mode_counts * spectra.at_multipoles(TABLE.kappa, sky.ell)) / sky.area
    return np.max(np.sum(sky.mode_counts * np.abs(estimate) ** 2, axis=(1, 2))) / prior


@pytest.fixture(name="estimate", scope="module")
def estimate_fixture(skies):
    maps, fields, _ = skies
    return estimated(maps, fields)


def test_no_single_sky_diverges(estimate):
    """A posterior mean has less power than the prior: 0.5 of it here, of the largest sky."""
    assert largest_power(estimate) < 1


def test_without_holding_spikes_one_sky_of_300_would(skies, monkeypatch):
    monkeypatch.setattr(template_and_remapping, "MOST_SIGMA", 1e9)
    assert largest_power(estimated(*skies[:2])) > 3


def test_it_is_better_than_by_templates_alone(skies, estimate, monkeypatch):
    maps, fields, kappa = skies
    by_template = method_by_theory(CONFIG, TABLE).by_template
    monkeypatch.setattr(fitting, "method_by_theory", lambda config, table: by_template)
    weight = CONFIG.sky.mode_counts
    before, now = (correlation(one, kappa, weight) for one in (estimated(maps, fields), estimate))
    assert now > before + 0.008


def test_spikes_are_held_map_by_map():
    sky = CONFIG.sky
    power = np.where((sky.ell > 0) & (sky.ell < 1000) & sky.inner, 1e-6, 0.0)
    maps = sky.to_map(gaussian(power, np.random.default_rng(0), 2))
    maps *= 0.1 / maps.std(axis=(1, 2), keepdims=True)
    maps[1] *= 0.01
    maps = np.clip(maps, -0.3, 0.3)
    spiked = maps.copy()
    spiked[0, 5, 7] = -1.0
    held = sky.to_map(without_spikes(sky.to_modes(spiked), sky))
    expected = spiked.copy()
    expected[0, 5, 7] = -3.5 * np.sqrt(np.mean(spiked[0] ** 2))
    np.testing.assert_allclose(held, expected, atol=1e-6)


@pytest.mark.parametrize(("stokes", "fields"), [("T", {"T"}), ("TQU", {"T", "B"})])
def test_a_later_stage_has_the_features_of_both_and_the_powers_that_weigh_them(stokes, fields):
    config = dataclasses.replace(CONFIG, npix=32, lx=32 * 2 / 60, stokes=stokes)
    method = method_by_theory(config, TABLE)
    assert isinstance(method, ByTemplateAndRemapping)
    maps = simulate(config, "train", range(24))
    first, later = fit(config, TABLE, streamed(maps), most_stages=2, least_gain=-1.0).stages
    rings = rings_of(config.sky).num
    assert (len(first.gains), len(later.gains)) == method.counts
    assert method.counts[1] == method.by_template.counts[1] + 4
    assert len(first.power) == len(first.residual_b) == 0
    assert len(later.power) == rings and len(later.residual_b) == rings * ("B" in fields)

    legs = Legs(fields_of(maps["lensed"][:2], config.channels, config.sky))
    kappa = config.sky.to_modes(np.ascontiguousarray(maps["kappa"][:2, ..., 0]))
    left = method.left(legs, kappa)
    assert set(left) == fields
    held = without_spikes(kappa, config.sky)
    np.testing.assert_array_equal(left["T"], method.by_remapping.left(legs, held)["T"])
    found = method.features(later, 1).again(legs, kappa)
    remapped = method.by_remapping.features(later, 1).again(legs, held)
    for one, other in zip(found[-4:], remapped, strict=True):
        np.testing.assert_array_equal(one, other)


def test_patches_with_edges_have_templates_alone():
    config = dataclasses.replace(CONFIG, padding=1.5, taper=0.3)
    method = method_of(config, TABLE, streamed(simulate(config, "train", range(16))))
    assert isinstance(method, ByTemplate)
    assert isinstance(method_by_theory(dataclasses.replace(CONFIG, stokes="QU"), TABLE), ByTemplate)


def test_stages_that_were_fitted_by_templates_alone_go_on_so():
    config = dataclasses.replace(CONFIG, npix=32, lx=32 * 2 / 60)
    maps, method = simulate(config, "train", range(24)), method_by_theory(config, TABLE)
    older = [Stage(np.ones((count, rings_of(config.sky).num))) for count in (1, 3)]
    assert as_fitted(method, older) is method.by_template
    next_one, _ = next(fitting.each_stage(config, TABLE, streamed(maps), older))
    assert len(next_one.gains) == 3 and len(next_one.power) == 0
    assert as_fitted(method, older[:1]) is method


def test_no_examples_are_refused_where_power_is_to_be_measured_first():
    method = method_by_theory(CONFIG, TABLE)
    assert not method.is_weighed(0) and method.is_weighed(1)
    stages = [Stage(np.ones((method.counts[0], rings_of(CONFIG.sky).num)))]
    with pytest.raises(LensingError, match="there is none, and gains need examples"):
        next(fitting.each_stage(CONFIG, TABLE, lambda: iter(()), stages))
