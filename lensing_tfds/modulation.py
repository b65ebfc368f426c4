"""Fields that turn and dim the unlensed sky: (Q ± iU) e^{±2iα − τ} and T e^{−τ}."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.optical_depth import TAU
from lensing_tfds.config_fields.rotation import ROTATION
from lensing_tfds.configs import LensingConfig
from lensing_tfds.field_numbers import OPTICAL_DEPTH
from lensing_tfds.field_numbers import ROTATION as ROTATION_FIELD
from lensing_tfds.sky.gaussian_fields import GaussianField
from lensing_tfds.telescope import Stream

Modes = NDArray[np.complex64]


class Modulation:
    """Draws a config's modulating fields on the internal grid, and applies them.

    Args:
      config: the version.
    """

    def __init__(self, config: LensingConfig):
        self._sky = sky = config.internal
        self._fields = {
            name: (number, GaussianField(part.power(sky.ell) / sky.area))
            for name, number, part in (
                (ROTATION, ROTATION_FIELD, config.rotation),
                (TAU, OPTICAL_DEPTH, config.optical_depth),
            )
            if part is not None
        }

    @property
    def features(self) -> tuple[str, ...]:
        """The features that the fields are."""
        return tuple(self._fields)

    def draw(self, stream: Stream, indices: Sequence[int]) -> dict[str, Modes]:
        """Returns the modes of each field, by feature: half planes of the internal grid."""
        drawn = {}
        for name, (number, field) in self._fields.items():
            normals = np.empty((len(indices), field.size), np.float32)
            stream.fill(indices, number, normals)
            drawn[name] = field.modes(normals)
        return drawn

    def apply(self, sky_modes: Mapping[str, Modes], drawn: Mapping[str, Modes]) -> dict[str, Modes]:
        """Turns and dims the sky.

        Args:
          sky_modes: half planes of the channels, T, Q and U; not changed.
          drawn: what `draw` returned.

        Returns:
          The channels, as new half planes.
        """
        sky = self._sky
        maps = {channel: sky.to_map(modes) for channel, modes in sky_modes.items()}
        if ROTATION in drawn:
            angle = 2 * sky.to_map(drawn[ROTATION])
            cosine, sine = np.cos(angle), np.sin(angle)
            q, u = maps["Q"], maps["U"]
            maps |= {"Q": q * cosine - u * sine, "U": q * sine + u * cosine}
        if TAU in drawn:
            passed = np.exp(-sky.to_map(drawn[TAU]))
            maps = {channel: values * passed for channel, values in maps.items()}
        return {channel: sky.to_modes(values) for channel, values in maps.items()}
