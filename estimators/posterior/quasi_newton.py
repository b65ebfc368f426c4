"""The BFGS approximation of an inverse Hessian (Nocedal & Wright 2006, chapter 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from estimators.posterior.sky_model import Modes, dot
from lensing_tfds.sky.flat_sky import FlatSky


class InverseHessian:
    """Learns from the steps that were taken; always positive, so that it points downhill.

    Args:
      diagonal: a first guess of it, half plane of positive numbers.
      sky: the grid of the half planes.
    """

    def __init__(self, diagonal: NDArray[np.floating], sky: FlatSky):
        self._diagonal, self._sky = diagonal, sky
        self._scale = 1.0
        self._changes: list[tuple[Modes, Modes, float]] = []

    def learn(self, step: Modes, change: Modes) -> None:
        """Takes a step and the change of the gradient by it.

        Nothing is learnt where the function curved downwards.
        """
        curvature = dot(step, change, self._sky)
        if curvature > 0:
            self._changes.append((step, change, curvature))
            # Equation 7.20: the diagonal's scale is that of the last step.
            self._scale = curvature / dot(change, self._diagonal * change, self._sky)

    def times(self, gradient: Modes) -> Modes:
        """Multiplies a half plane by the inverse Hessian: algorithm 7.4."""
        real = gradient.real.dtype.type
        vector, factors = gradient, []
        for step, change, curvature in reversed(self._changes):
            factors.append(dot(step, vector, self._sky) / curvature)
            vector = vector - real(factors[-1]) * change
        vector = real(self._scale) * self._diagonal * vector
        for (step, change, curvature), factor in zip(self._changes, reversed(factors), strict=True):
            back = dot(change, vector, self._sky) / curvature
            vector = vector + real(factor - back) * step
        return vector
