"""Third moments: against closed forms, and against maps."""

import numpy as np
import pytest

from lensing_tfds.sky import instrument, lognormal_fields, spectra, third_moments
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.gaussian_fields import GaussianField

SKY = FlatSky(64, np.radians(64 * 4 / 60))
TABLE = spectra.fiducial().kappa


@pytest.fixture(scope="module")
def field():
    power = spectra.at_multipoles(TABLE, SKY.ell) / SKY.area
    return lognormal_fields.lognormal(power, 0.07, SKY)


def test_without_smoothing_it_is_the_closed_form(field):
    pair = [(field.scale, field.power)]
    found = third_moments.third_moment(pair, pair, np.ones(SKY.ell.shape), SKY)
    q = np.expm1(field.variance)
    assert found == pytest.approx(field.scale**3 * q**2 * (3 + q), rel=1e-3)


def test_smoothed_maps_have_it(field):
    """1,500 maps: known to 2 %."""
    kernel = instrument.beam(SKY.ell, 10.0)
    seed = GaussianField(field.gaussian)
    normals = np.random.default_rng(5).standard_normal((1500, seed.size), np.float32)
    maps = SKY.to_map(seed.modes(normals))
    maps = lognormal_fields.exponentiate(maps, field.scale, field.variance)
    smooth = SKY.to_map(SKY.to_modes(maps.astype(float)) * kernel)
    cubes = np.mean((smooth - smooth.mean((1, 2), keepdims=True)) ** 3, axis=(1, 2))
    pair = [(field.scale, field.power)]
    expected = third_moments.third_moment(pair, pair, kernel, SKY)
    assert abs(cubes.mean() - expected) < 4 * cubes.std() / np.sqrt(len(cubes))
    assert cubes.std() / np.sqrt(len(cubes)) < 0.03 * expected
    # Of pairs alone it would be off.
    assert third_moments.third_moment(pair, [], kernel, SKY) < 0.92 * expected


def test_a_sum_of_fields_has_their_crossed_terms():
    """Two halves of one field are that field, whatever share each has: the same cube."""
    power = spectra.at_multipoles(TABLE, SKY.ell) / SKY.area
    kernel = instrument.beam(SKY.ell, 10.0)
    whole = third_moments.third_moment([(0.2, power)], [], kernel, SKY)
    halves = [(0.05, power * 0.25), (0.15, power * 0.75)]
    assert third_moments.third_moment(halves, [], kernel, SKY) == pytest.approx(whole)


def test_independent_pixels():
    kernel = instrument.beam(SKY.ell, 6.0)
    found = third_moments.pixel_third_moment(5.0, kernel, SKY)
    weights = SKY.to_map(kernel.astype(complex)) / SKY.npix**2
    assert weights.sum() == pytest.approx(1)
    assert found == pytest.approx(5 * np.sum(weights**3))
    assert third_moments.pixel_third_moment(5.0, np.ones_like(kernel), SKY) == pytest.approx(5)


def test_the_scale_of_a_skewness_gives_it_back():
    scale = third_moments.scale_of_skewness(0.5, 10.0, TABLE)
    power = spectra.at_multipoles(TABLE, SKY.ell) / SKY.area
    kernel = instrument.beam(SKY.ell, 10.0)
    pair = [(scale, power)]
    variance = np.sum(power * kernel**2 * SKY.mode_counts)
    found = third_moments.third_moment(pair, pair, kernel, SKY) / variance**1.5
    assert found == pytest.approx(0.5, rel=0.02)  # of another grid, with other waves
