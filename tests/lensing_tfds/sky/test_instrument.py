"""Beam, pixels, noise and taper."""

import math

import numpy as np
import pytest

from lensing_tfds.sky import instrument
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.gaussian_fields import GaussianField


def test_a_beam_is_at_half_its_height_at_half_its_width():
    """The profile that the transfer function belongs to, by a direct Fourier sum."""
    fwhm = 8.0
    ell = np.linspace(0, 8000, 20_000)
    transfer = instrument.beam(ell, fwhm)
    assert transfer[0] == 1
    from scipy.special import j0

    def profile(arcmin):
        return np.trapezoid(ell * transfer * j0(ell * math.radians(arcmin / 60)), ell)

    assert profile(fwhm / 2) / profile(0) == pytest.approx(0.5, rel=1e-4)
    assert np.all(instrument.beam(ell, 0) == 1)


@pytest.mark.parametrize("npix", [16, 15])
def test_what_a_coarse_grid_can_carry_is_left_as_it_is(npix):
    """Below its Nyquist frequency, plain sampling of a band-limited map gives the same modes."""
    fine, coarse = FlatSky(3 * npix, 0.1), FlatSky(npix, 0.1)
    modes = fine.to_modes(np.random.default_rng(0).standard_normal((2, 3 * npix, 3 * npix)))
    reach = (npix - 1) // 2
    limit = (reach + 0.5) * fine.fundamental
    modes[:, (np.abs(fine.ly) > limit)[:, 0]] = 0
    modes[..., (fine.lx > limit)[0]] = 0
    cut = instrument.truncate(modes, npix)
    np.testing.assert_allclose(coarse.to_map(cut), fine.to_map(modes)[:, ::3, ::3], atol=1e-12)


def test_every_mode_of_a_coarse_grid_has_full_power_and_belongs_to_a_real_map():
    """White noise stays white, at both Nyquist lines too: ⟨|a|²⟩ = 1 to 5 sigma in each group."""
    fine, npix, count = 24, 12, 4000
    normals = np.random.default_rng(1).standard_normal((count, fine * (fine // 2 + 1) * 2))
    modes = GaussianField(np.ones((fine, fine // 2 + 1))).modes(normals.astype(np.float32))
    cut = instrument.truncate(modes, npix)
    sky = FlatSky(npix, 0.1)
    np.testing.assert_allclose(sky.to_modes(sky.to_map(cut)), cut, atol=1e-5)
    power = np.mean(np.abs(cut) ** 2, axis=0)
    for group in (np.s_[npix // 2], np.s_[:, -1], np.s_[1 : npix // 2, 1:-1], np.s_[npix // 2, -1]):
        # A mode's power scatters by at most √2 of itself from example to example.
        size = power[group].size
        assert abs(power[group].mean() - 1) < 5 * math.sqrt(2 / (count * size))


def test_noise_of_polarization_is_root_two_times_that_of_temperature():
    assert instrument.channel_noise(5.0, "T") == 5.0
    for channel in "QU":
        assert instrument.channel_noise(5.0, channel) == pytest.approx(5 * math.sqrt(2))
    sky = FlatSky(10, math.radians(10 * 2 / 60))  # 2' pixels
    assert instrument.white_noise_rms(5.0, sky) == pytest.approx(2.5)


def test_a_taper_rises_as_a_cosine_from_each_edge():
    sky = FlatSky(40, math.radians(10.0))  # a quarter of a degree a pixel
    window = instrument.taper_window(sky, 2.0)
    np.testing.assert_allclose(window[8:-8, 8:-8], 1)
    distance = 0.25 * (np.arange(8) + 0.5)
    np.testing.assert_allclose(window[:8, 20], (1 - np.cos(np.pi * distance / 2)) / 2)
    np.testing.assert_allclose(window, window[::-1])
    np.testing.assert_allclose(window, window.T)
    assert np.all(instrument.taper_window(sky, 0) == 1)


@pytest.mark.parametrize(
    ("fine", "coarse"), [(16, 8), (16, 9), (15, 8), (15, 9), (17, 16), (30, 10)]
)
def test_the_adjoint_of_a_cut(fine, coarse):
    """<truncate(a), c> = <a, truncate_adjoint(c)>, on Nyquist's lines too, with a beam."""
    rng, fine_sky, sky = np.random.default_rng(0), FlatSky(fine, 0.1), FlatSky(coarse, 0.1)
    a = fine_sky.to_modes(rng.standard_normal((2, fine, fine)))
    c = sky.to_modes(rng.standard_normal((2, coarse, coarse)))
    beam = np.repeat(instrument.beam(sky.ell, 20.0), 2, axis=-1)
    cut = instrument.truncate(a, coarse, beam)
    back = instrument.truncate_adjoint(c, fine, beam)
    one = np.sum(sky.mode_counts * (cut * c.conj()).real)
    assert np.sum(fine_sky.mode_counts * (a * back.conj()).real) == pytest.approx(one, rel=1e-12)
