"""The correction that `qe_unet` and `unrolled` add to κ: gains that are trained, and a U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from estimators.iterated.iterated_estimator import Stage, rings_of
from lensing_tfds.task import Task
from trainer.networks.statistics import fields
from trainer.networks.unet import UNet

if TYPE_CHECKING:
    from trainer.networks.modes import Modes


def correction(
    unet: UNet,
    features: Sequence[Modes],
    stage: Stage,
    estimate: Any,
    whitened: Any,
    task: Task,
    seed: int,
) -> Any:
    """Adds the layers of a correction, which is zero before the first step.

    The U-Net sees each feature filtered by itself, the estimate and the whitened maps.

    Args:
      unet: its size.
      features: that the estimate combines.
      stage: which filters them.
      estimate: its map, standardised, (n, npix, npix, 1).
      whitened: the maps as `whitening` gives them.
      task: what goes in and what comes out.
      seed: of the initial weights.

    Returns:
      A map to be added to the standardised estimate, float32.
    """
    import keras

    from trainer.networks.feature_layers import FilteredFeatures

    filtered, trained = FilteredFeatures.of(task.lensing.sky, stage.filters)(features)
    maps = keras.layers.Concatenate()([filtered, estimate, whitened])
    return keras.layers.Add(dtype="float32")([trained, unet.of_maps(maps, task, seed)])


def correction_counts(unet: UNet, task: Task, features: int) -> tuple[int, list[int]]:
    """Counts what `correction` adds; as `UNet.counts`."""
    parameters, outputs = unet.counts(task, features + 1 + 2 * len(fields(task)))
    pixels, rings = task.npix**2, rings_of(task.lensing.sky).num
    return parameters + features * rings, [pixels * (features + 1), *outputs, pixels]
