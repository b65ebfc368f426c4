"""A person's own maps, lensed as those of the dataset are."""

import math
import numbers

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lensing_tfds.errors import LensingError
from lensing_tfds.sky import lensing
from lensing_tfds.sky.flat_sky import FlatSky

_LEAST_NPIX = 8


def lens(maps: ArrayLike, kappa: ArrayLike, side: float) -> NDArray[np.floating]:
    """Lenses maps of the sky by a convergence: T̃(x) = T(x + ∇φ), with κ = −½∇²φ.

    The sign is CAMB's, pixell's and lenspyx's: an overdensity has κ > 0, and magnifies. The patch
    is flat, square and periodic, arrays are indexed [y, x], and the band-limited maps are evaluated
    at the deflected points, not interpolated: see `sky.lensing.remap`. κ's mean deflects nothing.

    Args:
      maps: T, or T, Q and U, or Q and U, in any unit, which the result has too: shape (npix, npix)
        or (batch, npix, npix), and with channels (npix, npix, channels) or (batch, npix, npix,
        channels), 1 to 3 channels, as `simulate` returns them. At least 8 pixels on a side.
      kappa: dimensionless, shape (npix, npix), or (batch, npix, npix) for a batch of maps; a last
        axis of one channel is allowed.
      side: length of the patch's side, radians, at most π: `numpy.radians(10)` for 10 degrees.

    Returns:
      The lensed maps, of the maps' shape: float32, to 4e-6 of a map's rms, if both arrays are, else
      float64, to 1e-12.

    Raises:
      LensingError: the shapes do not fit, numbers are not real or not finite, or the side is no
        length in radians.
    """
    if not isinstance(side, numbers.Real) or not 0 < side <= math.pi:
        degrees = isinstance(side, numbers.Real) and math.pi < side <= 180
        hint = f"; {side:g} degrees are {math.radians(side):.6g}" if degrees else ""
        raise LensingError(f"lens: side is {side!r}, must be in radians, above 0, at most π{hint}")
    first, by = _real("maps", maps), _real("kappa", kappa)
    dtype = np.float32 if first.dtype == by.dtype == np.float32 else np.float64
    shape = by.shape[:-1] if by.ndim > 2 and by.shape[-1] == 1 else by.shape
    fits = (
        len(shape) in (2, 3)
        and shape[-1] == shape[-2] >= _LEAST_NPIX
        and first.shape[: len(shape)] == shape
        and first.size > 0
        and first.shape[len(shape) :] in ((), (1,), (2,), (3,))
    )
    if not fits:
        raise LensingError(
            f"lens: maps of shape {first.shape} and kappa of shape {by.shape}: expected "
            "(npix, npix), or (batch, npix, npix), the same for both, with at most 3 channels in a "
            f"last axis of the maps, and at least {_LEAST_NPIX} pixels on a side"
        )
    npix = shape[-1]
    sky = FlatSky(npix, float(side))
    kappa_modes = sky.to_modes(by.astype(dtype).reshape(-1, npix, npix))
    deflection = lensing.deflection_from_kappa(kappa_modes, sky)
    channels = first.astype(dtype).reshape(len(kappa_modes), npix, npix, -1)
    lensed = [
        lensing.remap(sky.to_modes(np.ascontiguousarray(channel)), deflection, sky)
        for channel in np.moveaxis(channels, -1, 0)
    ]
    return np.stack(lensed, axis=-1).reshape(first.shape)


def _real(name: str, values: ArrayLike) -> NDArray[np.generic]:
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise LensingError(f"lens: {name}: {error}") from error
    if array.dtype.kind not in "iuf":
        raise LensingError(f"lens: {name} must be real numbers, not {array.dtype}")
    if not np.isfinite(array).all():
        raise LensingError(f"lens: {name} has numbers that are not finite")
    return array
