"""The forecast's B templates against templates of drawn skies, and what iterating is worth."""

import dataclasses

import numpy as np
import pytest

from estimators.iterated.forecast import forecasts, forecasts_of, template_power
from estimators.lensing_template import LensingTemplate
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from lensing_tfds.configs import LensingConfig
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from lensing_tfds.sky.binning import Bins
from lensing_tfds.versions import VERSIONS
from tests.estimators.quadratic.skies import gaussian

CONFIG = LensingConfig(
    "qu", npix=64, lx=64 * 2.0 / 60, stokes="QU", oversampling=2, beam_arcmin=1.5,
    noise_uK_arcmin=1.0,
)  # fmt: skip


def test_the_power_of_templates_is_that_of_drawn_ones():
    """E of the unlensed spectrum times W, so that ⟨|W E|²⟩ is W² (C + N); here C W = W² (C + N)."""
    sky, table = CONFIG.sky, spectra.fiducial()
    observation = Observation.of(CONFIG, table)
    kappa_power = spectra.at_multipoles(table.kappa, sky.ell)
    w = observation.beam**2 * observation.signal("E", "E") * observation.inverse("E")
    e_power = spectra.at_multipoles(table.EE, sky.ell) * w
    rng = np.random.default_rng(0)
    n = 400
    # What the template will filter is divided by its filter first: e_power is that of filtered E.
    to_observed = np.divide(observation.beam, w, out=np.zeros_like(w), where=w > 0)
    e = gaussian(e_power / sky.area, rng, n) * to_observed
    kappa = gaussian(kappa_power / sky.area, rng, n)
    _, b = LensingTemplate(observation).polarization(e, kappa)
    drawn = (np.abs(b) ** 2).mean(axis=0) * sky.area
    rings = Bins.between(np.linspace(200, 4000, 9), sky)
    expected = template_power(observation, kappa_power)
    # 400 skies, some hundred modes a ring: 1 %, and as much again from modes that vary together.
    np.testing.assert_allclose(rings.mean(drawn), rings.mean(expected), rtol=0.03)


@pytest.mark.parametrize(
    ("version", "quadratic", "iterated"), [("v11", 0.593, 0.633), ("v12", 0.556, 0.597)]
)
def test_iterating_is_worth_what_an_independent_sum_says(version, quadratic, iterated):
    """A direct sum over L' (not FFTs, in a continuum), with 1 in 4 multipoles: to 0.002."""
    found = forecasts(VERSIONS[version], spectra.fiducial())
    rho = [forecast.map_correlation for forecast in found]
    assert rho[0] == pytest.approx(quadratic, abs=1e-3)
    assert rho[-1] == pytest.approx(iterated, abs=2e-3)
    assert rho == sorted(rho)
    assert rho[-1] - rho[-2] < 5e-4  # it has converged


def test_temperature_alone_is_not_iterated():
    assert len(forecasts(VERSIONS["v9"], spectra.fiducial())) == 1


def test_what_is_left_of_b_is_between_nothing_and_all():
    lensed = spectra.at_multipoles(spectra.fiducial().lensed_BB, CONFIG.sky.ell)
    inside = (CONFIG.sky.ell > 100) & (CONFIG.sky.ell < 2000)
    first, *_, last = (forecast.residual_b for forecast in forecasts(CONFIG, spectra.fiducial()))
    assert np.all((last < first)[inside]) and np.all((first < lensed)[inside])
    assert 0.05 < (last[inside] / lensed[inside]).mean() < 0.5


def test_iterating_takes_no_tensors_away():
    """No template has their B, which is noise to κ: less is won than without them."""
    table, sky = spectra.fiducial_with_tensors(), CONFIG.sky
    quiet = Observation.of(CONFIG, table)
    loud = dataclasses.replace(quiet, r=1e6)
    kappa = spectra.at_multipoles(table.kappa, sky.ell)
    _, without = forecasts_of(quiet, ("EB",), kappa, iterations=1)
    _, found = forecasts_of(loud, ("EB",), kappa, iterations=1)
    tensors = loud.r * spectra.at_multipoles(table.tensors.BB, sky.ell)
    assert np.all((found.residual_b >= tensors)[loud.used])
    assert found.map_correlation < 0.9 * without.map_correlation


def test_what_is_left_of_simulated_b_is_what_is_forecast():
    """With κ̂ of the forecast's noise, drawn: of one made from the same B modes less would be left.

    The templates of such an estimate hold the very B, and the noise, that they are taken from
    (Carron, Lewis & Challinor 2017, arXiv:1701.01712).
    """
    n, config = 24, VERSIONS["v11"]
    sky, table = config.sky, spectra.fiducial()
    noisy = simulate(config, "test", range(n))
    silent = simulate(
        dataclasses.replace(config, name="silent", noise_uK_arcmin=0.0), "test", range(n)
    )
    observed, lensed = (fields_of(m["lensed"], config.channels, sky) for m in (noisy, silent))
    kappa = sky.to_modes(np.ascontiguousarray(noisy["kappa"][..., 0]))
    observation = Observation.of(config, table)
    rings = Bins.between([300, 800, 1300, 2000], sky)
    for forecast in forecasts(config, table)[::2]:
        power = spectra.at_multipoles(table.kappa, sky.ell)
        shared = np.where(power > 0, power / (power + forecast.noise), 0.0)
        drawn = gaussian(power * shared * (1 - shared) / sky.area, np.random.default_rng(1), n)
        estimate = (shared * kappa + drawn).astype(np.complex64)
        _, template = LensingTemplate(observation).polarization(observed["E"], estimate)
        residual = lensed["B"] - observation.beam * template
        left, there = (rings.mean((np.abs(b) ** 2).mean(axis=0)) for b in (residual, lensed["B"]))
        expected = rings.mean(forecast.residual_b)
        expected /= rings.mean(spectra.at_multipoles(table.lensed_BB, sky.ell))
        # Lensing beyond first order, and waves longer than the patch, which the table has too.
        np.testing.assert_allclose(left / there, expected, atol=0.03)
