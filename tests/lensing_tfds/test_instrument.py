"""Noise of s µK·arcmin has rms s / (pixel in arcmin) per pixel."""

import dataclasses

import numpy as np
import pytest

from lensing_tfds import instrument, simulate
from lensing_tfds.configs import VERSIONS
from lensing_tfds.flat_sky import FlatSky


def test_white_noise_rms_per_pixel():
    two_arcmin_pixels = FlatSky(256, np.radians(256 * 2 / 60))
    assert instrument.white_noise_rms(6.0, two_arcmin_pixels) == pytest.approx(3.0)


def test_v8_is_its_noiseless_twin_plus_white_noise_of_5_uK_arcmin():
    """Its rms to 0.5 % (five standard errors of 5e5 pixels), its spectrum flat, its mean zero."""
    config = VERSIONS["v8"]
    indices = range(200)
    noisy = simulate(config, "test", indices)
    clean = simulate(dataclasses.replace(config, name="clean", noise_uK_arcmin=0), "test", indices)
    noise = (noisy["lensed"] - clean["lensed"])[..., 0].astype(float)
    rms = 5.0 / config.pixel_arcmin
    assert noise.std() == pytest.approx(rms, rel=5e-3)
    assert abs(noise.mean()) < 5 * rms / np.sqrt(noise.size)
    power = np.mean(np.abs(np.fft.fft2(noise)) ** 2, axis=0) / (rms**2 * 2500)
    assert np.all(np.abs(power - 1) < 6 / np.sqrt(200))
    np.testing.assert_array_equal(noisy["kappa"], clean["kappa"])
    np.testing.assert_array_equal(noisy["unlensed"], clean["unlensed"])
