"""Regions of a patch that differ in noise, in each of which estimates are judged once more."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.filtering.masked_patch import relative_variance

NAMES = ("deep", "middle", "shallow")


@dataclasses.dataclass(frozen=True, eq=False)
class Region:
    """A part of a patch.

    Attributes:
      name: one of `NAMES`.
      noise: rms of its noise over that of the whole patch.
      window: (npix, npix) float64, what maps are multiplied by where it is judged. The squares of
        all regions' windows add up to that of the patch's.
    """

    name: str
    noise: float
    window: NDArray[np.float64]

    @property
    def share(self) -> float:
        """The share of the map that counts: the mean of the squared window."""
        return float(np.mean(self.window**2))


def regions_of(ensemble: SkyEnsemble) -> tuple[Region, ...]:
    """Returns a patch's regions, of the least noise first; none where all has the same.

    Pixels are ordered by noise. The squared windows are cos²(πu), sin²(πu) and cos²(πu) over that
    order, u from 0 to 1, of the first half, all and the last half: smooth wherever the noise is, so
    that multipoles are not mixed by edges.

    Args:
      ensemble: what the skies are drawn from.

    Raises:
      LensingError: the mask has no inside.
    """
    variance = relative_variance(ensemble.config)
    if variance is None:
        return ()
    window = np.ones(variance.shape) if ensemble.window is None else ensemble.window
    weight = window**2
    values, places = np.unique(variance, return_inverse=True)  # equal noise is at one place
    counts = np.bincount(places.ravel(), weight.ravel(), len(values))
    if np.count_nonzero(counts) == 1:
        return ()
    place = ((np.cumsum(counts) - counts / 2) / counts.sum())[places].reshape(weight.shape)
    wave = np.cos(np.pi * place)
    amplitudes = (np.maximum(wave, 0.0), np.sin(np.pi * place), np.maximum(-wave, 0.0))
    return tuple(
        Region(
            name,
            float(np.sqrt(np.average(variance, weights=(window * amplitude) ** 2))),
            window * amplitude,
        )
        for name, amplitude in zip(NAMES, amplitudes, strict=True)
    )
