"""Lognormal fields with a spectrum, and cross-spectra, of one's choice.

A shifted lognormal field is made of a Gaussian one, G, pixel by pixel:

    F(x) = m (exp(G(x) − σ²/2) − 1),    σ² = ⟨G²⟩,

with zero mean, and values from −m up (if m > 0; if m < 0 its tail is negative). Correlations follow
those of the Gaussian fields exactly (Coles & Jones 1991; Xavier, Abdalla & Joachimi 2016,
arXiv:1602.08503, section 4), with other lognormal fields, and with Gaussian ones, which are those
of an infinite m:

    ξ_FF' = m m' (exp ξ_GG' − 1),    ξ_FG' = m ξ_GG',

so that the Gaussian fields' spectra are found by a logarithm of the correlation function. On a
periodic grid that is exact too, mode by mode, as long as the Gaussian spectrum is not negative.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.flat_sky import FlatSky

Plane = NDArray[np.float64]
"""⟨|a_l|²⟩, or ⟨Re a_l b_l*⟩, on a half plane: shape (npix, npix // 2 + 1)."""


class Lognormal(NamedTuple):
    """A lognormal field: what it is made of, and what comes out.

    Attributes:
      scale: m, of which the sign is that of the tail.
      gaussian: power of G; zero at l = 0.
      variance: σ² of G.
      power: power of F, its mean over the grid left out: what was asked for, but where the Gaussian
        field would have needed negative power.
    """

    scale: float
    gaussian: Plane
    variance: float
    power: Plane


def lognormal(power: Plane, scale: float, sky: FlatSky) -> Lognormal:
    """Finds the Gaussian field of which a lognormal field of a given power is made.

    G gets no power at l = 0: it would be negative. That multiplies all other power of F by one
    factor, which is taken back by the scale. Negative power of other modes becomes zero, and the
    resulting power, `Lognormal.power`, says what that does.

    Args:
      power: of the lognormal field; what it has at l = 0 is ignored.
      scale: m, apart from that factor; not zero.
      sky: the grid.

    Raises:
      ValueError: the power is such that the field would be below its least value: its correlation
        at some distance is at −m² or below.
    """
    target = power.copy()
    target[0, 0] = 0
    correlation = 1 + _correlation(target, sky) / scale**2
    if correlation.min() <= 0:
        raise ValueError("no lognormal field has such a correlation")
    wanted = _power(np.log(correlation), sky)
    scale = float(scale * np.exp(wanted[0, 0] / 2))
    gaussian = np.maximum(wanted, 0)
    gaussian[0, 0] = 0
    found = _correlation(gaussian, sky)
    result = scale**2 * _power(np.expm1(found), sky)
    result[0, 0] = 0
    return Lognormal(scale, gaussian, float(found[0, 0]), result)


def gaussian_cross(cross: Plane, first: float, second: float, sky: FlatSky) -> Plane:
    """Returns the cross-power of the Gaussian fields that two fields are made of.

    Args:
      cross: cross-power of the fields.
      first: scale of the one, infinite for a Gaussian field, which is made of itself.
      second: scale of the other, not infinite.
      sky: the grid.
    """
    if np.isinf(first):
        return cross / second
    return _power(np.log1p(_correlation(cross, sky) / (first * second)), sky)


def exponentiate(
    gaussian: NDArray[np.float32], scale: float, variance: float
) -> NDArray[np.float32]:
    """Turns maps of G into maps of F, in place.

    Args:
      gaussian: float32 of any shape; overwritten.
      scale: m.
      variance: σ², which the modes' power has, not the variance of this map.
    """
    gaussian -= np.float32(variance / 2)
    np.expm1(gaussian, out=gaussian)
    gaussian *= np.float32(scale)
    return gaussian


def _correlation(power: Plane, sky: FlatSky) -> NDArray[np.float64]:
    return np.asarray(sky.to_map(power.astype(np.complex128)), np.float64)


def _power(correlation: NDArray[np.float64], sky: FlatSky) -> Plane:
    return np.asarray(sky.to_modes(correlation).real, np.float64)
