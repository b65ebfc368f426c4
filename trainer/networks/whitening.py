"""Whitened copies of maps: the same information, the same power in every multipole.

What lensing says stands in modes a thousand times weaker than the largest: a map that is only
divided by its standard deviation hides them. Each mode divided by the root of its ring's mean power
is the map's inverse-variance weighting, up to one more root, with which the quadratic estimators
begin (Hu & Okamoto 2002, astro-ph/0111606).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError
from lensing_tfds.sky import polarization
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.task import Task
from trainer.networks.statistics import Statistics, fields

_ROUNDING = 1e-12
"""Of the mean power: what is below is rounding of single precision, (1e-7)², with a margin."""


@keras.saving.register_keras_serializable(package="lensing_tfds")
class Whiten(keras.layers.Layer):
    """Filters maps ring by ring in Fourier space, always in single precision.

    From (batch, npix, npix, channels) maps to, in this order: T as it is, where there is T; each
    field of `filters` filtered by each of its filters. E and B are made of Q and U, by the house's
    convention (`lensing_tfds.sky.polarization`), and take their place.

    Args:
      channels: of the maps: "T", "Q", "U", in order.
      filters: "T", or "E" and "B", or all three, to one or two filters each: a factor for each
        ring of `Bins.fundamental`.
      **options: Keras's own.

    Raises:
      LensingError: when it is built, the maps have other channels or other rings.
    """

    def __init__(
        self,
        channels: Sequence[str],
        filters: Mapping[str, Sequence[Sequence[float]]],
        **options: Any,
    ):
        super().__init__(**{"dtype": "float32"} | options)
        self.channels = tuple(channels)
        self.filters = {name: tuple(map(tuple, given)) for name, given in filters.items()}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        npix = input_shape[1]
        if npix is None or tuple(input_shape[1:]) != (npix, npix, len(self.channels)):
            raise LensingError(
                f"maps have shape {tuple(input_shape)}: must be square, of known size, and of "
                f"{', '.join(self.channels)}"
            )
        sky = FlatSky(npix, 2 * np.pi)  # of any side: rings and angles do not depend on it
        rings = Bins.fundamental(sky)
        for name, given in self.filters.items():
            if any(len(ring) != rings.num for ring in given) or not 1 <= len(given) <= 2:
                raise LensingError(
                    f"filters of {name} have {', '.join(str(len(ring)) for ring in given)} rings: "
                    f"must be one or two, each of the {rings.num} rings of {npix} pixels"
                )

        def plane(half: NDArray) -> NDArray[np.float32]:
            return sky.full_plane(half).astype(np.float32)

        self._planes = {
            name: [plane(rings.spread(np.asarray(ring))) for ring in given]
            for name, given in self.filters.items()
        }
        self._cosine, self._sine = map(plane, polarization.angles(sky))

    def call(self, maps: Any) -> Any:
        outputs = [maps[..., i] for i, name in enumerate(self.channels) if name == "T"]
        for name, modes in self._modes(maps).items():
            planes = [ops.convert_to_tensor(plane) for plane in self._planes[name]]
            outputs += self._filtered(modes, planes)
        return ops.stack(outputs, axis=-1)

    def _modes(self, maps: Any) -> dict[str, Any]:
        """All modes of each field, real and imaginary parts."""
        modes = {}
        for i, name in enumerate(self.channels):
            x = maps[..., i]
            modes[name] = ops.fft2((x, ops.zeros_like(x)))
        found = {"T": modes["T"]} if "T" in modes else {}
        if "Q" in modes:
            cosine, sine = map(ops.convert_to_tensor, (self._cosine, self._sine))
            pairs = tuple(zip(modes["Q"], modes["U"], strict=True))
            found["E"] = tuple(q * cosine + u * sine for q, u in pairs)
            found["B"] = tuple(u * cosine - q * sine for q, u in pairs)
        return found

    def _filtered(self, modes: Any, planes: list[Any]) -> list[Any]:
        """A field's maps, one a filter.

        The filters are real and even: the field times one of them is a real map, times i and the
        other an imaginary one, and one transform makes both.
        """
        real, imaginary = modes
        first = planes[0]
        if len(planes) == 1:
            return [ops.ifft2((real * first, imaginary * first))[0]]
        second = planes[1]
        both = (real * first - imaginary * second, imaginary * first + real * second)
        return list(ops.ifft2(both))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], outputs_of(self.channels, self.filters))

    def get_config(self) -> dict[str, Any]:
        filters = {name: [list(ring) for ring in given] for name, given in self.filters.items()}
        return super().get_config() | {"channels": list(self.channels), "filters": filters}


def outputs_of(channels: Sequence[str], filters: Mapping[str, Sequence[Any]]) -> int:
    """Counts the maps that `Whiten` makes."""
    return channels.count("T") + sum(map(len, filters.values()))


def whitened_channels(task: Task) -> int:
    """Counts the maps that the layer made by `whitening` gives: two a field."""
    return 2 * len(fields(task))


def whitening(task: Task, statistics: Statistics) -> Whiten:
    """Makes the layer that gives each field of standardised maps twice, of unit variance.

    T comes as it is and whitened. E and B come Wiener-filtered and whitened: the Wiener filter is
    the share of a ring's power that is not the config's noise.

    Args:
      task: what goes in and what comes out.
      statistics: of the training maps, µK.
    """
    lensing, scaling = task.lensing, statistics.scaling
    rings = Bins.fundamental(lensing.sky)
    filters = {}
    for name, power in statistics.ring_power.items():
        channel = task.inputs.channels.index("T" if name == "T" else "Q")
        measured = np.array(power)
        # A filtered standardised map's variance is the sum over modes of |filter|² `modes`.
        modes = rings.num_modes * measured / (lensing.sky.area * scaling.input_std[channel] ** 2)
        floor = _ROUNDING * np.sum(rings.num_modes * measured) / np.sum(rings.num_modes)
        known = np.maximum(measured, floor)
        wanted = [1 / np.sqrt(known)]
        if name != "T":
            noise = rings.mean(lensing.noise_power(name, lensing.sky.ell))
            wanted.insert(0, np.clip((measured - noise) / known, 0, None))
        filters[name] = [_of_unit_variance(ring, modes) for ring in wanted]
    return Whiten(task.inputs.channels, filters, name="whiten")


def _of_unit_variance(ring: NDArray[np.float64], modes: NDArray[np.float64]) -> list[float]:
    """A filter without the mean of the map, so scaled that what it gives has unit variance."""
    ring = np.where(np.arange(len(ring)) == 0, 0, ring)
    variance = float(np.sum(ring**2 * modes))
    scaled: list[float] = (ring / np.sqrt(variance) if variance > 0 else ring).tolist()
    return scaled
