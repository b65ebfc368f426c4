"""The loss of a network in physical units, of the pixels that are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from estimators.filtering.masked_patch import interior_of, is_masked
from lensing_tfds.configs import LensingConfig


@keras.saving.register_keras_serializable(package="lensing_tfds")
class StandardisedError(keras.losses.Loss):
    """The mean squared error in units of the labels' variance: 1 is as good as estimating zero.

    Args:
      std: the labels' standard deviations, one a channel.
      lensing: the config whose mask's interior counts, as the judge counts it, as JSON's types;
        None counts all pixels alike.
      **options: Keras's own.
    """

    def __init__(
        self, std: Sequence[float], lensing: Mapping[str, Any] | None = None, **options: Any
    ):
        super().__init__(**{"name": "standardised_error", "dtype": "float32"} | options)
        self.std, self.lensing = tuple(std), lensing
        self._weights = (
            None if lensing is None else judged_weights(LensingConfig.from_json(lensing))
        )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        std = ops.convert_to_tensor(np.asarray(self.std, np.float32))
        error = ops.mean(ops.square((y_true - y_pred) / std), axis=-1)
        return error if self._weights is None else error * ops.convert_to_tensor(self._weights)

    def get_config(self) -> dict[str, Any]:
        own = {} if self.lensing is None else {"lensing": dict(self.lensing)}
        return super().get_config() | {"std": list(self.std)} | own


def judged(lensing: LensingConfig) -> dict[str, Any] | None:
    """Returns the config whose mask says which pixels are judged; None where all are."""
    return lensing.to_json() if is_masked(lensing) else None


def judged_weights(lensing: LensingConfig) -> NDArray[np.float32] | None:
    """Returns the weights of a config's pixels in the judge's means: the squared window, of mean 1.

    Args:
      lensing: the config.

    Returns:
      (npix, npix); None where all count alike.
    """
    window = interior_of(lensing)
    return None if window is None else (window**2 / np.mean(window**2)).astype(np.float32)
