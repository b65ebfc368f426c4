import numpy as np
import pytest

from lensing_tfds.sky.flat_sky import FlatSky
from pipelines.validation import bins

PATCHES = [
    FlatSky(256, np.radians(256 * 2 / 60)),
    FlatSky(50, 0.4),
    FlatSky(63, 0.07),
    FlatSky(8, 1.0),
]


@pytest.mark.parametrize("sky", PATCHES, ids=lambda sky: str(sky.npix))
def test_rings_are_whole_and_hold_each_mode_once(sky):
    rings = bins.rings(sky, 24)
    assert 1 <= rings.num <= 24
    full = 2 * np.pi * np.fft.fftfreq(sky.npix, sky.pixel)
    ell = np.hypot(full[:, None], full)
    for low, high, count in zip(*rings.limits, rings.num_modes, strict=True):
        inside = (ell > low * (1 - 1e-9)) & (ell < high * (1 + 1e-9))
        assert inside.sum() == count  # a ring that were cut would miss some
    assert rings.limits[1, -1] <= 0.9 * sky.nyquist
    assert rings.limits[0, 0] >= min(100, 0.2 * sky.nyquist)
    assert (rings.limits[0, 1:] > rings.limits[1, :-1]).all()


@pytest.mark.parametrize("sky", PATCHES, ids=lambda sky: str(sky.npix))
def test_an_average_is_that_over_the_whole_plane(sky):
    rings = bins.rings(sky, 24)
    maps = np.random.default_rng(1).standard_normal((3, sky.npix, sky.npix))
    half = sky.to_modes(maps)
    averaged = rings.average(rings.gather(np.abs(half) ** 2))
    full = np.abs(np.fft.fft2(maps) / sky.npix**2) ** 2
    frequencies = 2 * np.pi * np.fft.fftfreq(sky.npix, sky.pixel)
    ell = np.hypot(frequencies[:, None], frequencies)
    for ring, (low, high) in enumerate(rings.limits.T):
        inside = (ell > low * (1 - 1e-9)) & (ell < high * (1 + 1e-9))
        np.testing.assert_allclose(averaged[:, ring], full[:, inside].mean(axis=-1))


def test_nyquist_lines():
    sky = FlatSky(16, 0.1)
    lines = bins.nyquist_lines(sky)
    assert lines.num_modes.tolist() == [15, 16]
    assert bins.nyquist_lines(FlatSky(15, 0.1)) is None
