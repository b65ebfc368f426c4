"""Rings and bands: the judge's own spectra, of bands that the patch has."""

import numpy as np
import pytest

from estimators import power_spectra
from estimators.bandpowers.rings import BandRings, Rings
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.flat_sky import FlatSky

SKY = FlatSky(32, np.radians(5))


def test_powers_of_rings_joined_are_the_judges_band_powers():
    maps = np.random.default_rng(0).standard_normal((3, 32, 32))
    bands = BandRings.judged(SKY)
    rings = bands.rings
    modes = SKY.to_modes(maps)
    joined = rings.power(modes, modes) @ bands.windows(rings.num_modes).T
    judged = power_spectra.Bands(SKY, bands.edges)
    expected = power_spectra.measure(maps, maps, judged).first
    np.testing.assert_allclose(joined, expected, rtol=1e-10)
    assert np.array_equal(bands.edges[:-1], power_spectra.choose_bands(SKY).edges[:-1])


def test_rings_are_whole_and_inside_the_nyquist_circle():
    for npix in (31, 32):
        sky = FlatSky(npix, 1.0)
        rings = Rings(sky)
        outside = (rings.num + 0.5) * sky.fundamental
        assert outside <= sky.nyquist < outside + sky.fundamental
        assert rings.num_modes.sum() == sky.mode_counts[sky.ell < outside].sum() - 1


def test_windows_of_a_band_add_up_to_1_and_sums_are_over_its_rings():
    bands = BandRings.given(SKY, [100, 300, 900])
    assert np.allclose(bands.windows(bands.rings.num_modes).sum(axis=1), 1)
    inside = (bands.rings.ell > bands.edges[0]) & (bands.rings.ell < bands.edges[1])
    assert bands.sums(bands.rings.ell)[0] == pytest.approx(bands.rings.ell[inside].sum())


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([100], "at least two edges"),
        ([300, 200], "increasing"),
        ([100, 9000], "whole rings of modes from L = 72 to 1116"),
        ([-50, 300], "whole rings"),
        ([300, 310, 600], "narrower than the patch's modes are apart, 72"),
    ],
)
def test_bands_that_the_patch_does_not_have_are_refused(edges, message):
    with pytest.raises(LensingError, match=message):
        BandRings.given(SKY, edges)


def test_bands_end_with_kappa():
    with pytest.raises(LensingError, match="whole rings"):
        BandRings.given(SKY, [100, 900], lmax=400)
    assert BandRings.judged(SKY, lmax=400).edges[-1] < 440
