"""A telescope's effects on the sky: beam, pixels, noise, and the edges of a patch."""

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


def noise_power(
    ell: NDArray[np.floating], noise_uK_arcmin: float, l_knee: float = 0.0, slope: float = -3.0
) -> NDArray[np.float64]:
    """Returns the spectrum of a map's noise, N(l) = N [1 + (l / l_knee)^slope], µK² sr.

    Args:
      ell: multipoles, any shape.
      noise_uK_arcmin: depth of the white part, µK·arcmin: N is its square.
      l_knee: multipole at which both parts are equal; 0 is white noise.
      slope: power of l.

    Returns:
      The shape of `ell`; with a knee, zero at l = 0, where the power law has no end.
    """
    white = np.full(np.shape(ell), math.radians(noise_uK_arcmin / 60) ** 2)
    if l_knee == 0:
        return white
    safe = np.where(ell > 0, ell, np.inf)
    return np.where(ell > 0, white * (1 + (safe / l_knee) ** slope), 0.0)


def relative_noise_variance(sky: FlatSky, contrast: float) -> NDArray[np.float64]:
    """Returns how the variance of noise varies where a patch is seen less far from its middle.

    Proportional to 1 + (contrast − 1)(r / r_corner)², with r the distance of a pixel's centre from
    the middle and r_corner that of the patch's corners.

    Args:
      sky: the patch.
      contrast: variance at the corners over that in the middle.

    Returns:
      Shape (npix, npix), of mean 1.
    """
    offset = (np.arange(sky.npix) + 0.5) / sky.npix - 0.5
    squares = (offset[:, None] ** 2 + offset**2) / 0.5
    variance = 1 + (contrast - 1) * squares
    return np.asarray(variance / variance.mean())


def taper_window(sky: FlatSky, width_degrees: float, border: float = 0.0) -> NDArray[np.float64]:
    """Returns the window of a patch with cosine edges: 0 outside, 1 inside, sin² between.

    Along each axis w(d) = sin²(πd / 2·width), with d the distance of a pixel's centre from the
    inner end of the border, up to the width; the window is the product of both axes'.

    Args:
      sky: the patch.
      width_degrees: of the edge; 0 is no taper.
      border: width of the zeros along the patch's edge, degrees.

    Returns:
      Shape (npix, npix).
    """
    if width_degrees == 0 and border == 0:
        return np.ones((sky.npix, sky.npix))
    pixels = np.arange(sky.npix) + 0.5
    distance = np.minimum(pixels, pixels[::-1]) * sky.pixel - math.radians(border)
    if width_degrees == 0:
        edge = np.where(distance > 0, 1.0, 0.0)
    else:
        along = np.clip(distance / math.radians(width_degrees), 0, 1)
        edge = np.sin(np.pi / 2 * along) ** 2
    return edge[:, None] * edge


def cut_holes(mask: NDArray[np.floating], centres: NDArray[np.floating], radius: float) -> None:
    """Sets the pixels whose centres lie within discs to zero, in place.

    Args:
      mask: shape (npix, npix).
      centres: (y, x) of each disc in units of the patch's side, 0 to 1: shape (discs, 2). A disc
        that crosses an edge goes on at the opposite one.
      radius: in units of the patch's side, at most 1/2.
    """
    npix = len(mask)
    reach = int(radius * npix) + 1
    near = np.arange(-reach, reach + 1)
    for centre in np.asarray(centres, np.float64) * npix - 0.5:
        nearest = np.round(centre).astype(int)
        y, x = nearest[:, None] + near
        inside = (y - centre[0])[:, None] ** 2 + (x - centre[1]) ** 2 < (radius * npix) ** 2
        rows, columns = np.nonzero(inside)
        mask[y[rows] % npix, x[columns] % npix] = 0
