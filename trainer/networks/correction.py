"""The correction that `qe_unet` and `unrolled` add to κ: gains that are trained, and a U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from estimators.filtering.masked_patch import is_filtered
from estimators.iterated.iterated_estimator import Stage, rings_of
from lensing_tfds.task import Task
from trainer.networks.statistics import fields
from trainer.networks.unet import UNet

if TYPE_CHECKING:
    from trainer.networks.modes import Modes
    from trainer.networks.stages import Fields


def correction(
    unet: UNet,
    features: Sequence[Modes],
    stage: Stage,
    estimate: Any,
    whitened: Any,
    observed: Fields,
    task: Task,
    seed: int,
) -> Any:
    """Adds the layers of a correction, which is zero before the first step.

    The U-Net sees each feature filtered by itself, the estimate and the whitened maps; of filtered
    maps also the mask, which its own correction is multiplied by, and what the sky is multiplied by
    in maps of even noise: the mask, or 1 within it, over the noise's rms.

    Args:
      unet: its size.
      features: that the estimate combines.
      stage: which filters them.
      estimate: its map, standardised, (n, npix, npix, 1).
      whitened: the maps as `whitening` gives them.
      observed: as of `stages.observed_fields`.
      task: what goes in and what comes out.
      seed: of the initial weights.

    Returns:
      A map to be added to the standardised estimate, float32.
    """
    import keras

    from trainer.networks.feature_layers import FilteredFeatures
    from trainer.networks.masked_inputs import mask_channels

    filtered, trained = FilteredFeatures.of(task.lensing.sky, stage.filters)(features)
    maps = [filtered, estimate, whitened]
    masks = mask_channels(observed, task) if is_filtered(task.lensing) else []
    added = unet.of_maps(keras.layers.Concatenate()([*maps, *masks]), task, seed)
    if masks:
        added = keras.layers.Multiply(dtype="float32")([masks[0], added])
    return keras.layers.Add(dtype="float32")([trained, added])


def correction_counts(unet: UNet, task: Task, features: int) -> tuple[int, list[int]]:
    """Counts what `correction` adds; as `UNet.counts`."""
    seen = 2 * is_filtered(task.lensing)
    parameters, outputs = unet.counts(task, features + 1 + 2 * len(fields(task)) + seen)
    pixels, rings = task.npix**2, rings_of(task.lensing.sky).num
    if seen:
        outputs.append(pixels)
    return parameters + features * rings, [pixels * (features + 1), *outputs, pixels]
