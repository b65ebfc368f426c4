"""The patch: Fourier conventions against sums written out, and against NumPy's FFT."""

import numpy as np
import pytest

from lensing_tfds.sky.flat_sky import FlatSky

SKIES = [FlatSky(npix, 0.1) for npix in (8, 9, 50)]


@pytest.mark.parametrize("sky", SKIES, ids=lambda sky: f"npix{sky.npix}")
def test_a_map_is_the_sum_of_its_modes(sky):
    """f(x) = Σ a_l exp(i l·x), with x along the last axis, written out term by term."""
    rng = np.random.default_rng(1)
    maps = rng.standard_normal((sky.npix, sky.npix))
    full = sky.full_plane(sky.to_modes(maps))
    ly = 2 * np.pi * np.fft.fftfreq(sky.npix, sky.pixel)
    pixels = np.arange(sky.npix) * sky.pixel
    waves = np.exp(1j * np.outer(pixels, ly))
    np.testing.assert_allclose((waves @ full @ waves.T), maps, atol=1e-12)
    np.testing.assert_allclose(sky.to_map(sky.to_modes(maps)), maps, atol=1e-12)
    np.testing.assert_allclose(full, np.fft.fft2(maps) / sky.npix**2, atol=1e-14)
    out = np.empty_like(maps)
    assert sky.to_map(sky.to_modes(maps), out=out) is out
    np.testing.assert_allclose(out, maps, atol=1e-12)


def test_multipoles_and_scales():
    sky = FlatSky(50, np.radians(22.9))
    assert sky.fundamental == pytest.approx(360 / 22.9)
    assert sky.nyquist == pytest.approx(25 * 360 / 22.9)
    assert sky.ell[0, 1] == sky.ell[1, 0] == pytest.approx(sky.fundamental)
    assert sky.ell.max() == pytest.approx(np.sqrt(2) * sky.nyquist)
    assert sky.area == pytest.approx(sky.pixel**2 * 2500)


def test_gradient_differentiates_a_wave_and_is_zero_at_nyquist():
    sky = FlatSky(16, 2.0)
    y, x = np.meshgrid(*[np.arange(16) * sky.pixel] * 2, indexing="ij")
    wave = np.sin(2 * np.pi * (3 * x + 2 * y) / sky.side)
    slope = np.cos(2 * np.pi * (3 * x + 2 * y) / sky.side) * 2 * np.pi / sky.side
    d_y, d_x = sky.gradient
    np.testing.assert_allclose(sky.to_map(sky.to_modes(wave) * d_x), 3 * slope, atol=1e-12)
    np.testing.assert_allclose(sky.to_map(sky.to_modes(wave) * d_y), 2 * slope, atol=1e-12)
    assert d_y[8, 0] == 0 and d_x[0, 8] == 0
    assert np.count_nonzero(d_y) == np.count_nonzero(FlatSky(16, 2.0).ly) - 1


@pytest.mark.parametrize("columns", [1, 5, 9, 20])
def test_some_columns_of_the_modes(columns):
    sky = FlatSky(16, 0.1)
    maps = np.random.default_rng(9).standard_normal((2, 16, 16))
    expected = sky.to_modes(maps)[..., :columns]
    np.testing.assert_allclose(sky.to_modes(maps, columns), expected, atol=1e-15)


@pytest.mark.parametrize("npix", [8, 9])
def test_modes_are_counted_as_often_as_the_plane_has_them(npix):
    sky = FlatSky(npix, 0.3)
    full = np.hypot(*np.meshgrid(*[np.fft.fftfreq(npix, sky.pixel)] * 2)) * 2 * np.pi
    assert sky.mode_counts.sum() == npix**2
    assert np.sum(sky.mode_counts * sky.ell**2) == pytest.approx(np.sum(full**2))
    on_nyquist_lines = 0 if npix % 2 else 2 * npix - 1
    assert npix**2 - np.sum(sky.mode_counts * sky.inner) == on_nyquist_lines
