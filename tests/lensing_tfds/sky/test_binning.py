import numpy as np
import pytest

from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky

SKY = FlatSky(16, 0.2)
RINGS = Bins.between([0, 50, 120, 200, np.inf], SKY)


def whole_plane(sky):
    """|l| of every mode of the plane, not by `FlatSky`."""
    axis = 2 * np.pi * np.fft.fftfreq(sky.npix, sky.pixel)
    return np.hypot(axis[:, None], axis)


def test_every_mode_of_the_plane_is_in_one_ring():
    assert RINGS.num_modes.sum() == SKY.npix**2
    assert RINGS.num == len(RINGS.num_modes) == 4
    ell = whole_plane(SKY)
    inside = (ell > 50) & (ell < 120)
    assert RINGS.num_modes[1] == inside.sum()
    assert RINGS.mean(SKY.ell)[1] == pytest.approx(ell[inside].mean())
    spread = RINGS.spread(np.arange(4.0))
    assert spread[0, 0] == 0 and spread[8, 8] == 3


@pytest.mark.parametrize("npix", [8, 15, 16, 50])
def test_rings_of_a_fundamental_hold_every_mode_once(npix):
    sky = FlatSky(npix, 0.3)
    rings = Bins.fundamental(sky)
    ring = np.rint(whole_plane(sky) / sky.fundamental).astype(int)
    np.testing.assert_array_equal(rings.num_modes, np.bincount(ring.ravel()))


def test_what_is_in_no_bin_is_in_no_mean_and_gets_zero():
    rings = Bins.between([50, 120], SKY)
    ell = whole_plane(SKY)
    assert rings.num_modes.tolist() == [((ell >= 50) & (ell < 120)).sum()]
    spread = rings.spread(np.array([7.0]))
    np.testing.assert_array_equal(spread > 0, (SKY.ell >= 50) & (SKY.ell < 120))


def test_an_empty_ring_has_no_power_and_no_warning():
    rings = Bins.between([0, 1, 2, np.inf], SKY)
    mean = rings.mean(1 + SKY.ell)
    assert mean[1] == 0 and rings.num_modes[1] == 0
    assert mean[2] == pytest.approx(1 + np.sort(whole_plane(SKY).ravel())[1:].mean())


def test_maps_are_averaged_side_by_side():
    power = np.random.default_rng(0).random((2, 3, *SKY.ell.shape))
    together = RINGS.mean(power)
    assert together.shape == (2, 3, 4)
    np.testing.assert_allclose(together[1, 2], RINGS.mean(power[1, 2]))
