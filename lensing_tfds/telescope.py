"""Lensed maps -> maps as a telescope sees them: masked, in splits of noise, with edges."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from lensing_tfds import field_numbers
from lensing_tfds.config_fields.hits import NOISE_VARIANCE
from lensing_tfds.config_fields.mask import MASK, OBSERVED, SIGNAL
from lensing_tfds.configs import SPLIT_MAPS, LensingConfig
from lensing_tfds.sky import instrument
from lensing_tfds.sky.gaussian_fields import GaussianField

Maps = NDArray[np.float32]


class Stream(Protocol):
    """Standard normal numbers by address, as `random_numbers.NormalStream`."""

    def fill(self, indices: Sequence[int], field: int, normals: Maps) -> None:
        """Fills a row for each index."""


class Telescope:
    """Adds a config's noise to lensed maps, and applies its mask and its taper.

    Args:
      config: the version.
      stream: of the examples' random numbers.
    """

    def __init__(self, config: LensingConfig, stream: Stream):
        self._config = config
        self._stream = stream
        self._coloured = {
            channel: GaussianField(config.noise_power(channel, config.sky.ell) / config.sky.area)
            for channel in config.channels
            if config.one_over_f is not None and config.one_over_f.knee(channel) > 0
        }
        self._relative_rms = None
        if config.hits is not None:
            variance = instrument.relative_noise_variance(config.sky, config.hits.contrast)
            self._relative_rms = np.sqrt(variance).astype(np.float32)
        self._taper = instrument.taper_window(config.sky, config.taper).astype(np.float32)

    @property
    def normals_needed(self) -> int:
        """Normal numbers that an example's noise takes at once."""
        sizes = [field.size for field in self._coloured.values()]
        return max([self._config.npix**2, *sizes])

    def observe(
        self,
        indices: Sequence[int],
        lensed: Maps,
        normals: Maps,
        look: int = 0,
        masks: Maps | None = None,
    ) -> dict[str, NDArray[np.float32]]:
        """Observes a block's lensed maps, in place.

        Args:
          indices: of the examples.
          lensed: µK, with the beam, shape (channels, batch, npix, npix).
          normals: room for random numbers, at least batch x `normals_needed`; overwritten.
          look: another look at the same sky has other noise.
          masks: the examples', shape (batch, npix, npix), if they are known; else drawn.

        Returns:
          The features that came of it, each of shape (batch, npix, npix, channels).
        """
        config = self._config
        if masks is None and config.mask is not None:
            masks = self.masks(indices)
        multiplies = None if config.mask is None else config.mask.multiplies
        if masks is not None and multiplies == SIGNAL:
            lensed *= masks
        if config.splits == 1:
            self._add_noise(indices, lensed, normals, look, 0)
            splits = lensed[None]
        else:
            splits = np.repeat(lensed[None], config.splits, axis=0)
            for number, maps in enumerate(splits):
                self._add_noise(indices, maps, normals, look, number)
        if masks is not None and multiplies == OBSERVED:
            splits *= masks
        if config.taper > 0:
            splits *= self._taper
        features = {}
        if config.splits > 1:
            np.mean(splits, axis=0, out=lensed)
            features[SPLIT_MAPS] = np.ascontiguousarray(
                np.moveaxis(splits.reshape(-1, *lensed.shape[1:]), 0, -1)
            )
        if masks is not None:
            features[MASK] = masks[..., None]
        if self._relative_rms is not None:
            variance = np.broadcast_to(self.noise_variance(), lensed.shape[1:])
            features[NOISE_VARIANCE] = np.ascontiguousarray(variance)[..., None]
        return features

    def masks(self, indices: Sequence[int]) -> Maps:
        """Returns the examples' masks, (batch, npix, npix) float32; the config must have one."""
        config, mask = self._config, self._config.mask
        assert mask is not None
        window = instrument.taper_window(config.sky, mask.edge, mask.border).astype(np.float32)
        masks = np.repeat(window[None], len(indices), axis=0)
        if mask.holes:
            normals = np.empty((len(indices), 2 * mask.holes), np.float32)
            self._stream.fill(indices, field_numbers.HOLES, normals)
            radius = np.radians(mask.hole_radius_arcmin / 60) / config.side
            for window, numbers in zip(masks, normals, strict=True):
                instrument.cut_holes(window, ndtr(numbers.astype(float)).reshape(-1, 2), radius)
        return masks

    def noise_variance(self) -> Maps:
        """Returns the variance of the first channel's white noise, µK², (npix, npix) float32."""
        config = self._config
        depth = instrument.channel_noise(config.noise_uK_arcmin, config.channels[0])
        rms = instrument.white_noise_rms(depth, config.sky)
        relative = 1.0 if self._relative_rms is None else self._relative_rms.astype(float) ** 2
        return np.full((config.npix, config.npix), rms**2 * relative, np.float32)

    def _add_noise(
        self, indices: Sequence[int], lensed: Maps, normals: Maps, look: int, split: int
    ) -> None:
        """Adds noise to the maps of a split, (channels, batch, npix, npix), in place."""
        config = self._config
        if config.noise_uK_arcmin == 0:
            return
        for channel, maps in zip(config.channels, lensed, strict=True):
            coloured = self._coloured.get(channel)
            size = config.npix**2 if coloured is None else coloured.size
            numbers = normals.ravel()[: len(indices) * size].reshape(len(indices), size)
            self._stream.fill(indices, field_numbers.noise(channel, look, split), numbers)
            if coloured is None:
                depth = instrument.channel_noise(config.noise_uK_arcmin, channel)
                numbers *= np.float32(instrument.white_noise_rms(depth, config.sky))
                noise = numbers.reshape(maps.shape)
            else:
                noise = config.sky.to_map(coloured.modes(numbers))
            if self._relative_rms is not None:
                noise *= self._relative_rms
            if config.splits > 1:
                noise *= np.float32(np.sqrt(config.splits))
            maps += noise
