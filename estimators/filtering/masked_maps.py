"""A check that maps are masked as those that an estimator was made for.

Of others it would estimate something all the same: the filter makes estimates a million times too
large, or none.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from estimators.filtering.masked_patch import is_masked, window_of
from lensing_tfds.config_fields.mask import SIGNAL
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import instrument

_OUTSIDE = 0.02  # of the window
_MOST_OF_SKY = 0.1  # of the rms inside: where the window is below 0.02 a few hundredths are left
_MOST_OF_NOISE = 3.0  # times its rms
# Of the power inside: at an edge right maps have 0.46 at least, of 32 pixels a side, and those that
# are masked twice 0.22 at most, from 96 pixels on.
_FADES = 0.3
_EDGE_PIXELS = 64  # that say so
# Pixels that are zero in one channel, at least and of all: in single precision one of a hundred
# million is, by chance.
_MANY, _MANY_OF_ALL = 4, 1e-5
_OWN = "no other mask is known to what was made for these; make it for a config with yours"


def refuse_another_mask(maps: NDArray[np.floating], lensing: LensingConfig) -> None:
    """Refuses maps whose unseen pixels are not those of a config; those without a mask pass all.

    Maps that are not finite everywhere are not looked at.

    Args:
      maps: (n, npix, npix, channels), µK.
      lensing: that the estimator was made for.

    Raises:
      LensingError: a map is zero where the config's are not, or in one channel alone, or is more
        than zero, or noise, where the config's are not; or with Q and U, it fades as if it were
        masked twice.
    """
    mask = lensing.mask
    is_signal = mask is not None and mask.multiplies == SIGNAL
    if not is_masked(lensing) or (is_signal and lensing.taper > 0):  # of which nothing is zero
        return
    outside, noise = _expected(lensing)
    may_be_zero = outside & ~np.bool_(is_signal)
    if mask is not None and mask.holes and not is_signal:
        may_be_zero = np.ones_like(outside)
    for number, one in enumerate(maps):
        if not np.isfinite(one).all():
            continue
        which, zero = f"map {number} of {len(maps)}", one == 0
        nothing = zero.all(axis=-1)
        some = zero.any(axis=-1) & ~nothing & ~outside
        if np.count_nonzero(some) >= max(_MANY, _MANY_OF_ALL * some.size):
            if np.array_equal(one, np.rint(one)):
                raise LensingError(
                    f"{which} holds whole numbers alone, and zeros say where nothing was seen: "
                    "it was rounded, which makes zeros of what was seen; give it as it was measured"
                )
            raise LensingError(
                f"{which} is zero in {np.mean(some):.1%} of its pixels in one of "
                f"{', '.join(lensing.channels)}, and not in all: mask them alike"
            )
        if (lost := nothing & ~may_be_zero).any():
            raise LensingError(
                f"{which} is zero in {np.mean(lost):.1%} of its pixels, where maps of "
                f"lensing/{lensing.name} are not: {_OWN}"
            )
        if not outside.any():
            continue
        found, inside = (
            np.sqrt(np.mean(one[where].astype(np.float64) ** 2, axis=0))
            for where in (outside, ~outside)
        )
        most = _MOST_OF_NOISE * noise if is_signal else _MOST_OF_SKY * inside
        if (off := found > most).any():
            i = int(np.argmax(off))
            raise LensingError(
                f"{which} has an rms of {found[i]:.3g} µK in {lensing.channels[i]} where the mask "
                f"of lensing/{lensing.name} leaves {most[i]:.3g} µK at most: {_OWN}"
            )
        if not is_signal and (power := _power_at_edges(one, lensing)) < _FADES:
            raise LensingError(
                f"{which} has, where the mask of lensing/{lensing.name} is below a half, "
                f"{power:.1%} of the power that it leaves there: masked once more? {_OWN}"
            )


def _power_at_edges(one: NDArray[np.floating], lensing: LensingConfig) -> float:
    """Returns the power at a mask's edges over that inside, the mask's own taken out.

    The mean over channels: T alone, whose waves are long, tells too little, and gives 1.
    """
    window = window_of(lensing)
    edge, inside = (window > _OUTSIDE) & (window < 0.5), window >= 0.9
    if len(lensing.channels) == 1 or edge.sum() < _EDGE_PIXELS or not inside.any():
        return 1.0
    at_edge, within = (
        np.mean(one[where].astype(np.float64) ** 2, axis=0) / np.mean(window[where] ** 2)
        for where in (edge, inside)
    )
    return float(np.mean(at_edge / np.maximum(within, np.finfo(float).tiny)))


@functools.lru_cache(maxsize=8)
def _expected(lensing: LensingConfig) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Returns where next to nothing is seen of the sky, and the noise's largest rms there, µK."""
    sky, outside = lensing.sky, window_of(lensing) < _OUTSIDE
    ell = np.maximum(sky.ell, sky.fundamental)
    variance = np.array(
        [
            np.sum(sky.mode_counts * lensing.noise_power(channel, ell)) / sky.area
            for channel in lensing.channels
        ]
    )
    if lensing.hits is not None:
        variance *= instrument.relative_noise_variance(sky, lensing.hits.contrast).max()
    return outside, np.sqrt(variance)
