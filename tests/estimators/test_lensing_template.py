"""Templates against the remap itself, where first order is all that there is."""

import numpy as np
import pytest

from estimators.lensing_template import LensingTemplate
from estimators.quadratic.observation import Observation
from lensing_tfds.sky import lensing, polarization, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from tests.estimators.quadratic.skies import correlated, gaussian

SKY = FlatSky(64, np.radians(64 * 2 / 60))
NOISELESS = Observation(SKY, spectra.fiducial(), lmax=4000)
LOW = SKY.ell < 4000 / 3  # products of these, of fields and deflections, stay on the grid


@pytest.fixture(scope="module")
def fields():
    rng = np.random.default_rng(0)
    table = spectra.fiducial()

    def power(c_ell):
        return np.where(LOW, spectra.at_multipoles(c_ell, SKY.ell), 0) / SKY.area

    t, e = correlated(power(table.TT), power(table.EE), power(table.TE), rng, 2)
    return t, e, 1e-3 * gaussian(power(table.kappa), rng, 2)


def remapped(modes, kappa):
    """What the simulator's own remap adds to fields."""
    deflection = lensing.deflection_from_kappa(kappa, SKY)
    maps = lensing.remap(modes, deflection, SKY)
    return SKY.to_modes(maps) - modes


def test_temperature_is_what_a_weak_lens_adds(fields):
    t, _, kappa = fields
    template = LensingTemplate(NOISELESS).temperature(t, kappa)
    truth = remapped(t, kappa)
    assert np.abs(template - truth).max() < 0.01 * np.abs(truth).max()


def test_polarization_is_what_a_weak_lens_adds(fields):
    _, e, kappa = fields
    delta_e, delta_b = LensingTemplate(NOISELESS).polarization(e, kappa)
    q, u = polarization.to_qu(e, np.zeros_like(e), SKY)
    true_e, true_b = polarization.to_eb(remapped(q, kappa), remapped(u, kappa), SKY)
    for template, truth in ((delta_e, true_e), (delta_b, true_b)):
        inner = SKY.inner
        assert np.abs((template - truth)[:, inner]).max() < 0.01 * np.abs(truth).max()


def test_single_precision_stays_single(fields):
    t, e, kappa = (modes.astype(np.complex64) for modes in fields)
    template = LensingTemplate(NOISELESS)
    assert template.temperature(t, kappa).dtype == np.complex64
    assert {modes.dtype for modes in template.polarization(e, kappa)} == {np.dtype(np.complex64)}


def test_noise_is_filtered(fields):
    """Half signal, half noise: half of the field is believed."""
    t, _, kappa = fields
    noisy = Observation(SKY, spectra.fiducial(), 3.0, 20.0, lmax=4000)
    believed = noisy.beam * noisy.signal("T", "T") * noisy.inverse("T")
    np.testing.assert_allclose(
        LensingTemplate(noisy).temperature(t, kappa),
        LensingTemplate(NOISELESS).temperature(t * believed, kappa),
        atol=1e-9 * np.abs(t).max(),
    )
