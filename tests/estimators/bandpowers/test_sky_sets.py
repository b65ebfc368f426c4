"""Skies of a set, their partners of the same κ, and skies with another spectrum."""

import dataclasses

import numpy as np

from estimators.bandpowers.sky_sets import FIDUCIAL, HIGH, SkyMaker, observed
from lensing_tfds import simulate
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky import spectra
from tests.estimators.bandpowers.conftest import CONFIG


def test_observed_skies_are_the_datasets_own():
    maps, kappa, masks = SkyMaker(CONFIG, spectra.fiducial(), observed("test")).skies(1, 3)
    expected = simulate(CONFIG, "test", [1, 2])
    np.testing.assert_array_equal(maps, expected["lensed"])
    np.testing.assert_array_equal(kappa, expected["kappa"][..., 0])
    assert masks is None
    holed = dataclasses.replace(CONFIG, mask=Mask(holes=2, hole_radius_arcmin=3.0))
    masks = SkyMaker(holed, spectra.fiducial(), observed("test")).skies(1, 3).masks
    np.testing.assert_array_equal(masks, simulate(holed, "test", [1, 2])["mask"])


def test_a_shifted_kappa_is_that_of_another_sky_and_nothing_else_is():
    (shifted,) = Simulator(CONFIG, "test", kappa_shift=-1).examples([5])
    (own,) = Simulator(CONFIG, "test").examples([4, 5])
    np.testing.assert_array_equal(shifted["kappa"][0], own["kappa"][0])
    np.testing.assert_array_equal(shifted["unlensed"][0], own["unlensed"][1])
    assert not np.array_equal(shifted["lensed"][0], own["lensed"][1])


def test_partners_have_the_kappa_of_their_sky_and_the_cmb_of_the_next():
    maker = SkyMaker(CONFIG, spectra.fiducial(), FIDUCIAL)
    partners = maker.partners(0, 2)
    (shifted,) = Simulator(CONFIG, FIDUCIAL.split, kappa_shift=-1).examples(
        [FIDUCIAL.first + 1, FIDUCIAL.first + 2]
    )
    np.testing.assert_array_equal(partners, shifted["lensed"])


def test_skies_with_another_spectrum_differ_by_the_amplitude_of_kappa_alone():
    table = spectra.fiducial()
    kappa = SkyMaker(CONFIG, table, FIDUCIAL).skies(0, 2).kappa
    higher = SkyMaker(CONFIG, table, HIGH).skies(0, 2).kappa
    np.testing.assert_allclose(higher, np.sqrt(1.2) * kappa, rtol=1e-4, atol=1e-7)
