"""Lognormal fields: the power and the cross-power that were asked for, mode by mode."""

import numpy as np
import pytest

from lensing_tfds.sky import lognormal_fields, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.gaussian_fields import GaussianField

SKY = FlatSky(32, np.radians(32 * 4 / 60))
POWER = spectra.at_multipoles(spectra.fiducial().kappa, SKY.ell) / SKY.area
POWER[0, 0] = 0


def maps_of(gaussian, field):
    return lognormal_fields.exponentiate(SKY.to_map(gaussian), field.scale, field.variance)


@pytest.mark.parametrize("scale", [0.1, -0.1, 3.0])
def test_a_field_has_its_power_its_least_value_and_its_skewness(scale):
    """4,000 maps: each mode's power is known to 2.2 %, the mean over all to 0.1 %."""
    field = lognormal_fields.lognormal(POWER, scale, SKY)
    np.testing.assert_allclose(field.power, POWER, atol=1e-9 * POWER.max())
    seed = GaussianField(field.gaussian)
    normals = np.random.default_rng(2).standard_normal((4000, seed.size), np.float32)
    maps = maps_of(seed.modes(normals), field)
    assert (maps * np.sign(scale)).min() >= -abs(field.scale)
    power = np.mean(np.abs(SKY.to_modes(maps)) ** 2, axis=0)
    ratio = (power / np.where(POWER > 0, POWER, np.inf))[POWER > 0]
    assert abs(ratio.mean() - 1) < 0.01 and np.abs(ratio - 1).max() < 0.35
    q = np.expm1(field.variance)
    variance, third = np.mean(maps.astype(float) ** 2), np.mean(maps.astype(float) ** 3)
    skewness = np.sign(scale) * (3 + q) * np.sqrt(q)
    assert third / variance**1.5 == pytest.approx(skewness, rel=0.05)


def test_power_that_no_lognormal_field_has_is_refused_or_said():
    with pytest.raises(ValueError, match="no lognormal field"):
        lognormal_fields.lognormal(POWER, 1e-3, SKY)
    # A hole in the spectrum would need negative power of the Gaussian field.
    hole = np.where((SKY.ell > 1000) & (SKY.ell < 1500), 0, POWER)
    field = lognormal_fields.lognormal(hole, 0.07, SKY)
    assert field.gaussian.min() == 0
    assert np.abs(field.power - hole).max() > 1e-3 * hole.max()


@pytest.mark.parametrize("lognormal", [False, True])
def test_a_cross_power_comes_out_as_asked_for(lognormal):
    """With a Gaussian field, and with another lognormal one, of correlation 0.6 in all modes."""
    first = lognormal_fields.lognormal(POWER, 0.3, SKY)
    scale = first.scale if lognormal else np.inf
    seed_power = first.gaussian if lognormal else POWER
    second = lognormal_fields.lognormal(4 * POWER, -0.5, SKY)
    wanted = -0.6 * 2 * POWER
    cross = lognormal_fields.gaussian_cross(wanted, scale, second.scale, SKY)
    per_seed = np.divide(cross, seed_power, out=np.zeros_like(cross), where=seed_power > 0)
    rest = GaussianField(np.maximum(second.gaussian - per_seed * cross, 0))
    rng = np.random.default_rng(3)
    seeds = GaussianField(seed_power).modes(rng.standard_normal((4000, rest.size), np.float32))
    others = rest.modes(rng.standard_normal((4000, rest.size), np.float32))
    others += per_seed.astype(np.float32) * seeds
    one = SKY.to_modes(maps_of(seeds, first)) if lognormal else seeds
    two = SKY.to_modes(maps_of(others, second))
    measured = np.mean((one * two.conj()).real, axis=0)
    inside = POWER > 0
    ratio = measured[inside] / wanted[inside]
    assert abs(ratio.mean() - 1) < 0.01  # ten times its error
