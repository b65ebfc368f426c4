"""Mask and uneven noise: all that stands between the sky and maps of a patch with edges.

Maps of a field f, that is T or Q or U, with beam b, are

    d = m (b f) + σ n     (the signal is masked), or    d = m (b f + σ n)     (the maps are),

m the mask, from 0 to 1, n noise of spectrum N_l, which need not be white, and σ² its variance in
units of N_l, pixel by pixel. Both are A (b f) + noise once the second is divided by m where it is
not zero: with A = m in the first case, 1 in the second.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from estimators.quadratic.measured import MeasuredObservation, weighed
from estimators.quadratic.observation import Observation
from lensing_tfds import realism
from lensing_tfds.config_fields.mask import SIGNAL
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import instrument
from lensing_tfds.sky.flat_sky import FlatSky

_LEAST = 1e-3  # of the mask, where maps that are masked with their noise still say something
_INSIDE = 0.5  # of the mask

INSIDE = 0.5
"""Of an interior window: from which on a pixel is inside."""

_HOLE_DEGREES = 0.25  # radius of a hole across which κ is estimated from its surroundings
_EDGE_DEGREES = 0.6  # over which an interior window rises

SPECTRUM_OF = {"T": "T", "Q": "P", "U": "P"}
"""The noise spectrum that a Stokes parameter has: that of T, or of polarization."""


def is_masked(config: LensingConfig) -> bool:
    """Says whether a config's maps have a mask or a taper."""
    return config.mask is not None or config.taper > 0


def is_filtered(config: LensingConfig) -> bool:
    """Says whether maps are masked, and theory describes them but for that.

    Their estimators then filter by mask and noise. Exaggerated, aliased or cut skies, or maps
    without noise, have no such filter; nor has a patch that is cut out of a larger one, unless a
    border hides where it ends: the filter takes opposite edges for neighbours.
    """
    has_border = config.mask is not None and config.mask.border > 0
    return is_masked(config) and can_be_filtered(config) and (config.padding == 1 or has_border)


def can_be_filtered(config: LensingConfig) -> bool:
    """Says whether theory describes the maps of a config but for a mask."""
    return (
        config.noise_uK_arcmin > 0
        and config.kappa_exaggeration_factor == 1
        and not (config.fixed_unlensed or realism.is_cut(config) or realism.is_aliased(config))
    )


def window_of(config: LensingConfig) -> NDArray[np.float64]:
    """Returns a config's mask and taper, (npix, npix), 0 to 1, without holes."""
    window = instrument.taper_window(config.sky, config.taper)
    if config.mask is not None:
        window = window * instrument.taper_window(config.sky, config.mask.edge, config.mask.border)
    return window


def interior_of(config: LensingConfig) -> NDArray[np.float64] | None:
    """Returns the window in which estimates of a config's κ are judged; None without a mask.

    Raises:
      LensingError: the mask has no inside.
    """
    return interior_window(window_of(config), config.sky) if is_masked(config) else None


class Seen(NamedTuple):
    """Factors of pixels, each (npix, npix), or (n, npix, npix) where maps have their own masks.

    Attributes:
      signal: A / σ: of the sky in weighted maps.
      data: of observed maps, to be weighted: 1 / σ, and by the mask.
    """

    signal: NDArray[np.floating]
    data: NDArray[np.floating]


@dataclasses.dataclass(frozen=True, eq=False)
class MaskedPatch:
    """A patch, its mask, and its noise.

    Attributes:
      sky: the patch.
      mask: (npix, npix), 0 to 1: of all maps but those that have their own, which differ from it by
        small holes.
      noise: "T", "P" (those observed) to N_l of T, of Q and U, half planes, µK² steradian, above
        zero.
      variance: (npix, npix), of the noise in units of N_l: above zero, infinite where nothing was
        measured. None is 1.
      masked: "signal" if the noise is in the map whole, "maps" if it is masked too.

    Raises:
      LensingError: mask, variance or noise have another shape or impossible values, or nothing is
        left of the patch.
    """

    sky: FlatSky
    mask: NDArray[np.floating]
    noise: Mapping[str, NDArray[np.floating]]
    variance: NDArray[np.floating] | None = None
    masked: Literal["signal", "maps"] = "signal"

    def __post_init__(self) -> None:
        shape = (self.sky.npix, self.sky.npix)
        mask = checked_mask(self.mask, self.sky)
        if self.variance is not None:
            variance = np.asarray(self.variance, np.float64)
            if variance.shape != shape:
                raise LensingError(
                    f"the noise variance has shape {variance.shape}: must be that of the maps, "
                    f"{shape}"
                )
            if not np.all(variance > 0):
                raise LensingError(
                    f"the noise variance is {variance[~(variance > 0)][0]:g} in a pixel: must be "
                    "above zero, and infinite where nothing was measured"
                )
            object.__setattr__(self, "variance", variance)
        for name, spectrum in self.noise.items():
            if name not in ("T", "P"):
                raise LensingError(f"noise of {name!r}: must be of 'T' or of 'P'")
            if np.shape(spectrum) != self.sky.ell.shape:
                raise LensingError(
                    f"the noise spectrum of {name} has shape {np.shape(spectrum)}: must be a half "
                    f"plane, {self.sky.ell.shape}"
                )
            if not np.all((spectrum > 0) & np.isfinite(spectrum)):
                raise LensingError(f"the noise spectrum of {name} must be finite and above zero")
        if self.masked not in ("signal", "maps"):
            raise LensingError(f"masked is {self.masked!r}: must be 'signal' or 'maps'")
        object.__setattr__(self, "mask", mask)
        if not np.any(self.seen().signal > 0):
            raise LensingError("mask and noise variance leave no pixel: nothing was observed")

    def seen(self, masks: NDArray[np.floating] | None = None) -> Seen:
        """Returns what multiplies signal and data.

        Args:
          masks: (n, npix, npix), of maps that have their own; None is the patch's.
        """
        mask = self.mask if masks is None else masks
        inverse = 1.0 if self.variance is None else 1 / np.sqrt(self.variance)
        if self.masked == "signal":
            return Seen(mask * inverse, np.broadcast_to(inverse, mask.shape))
        weight = np.where(mask >= _LEAST, inverse, 0.0)
        return Seen(weight, np.divide(weight, mask, out=np.zeros_like(weight), where=weight > 0))

    def masks_seen_in(self, maps: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns the masks of maps with holes, where these are masked with their noise.

        Args:
          maps: (n, npix, npix, channels), zero where nothing was seen, and there alone.

        Returns:
          (n, npix, npix), the patch's mask but for the holes.
        """
        return self.mask * np.any(maps != 0, axis=-1)

    @classmethod
    def of(cls, config: LensingConfig, mask: NDArray[np.floating] | None = None) -> MaskedPatch:
        """Returns the patch of a config: without its holes, which differ from map to map.

        Args:
          config: the version.
          mask: (npix, npix), 0 to 1, that its maps are multiplied by, where it has none itself.

        Raises:
          LensingError: the mask is impossible, or the config masks its signal and tapers the masked
            maps, which is neither.
        """
        if mask is not None:
            config = dataclasses.replace(config, mask=None, taper=0.0)
        sky = config.sky
        is_signal = config.mask is not None and config.mask.multiplies == SIGNAL
        if is_signal and config.taper > 0:
            raise LensingError(
                f"{config.name!r} masks the signal and tapers signal and noise: no filter of maps "
                "masked twice is there; use one of mask and taper"
            )
        ell = np.maximum(sky.ell, sky.fundamental)  # the mean of the map says nothing of κ
        names = {SPECTRUM_OF[channel]: channel for channel in config.channels}
        return cls(
            sky,
            window_of(config) if mask is None else mask,
            {name: config.noise_power(channel, ell) for name, channel in names.items()},
            relative_variance(config),
            "signal" if is_signal else "maps",
        )

    @functools.cached_property
    def interior(self) -> NDArray[np.float64]:
        """A smooth window of what is well observed, (npix, npix); see `interior_window`."""
        return interior_window(self.mask, self.sky)

    def observation(self, observation: Observation) -> MeasuredObservation:
        """Returns what a periodic patch with the interior's mean noise would hold.

        Args:
          observation: beam, modes and sky of the maps; its noise is not used.
        """
        weight = 1.0 if self.variance is None else 1 / self.variance
        inverse = np.sum(self.interior * weight) / np.sum(self.interior)
        noise = {name: values / inverse for name, values in self.noise.items()}
        totals = {"TT": noise.get("T"), "EE": noise.get("P"), "BB": noise.get("P")}
        power = {
            name: observation.beam**2 * observation.of_sky(*name)
            + np.where(observation.used, of_noise, 0.0)
            for name, of_noise in totals.items()
            if of_noise is not None
        }
        if len(power) == 3:
            power["TE"] = observation.beam**2 * observation.signal("T", "E")
        return weighed(observation, power)


def relative_variance(config: LensingConfig) -> NDArray[np.float64] | None:
    """Returns the variance of the noise over its mean, (npix, npix); None if it is even."""
    if config.hits is None:
        return None
    return instrument.relative_noise_variance(config.sky, config.hits.contrast)


def checked_mask(mask: NDArray, sky: FlatSky, several: bool = False) -> NDArray[np.float64]:
    """Returns a mask in double precision.

    Args:
      mask: (npix, npix), or (n, npix, npix).
      sky: the patch.
      several: whether it is of several maps, each its own.

    Raises:
      LensingError: it has another shape, is not within 0 and 1, or leaves no pixel.
    """
    mask = np.asarray(mask)
    shape = (sky.npix, sky.npix)
    if mask.shape[several:] != shape:
        raise LensingError(f"the mask has shape {mask.shape}: must be that of the maps, {shape}")
    if mask.dtype.kind not in "biuf":
        raise LensingError(f"the mask is of {mask.dtype}: must be of numbers from 0 to 1")
    mask = mask.astype(np.float64)
    outside = ~((mask >= 0) & (mask <= 1))
    if outside.any():
        raise LensingError(
            f"the mask is {mask[outside][0]:g} in a pixel: must be from 0, masked, to 1"
        )
    if not mask.any(axis=(-2, -1)).all():
        raise LensingError("the mask leaves no pixel: it is zero everywhere")
    return mask


def interior_window(
    mask: NDArray[np.floating], sky: FlatSky, edge_degrees: float = _EDGE_DEGREES
) -> NDArray[np.float64]:
    """Returns a window of the inside of a mask, with cosine edges: 1 where there is no mask at all.

    It rises with the distance from where the mask is below a half. Holes of less than a quarter of
    a degree's radius belong to the inside: κ there is estimated from around them.

    Args:
      mask: (npix, npix), 0 to 1.
      sky: the patch, periodic.
      edge_degrees: over which it rises.

    Raises:
      LensingError: the mask has no inside.
    """
    inside = mask >= _INSIDE
    if inside.all():
        return np.ones((sky.npix, sky.npix))
    pixel = np.degrees(sky.pixel)
    tiled = np.tile(inside, (3, 3))  # a hole may lie across the border
    holes, number = ndimage.label(~tiled)
    pixels = np.bincount(holes.ravel(), minlength=number + 1)
    small = pixels * pixel**2 < np.pi * _HOLE_DEGREES**2
    small[0] = False
    distance = ndimage.distance_transform_edt(tiled | small[holes]) - 0.5
    middle = slice(sky.npix, 2 * sky.npix)
    distance = distance[middle, middle] * pixel
    if not np.any(distance > 0):
        raise LensingError("the mask leaves no pixel inside: it is below a half everywhere")
    window = np.sin(np.pi / 2 * np.clip(distance / edge_degrees, 0, 1)) ** 2
    if not np.any(window >= INSIDE):
        raise LensingError(
            f"the mask leaves no pixel inside: none is {edge_degrees / 2:g} degrees or more from "
            "where it is below a half"
        )
    return window
