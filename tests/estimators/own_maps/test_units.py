"""Units of a FITS header, and those that numbers look like."""

import pytest

from estimators.own_maps.units import likely_unit, microkelvin_per
from lensing_tfds.errors import LensingError


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("uK", 1), (" uK_CMB", 1), ("µK", 1), ("mK", 1e3), ("K", 1e6), ("K_CMB", 1e6), ("KCMB", 1e6)],
)
def test_temperatures_are_known(unit, factor):
    assert microkelvin_per(unit, "maps.fits") == factor


@pytest.mark.parametrize("unit", ["MJy/sr", "K_RJ", "k", "CMB"])
def test_other_units_are_refused(unit):
    with pytest.raises(LensingError, match=r"maps.fits has the unit .* \(BUNIT\): must"):
        microkelvin_per(unit, "maps.fits")


@pytest.mark.parametrize(
    ("rms", "unit"), [(1e-4, "K"), (3e-5, "K"), (0.1, "mK"), (100.0, ""), (1e8, ""), (1e-30, "")]
)
def test_maps_of_100_microkelvin_in_other_units_are_recognised(rms, unit):
    assert likely_unit(rms, 100.0) == unit
