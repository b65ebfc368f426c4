"""The physical units of the maps, taken off before the network and put back after it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from lensing_tfds.configs import LensingError

Maps = TypeVar("Maps", bound=Any)  # a NumPy array or a tensor: what goes in comes out


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation, per pixel, of the lensed maps and of κ.

    Networks see (map - mean) / std. With raw maps (hundreds of µK in, κ of a few percent out) the
    loss starts thousands of times above κ's variance, and nothing is learned from there.

    Attributes:
      lensed_mean: µK.
      lensed_std: µK, positive.
      kappa_mean: dimensionless.
      kappa_std: dimensionless, positive.
    """

    lensed_mean: float
    lensed_std: float
    kappa_mean: float
    kappa_std: float

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not math.isfinite(value) or (name.endswith("_std") and value <= 0):
                raise LensingError(
                    f"cannot standardise maps: {name} is {value}; is the data set all zeros or NaN?"
                )

    def scale_lensed(self, lensed: Maps) -> Maps:
        """µK -> what the network sees; any array type."""
        return (lensed - self.lensed_mean) / self.lensed_std

    def scale_kappa(self, kappa: Maps) -> Maps:
        """κ -> what the network is asked for; any array type."""
        return (kappa - self.kappa_mean) / self.kappa_std

    def unscale_kappa(self, kappa: Maps) -> Maps:
        """What the network says -> κ; any array type."""
        return kappa * self.kappa_std + self.kappa_mean


def measure_scaling(batches: Iterable[Mapping[str, np.ndarray]]) -> Scaling:
    """Measures the scaling on a sample of maps, one batch in memory at a time.

    Args:
      batches: dicts of "lensed" (µK) and "kappa" (dimensionless) arrays of any shape.

    Raises:
      LensingError: there is no map, or the maps are all constant or not finite.
    """
    count = 0
    sums = np.zeros((2, 2))  # (lensed, kappa) x (sum, sum of squares)
    for batch in batches:
        count += batch["kappa"].size
        for row, maps in zip(sums, (batch["lensed"], batch["kappa"]), strict=True):
            maps = maps.astype(np.float64)
            # The lensed maps may have more channels than κ: scaled to the same count.
            row += np.array([maps.mean(), np.mean(maps**2)]) * batch["kappa"].size
    if count == 0:
        raise LensingError("cannot standardise maps: the training split is empty")
    means, squares = (sums / count).T
    stds = np.sqrt(np.maximum(squares - means**2, 0))
    return Scaling(*(float(x) for x in (means[0], stds[0], means[1], stds[1])))
