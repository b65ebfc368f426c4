"""The physical units of the maps, taken off before the network and put back after it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError

Maps = TypeVar("Maps", bound=Any)  # a NumPy array or a tensor: what goes in comes out


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation, per pixel, of each channel of the lensed maps and of κ.

    Networks see (map - mean) / std. With raw maps (hundreds of µK in, κ of a few percent out) the
    loss starts thousands of times above κ's variance, and nothing is learned from there. T has
    twenty times the standard deviation of Q and U: with one for all, a network would hardly see
    the polarization.

    Attributes:
      lensed_mean: µK, one a channel.
      lensed_std: µK, positive, one a channel.
      kappa_mean: dimensionless.
      kappa_std: dimensionless, positive.
    """

    lensed_mean: tuple[float, ...]
    lensed_std: tuple[float, ...]
    kappa_mean: float
    kappa_std: float

    def __post_init__(self) -> None:
        for name in ("lensed_mean", "lensed_std"):
            values = getattr(self, name)
            is_list = isinstance(values, list | tuple)
            if not is_list or not all(isinstance(x, float | int) for x in values):
                raise LensingError(f"{name} is {values!r}: must be one a channel")
            object.__setattr__(self, name, tuple(values))  # JSON has lists
        if not 1 <= len(self.lensed_mean) == len(self.lensed_std):
            raise LensingError(
                f"lensed_mean has {len(self.lensed_mean)} channels and lensed_std "
                f"{len(self.lensed_std)}: must have the same, at least one"
            )
        for name, value in dataclasses.asdict(self).items():
            for x in value if isinstance(value, tuple) else (value,):
                if not math.isfinite(x) or (name.endswith("_std") and x <= 0):
                    raise LensingError(
                        f"cannot standardise maps: {name} is {value}; is the data set all zeros "
                        "or NaN?"
                    )

    def scale_lensed(self, lensed: Maps) -> Maps:
        """µK -> what the network sees; any array type, of shape (..., channels).

        Raises:
          LensingError: the maps have another number of channels.
        """
        if lensed.shape[-1] != len(self.lensed_mean):  # broadcasting would invent channels
            raise LensingError(
                f"lensed maps have {lensed.shape[-1]} channels, the scaling "
                f"{len(self.lensed_mean)}: give the channels that the run was trained on"
            )
        # Of single precision, so that maps stay what they are.
        mean, std = (np.asarray(x, np.float32) for x in (self.lensed_mean, self.lensed_std))
        return (lensed - mean) / std

    def scale_kappa(self, kappa: Maps) -> Maps:
        """κ -> what the network is asked for; any array type."""
        return (kappa - self.kappa_mean) / self.kappa_std

    def unscale_kappa(self, kappa: Maps) -> Maps:
        """What the network says -> κ; any array type."""
        return kappa * self.kappa_std + self.kappa_mean


def measure_scaling(
    batches: Iterable[Mapping[str, np.ndarray]], channels: Sequence[str]
) -> Scaling:
    """Measures the scaling on a sample of maps, one batch in memory at a time.

    Q and U are the two components of one spin-2 field on an isotropic sky, which a turn of the
    axes mixes. So their mean is zero and their variances are equal; the scaling has it so exactly
    (measured ones would be the sample's: two standard deviations turn some E into B, and a mean is
    a direction on the sky that augmentation changes and validation does not). The mean of T is
    measured: it is nearly zero for the same reason, unless all examples lens one map.

    Args:
      batches: dicts of "lensed" (µK), of shape (..., channels), and "kappa" (dimensionless).
      channels: names of the channels of lensed, see `LensingConfig.channels`.

    Raises:
      LensingError: there is no map, or the maps are all constant or not finite.
    """
    lensed, kappa = _Moments(), _Moments()
    for batch in batches:
        lensed.add(batch["lensed"])
        kappa.add(batch["kappa"])
    if kappa.count == 0:
        raise LensingError("cannot standardise maps: the training split is empty")
    mean, square = lensed.means()
    polarized = np.array([name in ("Q", "U") for name in channels])
    if polarized.any():
        mean[polarized] = 0
        square[polarized] = square[polarized].mean()
    std = np.sqrt(np.maximum(square - mean**2, 0))
    (kappa_mean,), (kappa_square,) = kappa.means()
    return Scaling(
        tuple(mean.tolist()),
        tuple(std.tolist()),
        float(kappa_mean),
        math.sqrt(max(kappa_square - kappa_mean**2, 0)),
    )


class _Moments:
    """Means of maps and of their squares over all pixels, channel by channel."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: Any = 0.0

    def add(self, maps: NDArray) -> None:
        pixels = maps.reshape(-1, maps.shape[-1]).astype(np.float64)
        self.count += len(pixels)
        self._sums = self._sums + np.stack([pixels.sum(axis=0), np.sum(pixels**2, axis=0)])

    def means(self) -> NDArray[np.float64]:
        """Shape (2, channels): of the maps, and of their squares."""
        return self._sums / self.count
