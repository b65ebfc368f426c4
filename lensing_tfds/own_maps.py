"""A person's own maps, lensed as those of the dataset are."""

import math
import numbers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lensing_tfds.errors import LensingError
from lensing_tfds.sky import lensing
from lensing_tfds.sky.flat_sky import FlatSky

_LEAST_NPIX = 8
_LEAST_SIDE = 1e-9  # radians; of a much smaller one float32 does not hold φ


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
      side: length of the patch's side, radians, from 1e-9 to π: `numpy.radians(10)` for 10 degrees.

    Returns:
      The lensed maps, of the maps' shape: float32 if both arrays are, else float64. With a largest
      deflection of D pixels along an axis, they are exact to 4e-6 + 2.4e-7 D of a map's rms in
      float32, and to 1e-12 + 4.4e-16 D in float64: positions are rounded to as much.

    Raises:
      LensingError: the shapes do not fit, numbers are masked, not real, not finite or beyond the
        precision, κ deflects so far that positions are rounded by more than 1e-3 pixel, or the side
        is no length in radians.
    """
    is_number = isinstance(side, numbers.Real) and not isinstance(side, bool)
    if not is_number or not _LEAST_SIDE <= side <= math.pi:
        degrees = is_number and math.pi < side <= 180
        hint = f"; {side:g} degrees are {math.radians(side):.6g}" if degrees else ""
        raise LensingError(
            f"lens: side is {side!r}, must be in radians, from {_LEAST_SIDE:g} to π{hint}"
        )
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
    channels = _within(dtype, first.reshape(math.prod(shape[:-2]), npix, npix, -1))
    with np.errstate(over="ignore", invalid="ignore"):  # of which the next lines speak
        convergence: NDArray[Any] = by.reshape(-1, npix, npix)
        mean = convergence.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
        kappa_modes = sky.to_modes((convergence - mean).astype(dtype))  # else a mean's rounding
        deflection = lensing.deflection_from_kappa(kappa_modes, sky)
    largest = max(float(np.abs(along).max()) for along in deflection) / sky.pixel
    bound = lensing.largest_resolved(dtype)
    if not largest <= bound:  # or it is NaN
        raise LensingError(
            f"lens: kappa deflects by up to {largest:.4g} pixels, must be at most {bound:.4g}, "
            f"beyond which {dtype.__name__} does not tell where in a pixel that is"
            + ("; float64 arrays may deflect further" if dtype is np.float32 else "")
        )
    lensed = [
        lensing.remap(sky.to_modes(np.ascontiguousarray(channel)), deflection, sky)
        for channel in np.moveaxis(channels, -1, 0)
    ]
    return np.stack(lensed, axis=-1).reshape(first.shape)


def _within(dtype: type[np.float32] | type[np.float64], maps: NDArray[Any]) -> NDArray[Any]:
    """Maps at a precision, which they neither overflow nor underflow when they are summed.

    Args:
      dtype: the precision.
      maps: shape (batch, npix, npix, channels).
    """
    with np.errstate(over="ignore", under="ignore"):
        cast = maps.astype(dtype)
    limits = np.finfo(dtype)
    least, most = float(limits.tiny / limits.eps), float(limits.max * limits.eps)
    scales = np.abs(cast).max(axis=(1, 2))
    beyond = scales[(scales != 0) & ~((least <= scales) & (scales <= most))]
    if beyond.size:
        raise LensingError(
            f"lens: maps are up to {beyond[0]:.4g}, must be from {least:.2g} to {most:.2g} in "
            f"{dtype.__name__}: give them in other units"
        )
    return cast


def _refuse_subclass(name: str, values: object) -> None:
    """Refuses arrays that are more than their numbers: of a mask, a unit, a geometry."""
    if isinstance(values, list | tuple):
        for value in values:
            _refuse_subclass(name, value)
    elif isinstance(values, np.ndarray) and type(values) not in (np.ndarray, np.memmap):
        kind = type(values)
        mend = (
            "fill what is masked (numpy.ma.filled) first"
            if isinstance(values, np.ma.MaskedArray)
            else "give numpy.asarray of it, if its numbers are all there is to it"
        )
        raise LensingError(
            f"lens: {name} is a {kind.__module__}.{kind.__name__}, of which only the numbers would "
            f"be lensed: {mend}"
        )


def _real(name: str, values: ArrayLike) -> NDArray[Any]:
    _refuse_subclass(name, values)
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise LensingError(f"lens: {name}: {error}") from error
    if array.dtype.kind not in "iuf":
        raise LensingError(f"lens: {name} must be real numbers, not {array.dtype}")
    if not np.isfinite(array).all():
        raise LensingError(f"lens: {name} has numbers that are not finite")
    return array
