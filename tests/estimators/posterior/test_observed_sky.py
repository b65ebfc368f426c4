"""The posterior observes as the simulator does, and its adjoint is one."""

import dataclasses

import numpy as np
import pytest

from estimators.posterior.observed_sky import ObservedSky
from estimators.posterior.prior import Prior
from lensing_tfds import simulate
from lensing_tfds.config_fields.tensors import Tensors
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.sky import polarization, spectra
from lensing_tfds.sky.lensing import deflection_from_kappa

CONFIG = LensingConfig(
    "small", npix=16, lx=0.7, stokes="TQU", oversampling=2, beam_arcmin=2.0, noise_uK_arcmin=1e-4
)
VARIANTS = [
    CONFIG,
    dataclasses.replace(CONFIG, stokes="QU", npix=15),
    dataclasses.replace(CONFIG, stokes="T", oversampling=3),
    dataclasses.replace(CONFIG, oversampling=1, beam_arcmin=0.0, lx=3.0),
]
WITH_B = dataclasses.replace(CONFIG, stokes="QU", tensors=Tensors(0.01, 0.05), lx=20.0)
each_variant = pytest.mark.parametrize("config", VARIANTS, ids=lambda c: f"{c.stokes}{c.npix}")


@each_variant
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_observed_sky_is_the_simulators(config, dtype):
    """The Nyquist lines too. The same draws on a grid of internal pixels show the unlensed sky."""
    fine = dataclasses.replace(
        config, npix=config.internal.npix, oversampling=1, beam_arcmin=0.0, noise_uK_arcmin=0.0
    )
    drawn, seen = simulate(fine, "test", [3]), simulate(config, "test", [3])["lensed"][0]
    sky = config.internal

    def modes(name):
        return sky.to_modes(np.ascontiguousarray(np.moveaxis(drawn[name][0], -1, 0), dtype))

    deflection = deflection_from_kappa(modes("kappa")[0], sky)
    found = ObservedSky(config, dtype).observe(modes("unlensed"), deflection)
    # Noise is 1e-4 µK·arcmin, and float32's maps are right to 1e-5 of their rms.
    np.testing.assert_allclose(
        np.moveaxis(config.sky.to_map(found), 0, -1), seen, atol=3e-5 * seen.std() + 1e-3
    )


@pytest.mark.parametrize(
    "config", [*VARIANTS, WITH_B], ids=lambda c: f"{c.stokes}{c.npix}{'B' * (c is WITH_B)}"
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-11)])
def test_adjoints(config, dtype, tolerance):
    prior, observed = Prior(config, spectra_of(config), dtype), ObservedSky(config, dtype)
    rng = np.random.default_rng(0)

    def white(sky, count):
        return sky.to_modes(rng.standard_normal((count, sky.npix, sky.npix)).astype(dtype))

    def dot(a, b, sky):
        return np.sum(sky.mode_counts * (a * b.conj()).real)

    deflection = deflection_from_kappa(
        prior.kappa_root * white(config.internal, 1)[0] * len(prior.kappa_root), config.internal
    )
    e = white(config.internal, len(prior.roots))
    stokes, maps = prior.stokes(e), white(config.sky, len(config.channels))
    seen = observed.observe(stokes, deflection)
    back = observed.observe_adjoint(maps, deflection)
    size = np.sqrt(dot(seen, seen, config.sky) * dot(maps, maps, config.sky))
    assert abs(dot(seen, maps, config.sky) - dot(stokes, back, config.internal)) < tolerance * size
    size = np.sqrt(dot(stokes, stokes, config.internal) * dot(back, back, config.internal))
    there = dot(stokes, back, config.internal)
    assert abs(there - dot(e, prior.stokes_adjoint(back), config.internal)) < tolerance * size


def test_the_priors_fields_have_the_tables_spectra():
    """TT, TE and EE of white unknowns, whose covariance is one, mode by mode; B is zero."""
    prior, table = Prior(CONFIG, spectra_of(CONFIG), np.float64), spectra_of(CONFIG)
    roots, sky = prior.roots, CONFIG.internal
    power = np.einsum("ikyx,jkyx->ijyx", roots, roots) * sky.area
    ell = np.arange(2, table.lmax + 1)
    for (i, j), c_ell in {(0, 0): table.TT, (0, 1): table.TE, (1, 1): table.EE}.items():
        inner = sky.inner & (sky.ell > 2) & (sky.ell < table.lmax)
        expected = np.interp(sky.ell[inner], ell, (ell**2 * c_ell[2:])) / sky.ell[inner] ** 2
        np.testing.assert_allclose(power[i, j][inner], expected, rtol=3e-2, atol=1e-9)
    q, u = prior.stokes(np.ones((2, *sky.ell.shape), complex))[1:]
    b = polarization.to_eb(q, u, sky)[1]
    assert np.abs(b[sky.inner]).max() < 1e-12


def test_tensors_add_to_the_priors_e_and_make_b():
    prior, table = Prior(WITH_B, spectra_of(WITH_B), np.float64), spectra_of(WITH_B)
    without = Prior(dataclasses.replace(WITH_B, tensors=None), table, np.float64)
    sky, ratio = WITH_B.internal, WITH_B.tensors.mean_ratio
    inner = sky.inner & (sky.ell > 2) & (sky.ell < 500)
    q, u = prior.stokes(np.stack([np.zeros(sky.ell.shape), np.ones(sky.ell.shape)]) + 0j)
    e, b = polarization.to_eb(q, u, sky)
    assert np.abs(e[inner]).max() < 1e-12 * np.abs(b[inner]).max()

    def expected(c_ell):
        return ratio * spectra.at_multipoles(c_ell, sky.ell)[inner]

    np.testing.assert_allclose(np.abs(b[inner]) ** 2 * sky.area, expected(table.tensors.BB))
    more = (prior.roots[0, 0] ** 2 - without.roots[0, 0] ** 2)[inner] * sky.area
    np.testing.assert_allclose(more, expected(table.tensors.EE), rtol=1e-6)
