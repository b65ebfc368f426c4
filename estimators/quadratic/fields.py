"""Maps of Stokes parameters -> the modes of T, E and B that the estimators take."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky import polarization
from lensing_tfds.sky.flat_sky import FlatSky


def fields_of(
    maps: NDArray[np.floating], channels: Sequence[str], sky: FlatSky
) -> dict[str, NDArray[np.complexfloating]]:
    """Returns the half planes of "T", or of "E" and "B", or of all three.

    Args:
      maps: (n, npix, npix, channels), µK.
      channels: what they are, "T", "Q", "U" in this order.
      sky: the patch.

    Returns:
      Shape (n, npix, npix // 2 + 1) each, of the maps' precision, µK.
    """
    modes = {
        name: sky.to_modes(np.ascontiguousarray(maps[..., i])) for i, name in enumerate(channels)
    }
    fields = {"T": modes["T"]} if "T" in modes else {}
    if "Q" in modes:
        fields["E"], fields["B"] = polarization.to_eb(modes["Q"], modes["U"], sky)
    return fields
