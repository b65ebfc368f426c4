"""Means and standard deviations of a dataset's maps, by which networks see them standardised."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation, per pixel, of each channel of the inputs and of the labels.

    Networks see (map - mean) / std. With raw maps (hundreds of µK in, κ of a few percent out) the
    loss starts thousands of times above κ's variance, and nothing is learned from there. T has
    twenty times the standard deviation of Q and U: with one for all, a network would hardly see
    the polarization.

    Attributes:
      input_mean: µK, one a channel.
      input_std: µK, positive, one a channel.
      label_mean: dimensionless, one a channel.
      label_std: dimensionless, positive, one a channel.
    """

    input_mean: tuple[float, ...]
    input_std: tuple[float, ...]
    label_mean: tuple[float, ...]
    label_std: tuple[float, ...]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            values = getattr(self, field.name)
            is_list = isinstance(values, list | tuple)
            if not is_list or not all(isinstance(x, float | int) for x in values):
                raise LensingError(f"{field.name} is {values!r}: must be one a channel")
            values = tuple(values)
            object.__setattr__(self, field.name, values)  # JSON has lists
            for x in values:
                if not math.isfinite(x) or (field.name.endswith("_std") and x <= 0):
                    raise LensingError(
                        f"cannot standardise maps: {field.name} is {values}; is the data set all "
                        "zeros or NaN?"
                    )
        for maps in ("input", "label"):
            means, stds = (getattr(self, f"{maps}_{moment}") for moment in ("mean", "std"))
            if not 1 <= len(means) == len(stds):
                raise LensingError(
                    f"{maps}_mean has {len(means)} channels and {maps}_std {len(stds)}: must have "
                    "the same, at least one"
                )


def measure_scaling(batches: Iterable[Mapping[str, NDArray]], task: Task) -> Scaling:
    """Measures means and standard deviations over all pixels of some examples.

    Q and U are standardised by one standard deviation and no mean. A rotation by 45 degrees turns
    one into the other, so that on an isotropic sky both have the same, and no mean
    (measured ones would be the sample's: two standard deviations turn some E into B, and a mean is
    a direction on the sky that augmentation changes and validation does not). The mean of T is
    measured: it is nearly zero for the same reason, unless all examples lens one map.

    Args:
      batches: dicts of the task's maps, each of shape (..., channels).
      task: what goes in and what comes out.

    Raises:
      LensingError: there is no map, or the maps are all constant or not finite.
    """
    inputs, labels = _Moments(), _Moments()
    for batch in batches:
        inputs.add(batch[task.inputs.name])
        labels.add(batch[task.labels.name])
    if inputs.count == 0:
        raise LensingError("cannot standardise maps: the training split is empty")
    mean, square = inputs.means()
    polarized = np.array(task.inputs.spins) == 2
    if polarized.any():
        mean[polarized] = 0
        square[polarized] = square[polarized].mean()
    label_mean, label_square = labels.means()
    return Scaling(
        tuple(mean.tolist()),
        tuple(_std(mean, square).tolist()),
        tuple(label_mean.tolist()),
        tuple(_std(label_mean, label_square).tolist()),
    )


def _std(mean: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # infinite maps: `Scaling` refuses them
        return np.sqrt(np.maximum(square - mean**2, 0))


class _Moments:
    """Means of maps and of their squares over all pixels, channel by channel."""

    def __init__(self) -> None:
        self.count = 0
        self._sums = np.zeros(())

    def add(self, maps: NDArray) -> None:
        pixels = maps.reshape(-1, maps.shape[-1]).astype(np.float64)
        self.count += len(pixels)
        self._sums = self._sums + np.stack([pixels.sum(axis=0), np.sum(pixels**2, axis=0)])

    def means(self) -> NDArray[np.float64]:
        """Shape (2, channels): of the maps, and of their squares."""
        return self._sums / self.count
