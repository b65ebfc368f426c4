"""Powers of T, E and B -> those of T, Q and U, on a grid and on one cut from it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
"""Half plane of a power, shape (npix, npix // 2 + 1)."""


class SkyPowers(NamedTuple):
    """The powers of T, E and B at the modes of a grid."""

    tt: Plane
    ee: Plane
    te: Plane
    bb: Plane | float


def stokes(
    pair: str, sky: SkyPowers, of_squares: tuple[Plane, Plane], of_crosses: tuple[Plane, Plane]
) -> Plane:
    """Power of two of T, Q, U and E, in alphabetical order, by cos 2φ and sin 2φ of each mode."""
    tt, ee, te, bb = sky
    (cosine, sine), (cross_cosine, cross_sine) = of_squares, of_crosses
    return {
        "TT": lambda: tt,
        "EE": lambda: ee,
        "QQ": lambda: ee * cosine**2 + bb * sine**2,
        "UU": lambda: ee * sine**2 + bb * cosine**2,
        "QU": lambda: (ee - bb) * cross_cosine * cross_sine,
        "QT": lambda: te * cross_cosine,
        "TU": lambda: te * cross_sine,
        "ET": lambda: te,
        "EQ": lambda: ee * cross_cosine,
        "EU": lambda: ee * cross_sine,
    }[pair]()


def truncated(power: Plane, npix: int) -> Plane:
    """Returns the power of fields that `instrument.truncate` cuts to a coarser grid."""
    half, upper = npix // 2, (npix + 1) // 2
    if power.shape[0] == npix:
        return power
    cut = np.concatenate([power[:upper, : half + 1], power[-half:, : half + 1]])
    if npix % 2 == 0:  # the mean of n and −n
        cut[half] = (cut[half] + power[half, : half + 1]) / 2
        cut[:, half] = (cut[:, half] + np.roll(cut[::-1, half], 1)) / 2
    return cut
