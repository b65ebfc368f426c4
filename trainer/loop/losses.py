"""The loss of a network in physical units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="lensing_tfds")
class StandardisedError(keras.losses.Loss):
    """The mean squared error in units of the labels' variance: 1 is as good as estimating zero.

    Args:
      std: the labels' standard deviations, one a channel.
      **options: Keras's own.
    """

    def __init__(self, std: Sequence[float], **options: Any):
        super().__init__(**{"name": "standardised_error", "dtype": "float32"} | options)
        self.std = tuple(std)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        std = ops.convert_to_tensor(np.asarray(self.std, np.float32))
        return ops.mean(ops.square((y_true - y_pred) / std), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"std": list(self.std)}
