"""What a telescope does to the sky: for now, white noise."""

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.flat_sky import FlatSky


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
