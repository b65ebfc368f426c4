"""Windows that a config's maps are seen through, and what random holes do to correlations."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.mask import OBSERVED, SIGNAL
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import instrument
from lensing_tfds.sky.flat_sky import FlatSky

Window = NDArray[np.float64]


class Windows:
    """The windows of a config's lensed signal, and of its noise, each of shape (npix, npix).

    Args:
      config: the version.
    """

    def __init__(self, config: LensingConfig):
        self._config = config
        self._taper = instrument.taper_window(config.sky, config.taper)
        self.border = np.ones_like(self._taper)
        if (mask := config.mask) is not None:
            self.border = instrument.taper_window(config.sky, mask.edge, mask.border)

    @functools.cached_property
    def signal(self) -> Window:
        """That of the signal, but for holes."""
        return np.asarray(self._taper * self.border)

    @functools.cached_property
    def noise(self) -> Window:
        """That of the noise, its varying rms included, but for holes."""
        window = self._taper * self.rms
        if self._config.mask is not None and self._config.mask.multiplies == OBSERVED:
            window = window * self.border
        return np.asarray(window)

    @functools.cached_property
    def rms(self) -> Window:
        """The rms of the noise in each pixel in units of the mean, before it is masked."""
        hits = self._config.hits
        contrast = 1.0 if hits is None else hits.contrast
        return np.sqrt(instrument.relative_noise_variance(self._config.sky, contrast))

    @functools.cached_property
    def only_noise(self) -> Window | None:
        """1 where the mask lets noise through alone, 0 elsewhere; None where it does nowhere."""
        mask = self._config.mask
        if mask is None or mask.multiplies != SIGNAL or not self._config.noise_uK_arcmin:
            return None
        hidden = (self.border == 0).astype(float)
        return hidden if hidden.any() else None

    @property
    def hidden_share(self) -> float:
        """The share of a map that one hole takes."""
        mask = self._config.mask
        if mask is None or not mask.holes:
            return 0.0
        return float(np.pi * (np.radians(mask.hole_radius_arcmin / 60) / self._config.side) ** 2)

    @property
    def seen_share(self) -> float:
        """The probability that a pixel is in no hole."""
        mask = self._config.mask
        return 1.0 if mask is None else (1 - self.hidden_share) ** mask.holes

    def seen(self, lags: NDArray[np.integer]) -> NDArray[np.float64]:
        """Returns the probability that neither of two pixels is in a hole.

        Each of n holes covers the one or the other with probability 2f − o(r), f its share of the
        map and o(r) that of what two of its discs at the pixels' distance r overlap in; and they
        are anywhere, independent of one another.

        Args:
          lags: distances of pixels along an axis, of all signs; the map is periodic for holes.

        Returns:
          Shape (len(lags), len(lags)).
        """
        mask, config = self._config.mask, self._config
        if mask is None or not mask.holes:
            return np.ones((len(lags), len(lags)))
        along = np.abs(lags) % config.npix
        along = np.minimum(along, config.npix - along)
        distance = np.hypot(along[:, None], along) / config.npix
        radius = np.radians(mask.hole_radius_arcmin / 60) / config.side
        half = np.clip(distance / (2 * radius), 0, 1)
        overlap = 2 * radius**2 * (np.arccos(half) - half * np.sqrt(1 - half**2))
        return np.asarray((1 - 2 * self.hidden_share + overlap) ** mask.holes)


SeenOf = Callable[[NDArray[np.integer]], NDArray[np.float64]]
"""Distances of pixels along an axis -> probability that holes leave both of two pixels."""


def windowed(
    power: NDArray[np.float64],
    box: FlatSky,
    patch: FlatSky,
    first: NDArray,
    second: NDArray,
    seen: SeenOf | None = None,
) -> NDArray[np.float64]:
    """Returns the expected power of the modes of a patch, cut from a box and multiplied by windows.

    Args:
      power: cross-power of two fields on the box, half plane of the box.
      box: the periodic box.
      patch: a part of it, with the same pixels.
      first: window of the one field, shape (npix, npix).
      second: window of the other.
      seen: what random holes leave of both, see `Windows.seen`.

    Returns:
      Half plane of the patch; the mean of Re(a₁ a₂*) times the patch's area.
    """
    npix = patch.npix
    correlation = box.to_map((power / box.area).astype(np.complex128))
    lags = np.fft.fftfreq(2 * npix, 1 / (2 * npix)).astype(int)
    padded = [np.fft.rfft2(window, (2 * npix, 2 * npix)) for window in (first, second)]
    overlaps = np.fft.irfft2(padded[0] * padded[1].conj(), (2 * npix, 2 * npix))
    product = correlation[np.ix_(lags % box.npix, lags % box.npix)] * overlaps
    if seen is not None:
        product *= seen(lags)
    folded = product.reshape(2, npix, 2, npix).sum(axis=(0, 2))
    return np.asarray(patch.to_modes(folded).real * (patch.area / npix**2), np.float64)
