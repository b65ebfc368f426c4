"""Checks of the maps that a network is given: from wrong ones it would estimate κ all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.mask import SIGNAL
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task


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


def refuse_misshapen(maps: Any, task: Task) -> None:
    """Refuses maps of other pixels or channels than a network's, or without an axis of examples.

    Keras refuses some of them in words of its own, and takes others once it has seen two shapes.

    Args:
      maps: an array or a tensor of any library; what has no shape is left to Keras.
      task: of the network.

    Raises:
      LensingError: they have another shape.
    """
    shape = getattr(maps, "shape", None)
    if shape is None or getattr(shape, "rank", 4) is None:  # not known yet
        return
    pairs = zip(shape[1:], task.input_shape, strict=False)
    if len(shape) != 4 or any(side not in (None, wanted) for side, wanted in pairs):
        wanted = ", ".join(map(str, task.input_shape))
        raise LensingError(
            f"maps have shape {tuple(shape)}: the network takes (n, {wanted}), of "
            f"{', '.join(task.inputs.channels)}"
        )


def refuse_hidden_holes(lensing: LensingConfig) -> None:
    """Refuses a config with holes that its maps do not show.

    Raises:
      LensingError: so it is.
    """
    mask = lensing.mask
    if mask is not None and mask.holes and mask.multiplies == SIGNAL:
        raise LensingError(
            f"the signal of lensing/{lensing.name} has holes, each map's in other places, under "
            "noise: a network that filters cannot see where; use a mask that multiplies "
            '"observed", or another --model'
        )


def checked_maps(maps: np.ndarray, task: Task) -> NDArray[np.float32]:
    """Returns maps as a network takes them; it would give an estimate of bad ones all the same.

    Args:
      maps: (n, *task.input_shape), µK.
      task: of the network.

    Returns:
      The same, float32.

    Raises:
      LensingError: they have another shape, are masked, not real, or not finite everywhere.
    """
    refuse_unreal(maps)
    maps = np.asarray(maps)
    refuse_misshapen(maps, task)
    if maps.dtype.kind not in "fiu":
        raise LensingError(f"maps are of type {maps.dtype}: the network takes real numbers, µK")
    maps = maps.astype(np.float32, copy=False)
    bad = ~np.isfinite(maps).all(axis=(1, 2, 3))
    if bad.any():
        raise LensingError(
            f"map {np.argmax(bad)} of {len(maps)} is not finite (NaN or infinite) everywhere: "
            "there is no estimate from it"
        )
    return maps
