"""Features of an estimator as maps for a network, and its corrections, always in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from estimators.iterated.iterated_estimator import rings_of
from lensing_tfds.sky.flat_sky import FlatSky
from trainer.networks.modes import Modes, maps_of, times, to_modes
from trainer.networks.patch_layer import PatchLayer


@keras.saving.register_keras_serializable(package="lensing_tfds")
class FilteredFeatures(PatchLayer):
    """Filters features ring by ring, and adds them up with gains that are trained; made by `of`.

    The filters make maps of unit variance, and the gains begin at zero: a step of one size changes
    the sum alike, whatever the features' units and powers, and at first not at all.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      features: how many.
      **options: Keras's own.
    """

    def __init__(self, npix: int, side: float, features: int, **options: Any):
        super().__init__(npix, side, **options)
        self.features = features
        rings = rings_of(self.sky)
        self.filters = self.constant("filters", features, rings.num)
        self.gains = self.add_weight(shape=(features, rings.num), initializer="zeros", name="gains")
        self._rings = np.asarray(self.sky.full_plane(rings.index), np.int32)

    @classmethod
    def of(cls, sky: FlatSky, filters: NDArray[np.float64], **options: Any) -> Self:
        """Makes the layer of the `filters` of a stage."""
        layer = cls(sky.npix, sky.side, len(filters), **options)
        layer.filters.assign(filters)
        return layer

    def call(self, features: Sequence[Modes]) -> tuple[Any, Any]:
        """Returns maps of the filtered features, (n, npix, npix, features), and of the sum."""
        planes = ops.take(self.filters, self._rings, axis=1)
        filtered = [times(planes[i], feature) for i, feature in enumerate(features)]
        gains = ops.take(self.gains, self._rings, axis=1)
        re, im = zip(*(times(gains[i], modes) for i, modes in enumerate(filtered)), strict=True)
        maps = maps_of([*filtered, (sum(re), sum(im))])
        return ops.stack(maps[:-1], axis=-1), maps[-1][..., None]

    def compute_output_spec(self, features: Sequence[Modes]) -> tuple[Any, Any]:
        shape = features[0][0].shape
        maps, total = (keras.KerasTensor((*shape, n), "float32") for n in (self.features, 1))
        return maps, total

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"features": self.features}


@keras.saving.register_keras_serializable(package="lensing_tfds")
class Corrected(PatchLayer):
    """Adds a map to a field given by its modes.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      unit: of the map, in that of the field.
      **options: Keras's own.
    """

    def __init__(self, npix: int, side: float, unit: float, **options: Any):
        super().__init__(npix, side, **options)
        self.unit = unit

    def call(self, modes: Modes, correction: Any) -> Modes:
        """Adds (n, npix, npix, 1) to modes."""
        values = correction[..., 0]
        re, im = to_modes((self.unit * values, ops.zeros_like(values)))
        return modes[0] + re, modes[1] + im

    def compute_output_spec(self, modes: Modes, correction: Any) -> Modes:
        return self.modes_like(modes[0])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"unit": self.unit}
