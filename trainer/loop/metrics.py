"""The map-level correlation: how well an estimated κ map follows the true one, pixel by pixel."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="lensing_tfds")
class MapCorrelation(keras.metrics.Metric):
    """Pearson's correlation over all pixels of all maps seen since the last reset.

    Means and co-moments are merged batch by batch (Chan, Golub & LeVeque 1983), so that nothing is
    kept but six numbers, and a large mean costs no precision. Sample weights are not supported.
    """

    def __init__(self, name: str = "map_correlation", dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
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
        mean_true, mean_pred = ops.mean(y_true), ops.mean(y_pred)
        total = self.count + n
        step_true, step_pred = mean_true - self.mean_true, mean_pred - self.mean_pred
        between = self.count * n / total
        d_true, d_pred = y_true - mean_true, y_pred - mean_pred

        self.var_true.assign_add(ops.sum(d_true**2) + between * step_true**2)
        self.var_pred.assign_add(ops.sum(d_pred**2) + between * step_pred**2)
        self.cov.assign_add(ops.sum(d_true * d_pred) + between * step_true * step_pred)
        self.mean_true.assign_add(step_true * n / total)
        self.mean_pred.assign_add(step_pred * n / total)
        self.count.assign(total)

    def result(self) -> Any:
        """The correlation, in [-1, 1]; 0 where either side is constant."""
        norm = ops.sqrt(self.var_true * self.var_pred)
        return ops.where(norm > 0, self.cov / ops.where(norm > 0, norm, 1.0), 0.0)
