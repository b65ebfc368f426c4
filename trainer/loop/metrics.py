"""The map-level correlation: how well an estimated κ map follows the true one, pixel by pixel.

Of a masked patch the pixels inside count, as the judge counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from lensing_tfds.configs import LensingConfig
from trainer.loop.losses import judged_weights


@keras.saving.register_keras_serializable(package="lensing_tfds")
class MapCorrelation(keras.metrics.Metric):
    """Pearson's correlation over all pixels of all maps seen since the last reset.

    Means and co-moments are merged batch by batch (Chan, Golub & LeVeque 1983), so that nothing is
    kept but six numbers, and a large mean costs no precision. Sample weights are not supported.

    Args:
      lensing: as of `losses.StandardisedError`.
      name: Keras's own.
      dtype: Keras's own.
    """

    def __init__(
        self,
        lensing: Mapping[str, Any] | None = None,
        name: str = "map_correlation",
        dtype: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.lensing = lensing
        weights = None if lensing is None else judged_weights(LensingConfig.from_json(lensing))
        self._weights = None if weights is None else weights[..., None]
        self.count, self.mean_true, self.mean_pred, self.var_true, self.var_pred, self.cov = (
            self.add_weight(name=moment, initializer="zeros")
            for moment in ("count", "mean_true", "mean_pred", "var_true", "var_pred", "cov")
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of maps; both arguments have the same shape."""
        if sample_weight is not None:
            raise NotImplementedError("map_correlation takes no sample weights")
        y_true = ops.cast(y_true, self.dtype)
        y_pred = ops.cast(y_pred, self.dtype)
        n = ops.cast(ops.size(y_true), self.dtype)
        weight = ops.convert_to_tensor(1.0 if self._weights is None else self._weights, self.dtype)
        mean_true, mean_pred = ops.mean(weight * y_true), ops.mean(weight * y_pred)
        total = self.count + n
        step_true, step_pred = mean_true - self.mean_true, mean_pred - self.mean_pred
        between = self.count * n / total
        d_true, d_pred = y_true - mean_true, y_pred - mean_pred

        self.var_true.assign_add(ops.sum(weight * d_true**2) + between * step_true**2)
        self.var_pred.assign_add(ops.sum(weight * d_pred**2) + between * step_pred**2)
        self.cov.assign_add(ops.sum(weight * d_true * d_pred) + between * step_true * step_pred)
        self.mean_true.assign_add(step_true * n / total)
        self.mean_pred.assign_add(step_pred * n / total)
        self.count.assign(total)

    def result(self) -> Any:
        """The correlation, in [-1, 1]; 0 where either side is constant."""
        norm = ops.sqrt(self.var_true * self.var_pred)
        return ops.where(norm > 0, self.cov / ops.where(norm > 0, norm, 1.0), 0.0)

    def get_config(self) -> dict[str, Any]:
        own = {} if self.lensing is None else {"lensing": dict(self.lensing)}
        return super().get_config() | own
