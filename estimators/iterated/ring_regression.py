"""Linear least squares of κ on several estimates of it, in each ring of multipoles by itself."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError
from lensing_tfds.sky.binning import Bins

Modes = NDArray[np.complexfloating]


class TooFewExamplesError(LensingError):
    """The examples do not determine the gains."""


_RIDGE = 1e-6  # of a feature's own power: what rounding and chance leave of a redundant feature


class RingRegression:
    """Takes true κ and features, batch by batch; keeps sums over examples, never the maps.

    In each ring the gains g minimise Σ |κ − Σ_i g_i f_i|² over its modes and all examples. The
    features span many orders of magnitude, so that they are scaled to unit power before the normal
    equations are solved.

    Args:
      rings: each has one gain a feature.
      features: how many.
    """

    def __init__(self, rings: Bins, features: int):
        self._rings = rings
        self._normal = np.zeros((rings.num, features, features))
        self._right = np.zeros((rings.num, features))
        self._truth = np.zeros(rings.num)
        self._examples = 0

    def add(self, kappa: Modes, features: Sequence[Modes]) -> None:
        """Adds half planes of true κ and of the features, each (n, npix, npix // 2 + 1)."""
        for i, one in enumerate(features):
            for j, two in enumerate(features[: i + 1]):
                self._normal[:, i, j] += self._power(one, two)
            self._right[:, i] += self._power(one, kappa)
        self._truth += self._power(kappa, kappa)
        self._examples += len(kappa)

    def _power(self, one: Modes, two: Modes) -> NDArray[np.float64]:
        """The sum over examples of the mean over a ring."""
        product = one.real * two.real + one.imag * two.imag
        return self._rings.mean(product.sum(axis=0, dtype=np.float64))

    def gains(self) -> NDArray[np.float64]:
        """Returns the gains, (features, rings); zero in rings where nothing is known of κ.

        Raises:
          TooFewExamplesError: a ring has fewer modes than four times its gains.
        """
        features = self._right.shape[1]
        independent = self._examples * self._rings.num_modes / 2
        # κ's mean, and modes that no feature estimates, have no gains.
        known = np.einsum("rii->ri", self._normal).any(axis=1)
        if np.any(independent[known] < 4 * features):
            needed = int(np.ceil(np.max(8 * features / self._rings.num_modes[known])))
            raise TooFewExamplesError(
                f"{self._examples} examples are too few for {features} gains in each ring of "
                f"multipoles: at least {needed} are needed"
            )
        normal = self._normal + np.tril(self._normal, -1).swapaxes(1, 2)
        power = np.einsum("rii->ri", normal)
        scale = np.where(power > 0, np.sqrt(power), 1.0)
        normal = normal / scale[:, :, None] / scale[:, None, :]
        normal[:, range(features), range(features)] = 1 + _RIDGE
        solved = np.linalg.solve(normal, (self._right / scale)[..., None])[..., 0] / scale
        return np.where(known[:, None], solved, 0.0).T

    def correlation(self) -> float:
        """Returns the map-level correlation of κ and its fit, over all modes of the rings.

        A fit of least squares has as much power as it shares with κ.
        """
        shared = np.einsum("fr,rf->r", self.gains(), self._right) * self._rings.num_modes
        return float(np.sqrt(shared.sum() / np.sum(self._truth * self._rings.num_modes)))
