"""Sums of vectors, one an example, from which means and their errors follow."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Sum and outer-product sum of vectors, one an example.

    Attributes:
      count: how many.
      total: their sum, float64 of shape (p,).
      outer: the sum of their outer products, shape (p, p).
    """

    count: int
    total: NDArray[np.float64]
    outer: NDArray[np.float64]

    @classmethod
    def of(cls, row: NDArray[np.float64]) -> Moments:
        """Those of one vector."""
        return cls(1, row, np.outer(row, row))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.outer + other.outer)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over examples, shape (p,)."""
        return self.total / self.count

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance of the mean, shape (p, p); from two examples on."""
        scatter = self.outer - np.outer(self.total, self.mean)
        return scatter / (self.count - 1) / self.count

    @property
    def error(self) -> NDArray[np.float64]:
        """Standard errors of the mean, shape (p,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0))
