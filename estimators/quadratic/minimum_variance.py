"""The minimum-variance combination of estimators (Hu & Okamoto 2002, astro-ph/0111606)."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.legs import Factors, blocks
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from lensing_tfds.errors import LensingError


class MinimumVariance:
    """Estimates κ from several pairs of fields, each mode with the weights of least noise.

    The weights are Σ_β (N⁻¹)_αβ / Σ_αβ (N⁻¹)_αβ, with N the N0 covariance of the pairs at L.

    Args:
      pairs: at least one of "TT", "EE", "EB", "TE", "TB", each once.
      observation: what the fields hold, and which modes of them to use.

    Attributes:
      estimators: one a pair.
      weights: of each pair, half planes of shape (pairs, npix, npix // 2 + 1); they add up to 1,
        or are zero for modes that are not estimated.
      noise: N0_L of the combination, half plane; infinite for modes that are not estimated.

    Raises:
      LensingError: a pair is unknown, or there twice, or there is none.
    """

    def __init__(self, pairs: Sequence[str], observation: Observation):
        if not pairs or len(set(pairs)) < len(pairs):
            raise LensingError(f"pairs are {list(pairs)}: must be at least one, each once")
        self.estimators = tuple(QuadraticEstimator(pair, observation) for pair in pairs)
        shape = observation.sky.ell.shape
        covariance = np.zeros((*shape, len(pairs), len(pairs)))
        for i, one in enumerate(self.estimators):
            for j, two in enumerate(self.estimators[: i + 1]):
                noise = one.noise if i == j else one.noise_covariance(two)
                covariance[..., i, j] = covariance[..., j, i] = noise
        # All pairs of one observation estimate the same modes, but for the last few at the corners.
        estimated = np.isfinite(covariance).all(axis=(-2, -1))
        inverse = np.linalg.inv(covariance[estimated])
        total = inverse.sum(axis=(-2, -1))
        self.weights = np.zeros((len(pairs), *shape))
        self.weights[:, estimated] = (inverse.sum(axis=-1) / total[:, None]).T
        self._factors = [Factors(weights) for weights in self.weights]
        self.noise = np.full(shape, np.inf)
        self.noise[estimated] = 1 / total

    def kappa(self, fields: Mapping[str, NDArray[np.complexfloating]]) -> NDArray:
        """Estimates κ; arguments, result and errors as of `QuadraticEstimator.kappa`."""
        checked: dict[str, NDArray[np.complexfloating]] = {}
        for estimator in self.estimators:
            checked |= estimator.checked(fields)
        estimate = np.zeros_like(next(iter(checked.values())))
        for part, legs in blocks(checked, self.estimators[0].grid):
            for weights, estimator in zip(self._factors, self.estimators, strict=True):
                estimate[part] += weights.times(estimator.kappa(legs))
        return estimate
