"""A telescope's effects on the sky: beam, pixels, white noise, and the edge of a patch."""

import math

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.flat_sky import FlatSky, as_pairs

FWHM_PER_SIGMA = math.sqrt(8 * math.log(2))


def beam(ell: NDArray[np.floating], fwhm_arcmin: float) -> NDArray[np.floating]:
    """Returns the transfer function of a Gaussian beam, exp(−l²σ²/2), of maps, not of power.

    Args:
      ell: multipoles, any shape.
      fwhm_arcmin: full width at half maximum, arcmin; 0 is no beam.
    """
    sigma = math.radians(fwhm_arcmin / 60) / FWHM_PER_SIGMA
    return np.exp(-0.5 * (ell * sigma) ** 2)


def truncate(
    modes: NDArray[np.complexfloating], npix: int, factor: NDArray[np.floating] | None = None
) -> NDArray[np.complexfloating]:
    """Cuts fields in Fourier space to a coarser grid over the same side.

    At an even coarse grid's Nyquist frequency n a mode of the coarse grid stands for n and −n: it
    becomes (a(n) + a(−n))/√2, where each of the two has half the power of the sum of both. So every
    mode of the coarse grid has the power of the field, as it has in `GaussianField`. (Plain
    sampling would give these modes twice the power, an average half of it.)

    Args:
      modes: half planes of a fine grid, shape (..., fine, fine // 2 + 1), or those of their columns
        that the coarse grid has.
      npix: pixels on a side of the coarse grid, less than fine.
      factor: what the coarse grid's modes are multiplied by on the way, the same at (l_y, l_x) and
        (-l_y, l_x), e.g. a beam: as `flat_sky.pairs_of` gives it.

    Returns:
      Half planes of the coarse grid, shape (..., npix, npix // 2 + 1), same dtype.
    """
    half, upper = npix // 2, (npix + 1) // 2
    cut = np.empty((*modes.shape[:-2], npix, half + 1), modes.dtype)
    fine, coarse = as_pairs(modes)[..., : 2 * (half + 1)], as_pairs(cut)
    one = np.ones(1, fine.dtype)
    upper_factor, lower_factor = (one, one) if factor is None else (factor[:upper], factor[upper:])
    np.multiply(fine[..., :upper, :], upper_factor, out=coarse[..., :upper, :])
    np.multiply(fine[..., -half:, :], lower_factor, out=coarse[..., upper:, :])
    if npix % 2 == 0:
        scale = modes.dtype.type(math.sqrt(0.5))
        coarse[..., half, :] += fine[..., half, :] * lower_factor[0]
        cut[..., half, :] *= scale
        # a(l_y, −n) = a(−l_y, n)*, of which the cut's rows, in reverse, hold the right-hand side.
        column = cut[..., half]
        column += np.roll(column[..., ::-1], 1, axis=-1).conj()
        column *= scale
    return cut


def truncate_adjoint(
    modes: NDArray[np.complexfloating], npix: int, factor: NDArray[np.floating] | None = None
) -> NDArray[np.complexfloating]:
    """Applies the adjoint of `truncate`: modes of a coarse grid become modes of a finer one.

    <truncate(a), c> = <a, truncate_adjoint(c)> for the modes of all real maps, with the sum over
    the whole plane of the product of modes.

    Args:
      modes: half planes of real maps on a coarse grid, shape (..., coarse, coarse // 2 + 1).
      npix: pixels on a side of the fine grid, more than coarse.
      factor: as of `truncate`.

    Returns:
      Half planes of the fine grid, shape (..., npix, npix // 2 + 1), same dtype.
    """
    coarse = modes.shape[-2]
    half, upper = coarse // 2, (coarse + 1) // 2
    if factor is not None:
        modes = (as_pairs(modes) * factor).view(modes.dtype)
    fine = np.zeros((*modes.shape[:-2], npix, npix // 2 + 1), modes.dtype)
    fine[..., :upper, : half + 1] = modes[..., :upper, :]
    fine[..., -half:, : half + 1] = modes[..., upper:, :]
    if coarse % 2 == 0:
        scale = modes.dtype.type(math.sqrt(0.5))
        fine[..., -half, : half + 1] *= scale
        fine[..., half, : half + 1] = fine[..., -half, : half + 1]
        fine[..., half] *= scale
    return fine


def channel_noise(noise_uK_arcmin: float, channel: str) -> float:
    """Returns the depth of a channel, µK·arcmin, from that of the temperature.

    A detector pair that measures T by its sum measures Q or U by its difference, half of the time
    each: √2 times the noise.
    """
    return noise_uK_arcmin if channel == "T" else math.sqrt(2) * noise_uK_arcmin


def white_noise_rms(noise_uK_arcmin: float, sky: FlatSky) -> float:
    """Returns the rms per pixel, µK, of white noise of a given depth, µK·arcmin."""
    return noise_uK_arcmin / (np.degrees(sky.pixel) * 60)


def add_white_noise(
    maps: NDArray[np.floating], normals: NDArray[np.floating], noise_uK_arcmin: float, sky: FlatSky
) -> None:
    """Adds white noise to maps, in place.

    Args:
      maps: µK, shape (batch, npix, npix).
      normals: standard normal numbers of the same shape; overwritten.
      noise_uK_arcmin: depth of the noise, µK·arcmin.
      sky: the patch.
    """
    normals *= maps.dtype.type(white_noise_rms(noise_uK_arcmin, sky))
    maps += normals


def taper_window(sky: FlatSky, width_degrees: float) -> NDArray[np.float64]:
    """Returns the window of a patch with cosine edges: 0 outside, 1 inside, sin² between.

    Along each axis w(d) = sin²(πd / 2·width), with d the distance of a pixel's centre from the
    patch's edge, up to the width; the window is the product of both axes'.

    Args:
      sky: the patch.
      width_degrees: of the edge; 0 is no taper.

    Returns:
      Shape (npix, npix).
    """
    if width_degrees == 0:
        return np.ones((sky.npix, sky.npix))
    pixels = np.arange(sky.npix) + 0.5
    distance = np.minimum(pixels, pixels[::-1]) * sky.pixel
    edge = np.sin(np.pi / 2 * np.minimum(distance / math.radians(width_degrees), 1)) ** 2
    return edge[:, None] * edge
