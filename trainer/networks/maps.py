"""Arrays that a network would take for maps without a word, though they are none."""

from __future__ import annotations

from typing import Any

import numpy as np

from lensing_tfds.errors import LensingError


def refuse_unreal(maps: Any) -> None:
    """Refuses maps of which NumPy or Keras would drop a part: a mask, imaginary parts.

    Args:
      maps: an array or a tensor of any library.

    Raises:
      LensingError: they are masked or complex.
    """
    if isinstance(maps, np.ma.MaskedArray):
        raise LensingError(
            "maps are a masked array, and the network takes every pixel for data: give it an "
            "ndarray, its masked pixels filled as the training maps' are"
        )
    if "complex" in str(getattr(maps, "dtype", "")):
        raise LensingError(f"maps are of type {maps.dtype}: the network takes real numbers, µK")
