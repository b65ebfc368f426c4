"""Units of observed maps: what a FITS header calls them, and numbers that can be in no µK."""

from __future__ import annotations

import math

from lensing_tfds.errors import LensingError

MICROKELVIN = "µK"

OTHER_UNITS = 30.0
"""Noise, beams and other cosmologies change the rms of maps by far less than this, other units by
far more."""

_PER_UNIT = {"K": 1e6, "mK": 1e3, "uK": 1.0, "µK": 1.0, "μK": 1.0, "microK": 1.0}
_OF_THE_CMB = ("_CMB", "CMB", "_cmb", "cmb", " CMB", "_thermo")


def microkelvin_per(unit: str, source: str) -> float:
    """Returns how many µK one of a unit is.

    Args:
      unit: as a header's BUNIT: "K", "mK", "uK", each with or without "_CMB" after it.
      source: of which it is the unit, for the message.

    Raises:
      LensingError: it is no temperature of the CMB.
    """
    name = unit.strip()
    for ending in _OF_THE_CMB:
        name = name.removesuffix(ending)
    if name not in _PER_UNIT:
        raise LensingError(
            f"{source} has the unit {unit!r} (BUNIT): must be K, mK or uK, thermodynamic; convert "
            "the maps first"
        )
    return _PER_UNIT[name]


def likely_unit(rms: float, expected: float) -> str:
    """Names the unit in which maps of an rms would be as expected; empty if there is none.

    Args:
      rms: of the maps, as they are.
      expected: µK.
    """
    for unit in ("K", "mK"):
        if abs(math.log(rms * _PER_UNIT[unit] / expected)) < math.log(OTHER_UNITS):
            return unit
    return ""
