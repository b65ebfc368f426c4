"""Expected powers against brute force and against simulated, unlensed and lensed, skies."""

import numpy as np
import pytest

from lensing_tfds.sky import spectra
from lensing_tfds.sky.flat_sky import FlatSky
from pipelines.validation.finite_box import in_box
from pipelines.validation.windows import windowed


def test_windowed_power_is_the_sum_over_all_pairs_of_pixels():
    box, patch = FlatSky(9, 0.3), FlatSky(6, 0.2)
    rng = np.random.default_rng(2)
    power = np.exp(-((box.ell / 60) ** 2)) * (1 + 0.3 * np.cos(2 * np.arctan2(box.ly, box.lx)))
    first, second = rng.uniform(size=(2, 6, 6))
    correlation = box.to_map((power / box.area).astype(complex))
    y, x = (c.ravel() for c in np.indices((6, 6)))
    pairs = correlation[(y[:, None] - y) % 9, (x[:, None] - x) % 9]
    covariance = pairs * first.ravel()[:, None] * second.ravel()
    result = windowed(power, box, patch, first, second)
    for ky in range(6):
        for kx in range(4):
            wave = np.exp(-2j * np.pi * (ky * y + kx * x) / 6) / 36
            expected = (wave @ covariance @ wave.conj()).real * patch.area
            assert result[ky, kx] == pytest.approx(expected, rel=1e-10)


def test_a_periodic_patch_has_the_power_itself():
    sky = FlatSky(16, 0.1)
    power = 1 / (1 + sky.ell)
    ones = np.ones((16, 16))
    np.testing.assert_allclose(windowed(power, sky, sky, ones, ones), power)


def test_a_large_box_has_the_spectra_of_the_sky():
    table = spectra.fiducial()
    large = in_box(table, FlatSky(512, np.radians(60)))
    small = in_box(table, FlatSky(64, np.radians(5)))
    ell = slice(200, 1500)
    for name in ("lensed_TT", "lensed_EE", "lensed_BB"):
        sky = getattr(table, name)[ell]
        of_large, of_small = (
            np.abs(getattr(t, name)[ell] / sky - 1).mean() for t in (large, small)
        )
        assert of_large < 2e-4 < of_small
    assert 0.005 < 1 - (small.lensed_BB[ell] / table.lensed_BB[ell]).mean() < 0.03
