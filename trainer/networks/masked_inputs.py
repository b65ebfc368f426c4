"""Masks as channels beside masked maps: the mask, and the mask over the noise's rms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from estimators.filtering.masked_patch import MaskedPatch
from lensing_tfds.config_fields.mask import SIGNAL as OF_SIGNAL
from lensing_tfds.task import Task
from trainer.networks.filter_layers import MASK, SIGNAL, SeenMaps
from trainer.networks.scaling import Scaling


def seen_maps(
    standardised: Any, task: Task, scaling: Scaling, patch: MaskedPatch, has_holes: bool
) -> Mapping[str, Any]:
    """Returns what `SeenMaps` makes of maps.

    Args:
      standardised: maps, as networks see them.
      task: what goes in and what comes out.
      scaling: that the maps are standardised by.
      patch: mask and noise.
      has_holes: whether each map's own are read off it.
    """
    in_uk = keras.layers.Rescaling(
        list(scaling.input_std), list(scaling.input_mean), dtype="float32"
    )
    hole_std = scaling.input_std if has_holes else ()
    seen: Mapping[str, Any] = SeenMaps.of(patch, task.inputs.channels, hole_std)(
        in_uk(standardised)
    )
    return seen


def mask_channels(seen: Mapping[str, Any], task: Task) -> list[Any]:
    """Returns the mask, and what the sky is multiplied by in maps of even noise.

    The latter is the mask, or 1 within it, over the noise's rms.

    Args:
      seen: as `SeenMaps` gives it.
      task: what goes in and what comes out.

    Returns:
      Two maps, (n, npix, npix, 1) float32.
    """
    as_channel = keras.layers.Reshape(task.label_shape, dtype="float32")
    return [as_channel(seen[name]) for name in (MASK, SIGNAL)]


def masked_inputs(standardised: Any, task: Task, scaling: Scaling) -> tuple[Any, list[Any]]:
    """Returns maps without what lies outside the mask, and their `mask_channels`.

    Noise that is not masked with the signal is multiplied by the mask here. Holes beneath such
    noise cannot be seen: the mask is then that without holes.

    Args:
      standardised: maps, as networks see them.
      task: whose config `masked_patch.is_filtered`.
      scaling: that the maps are standardised by.

    Raises:
      LensingError: as of `MaskedPatch.of`.
    """
    patch, mask = MaskedPatch.of(task.lensing), task.lensing.mask
    has_holes = mask is not None and mask.holes > 0 and mask.multiplies != OF_SIGNAL
    channels = mask_channels(seen_maps(standardised, task, scaling, patch, has_holes), task)
    if patch.masked == "signal":
        standardised = keras.layers.Multiply(dtype="float32")([standardised, channels[0]])
    return standardised, channels
