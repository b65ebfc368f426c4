"""Linear least squares of κ on several estimates of it, in each ring of multipoles by itself."""

import functools
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
        self._sums = np.zeros((rings.num, features + 1, features + 1))  # κ comes last
        self._examples = 0

    def add(self, kappa: Modes, features: Sequence[Modes]) -> None:
        """Adds half planes of true κ and of the features, each (n, npix, npix // 2 + 1)."""
        self.add_products(self.products(kappa, features), len(kappa))

    def add_products(self, products: NDArray[np.float64], examples: int) -> None:
        """Adds the `products` of some examples."""
        self._sums += products
        self._examples += examples

    def products(self, kappa: Modes, features: Sequence[Modes]) -> NDArray[np.float64]:
        """Returns the sums over examples of products, averaged over each ring's modes.

        Arguments are those of `add`, which is this and `add_products`: threads may do this part.

        Returns:
          (rings, features + 1, features + 1), κ the last.
        """
        planes = np.stack([*features, kappa])
        ordered = np.moveaxis(self._rings.gather(planes), 1, 2).astype(np.complex128, order="C")
        numbers = ordered.view(np.float64)  # (features + 1, modes, 2 n)
        numbers *= self._weights
        sums = np.zeros_like(self._sums)
        for ring, modes in self._rings.places():
            part = numbers[:, modes].reshape(len(planes), -1)
            sums[ring] = part @ part.T
        return sums

    @functools.cached_property
    def _weights(self) -> NDArray[np.float64]:
        """Their squares average over a ring: (modes, 1), ring after ring."""
        counts = self._rings.gather(self._rings.sky.mode_counts)
        of_mode = self._rings.gather(self._rings.spread(self._rings.num_modes))
        return np.sqrt(counts / of_mode)[:, None]

    def gains(self) -> NDArray[np.float64]:
        """Returns the gains, (features, rings); zero in rings where nothing is known of κ.

        Raises:
          TooFewExamplesError: there is none, or a ring has fewer modes than four times its gains.
        """
        if not self._examples:
            raise TooFewExamplesError("there is none, and gains need examples")
        features = self._sums.shape[1] - 1
        normal, right = self._sums[:, :-1, :-1], self._sums[:, :-1, -1]
        independent = self._examples * self._rings.num_modes / 2
        # κ's mean, and modes that no feature estimates, have no gains.
        known = np.einsum("rii->ri", normal).any(axis=1)
        if np.any(independent[known] < 4 * features):
            needed = int(np.ceil(np.max(8 * features / self._rings.num_modes[known])))
            raise TooFewExamplesError(
                f"{self._examples} examples are too few for {features} gains in each ring of "
                f"multipoles: at least {needed} are needed"
            )
        power = np.einsum("rii->ri", normal)
        scale = np.where(power > 0, np.sqrt(power), 1.0)
        normal = normal / scale[:, :, None] / scale[:, None, :]
        normal[:, range(features), range(features)] = 1 + _RIDGE
        solved = np.linalg.solve(normal, (right / scale)[..., None])[..., 0] / scale
        return np.where(known[:, None], solved, 0.0).T

    def correlation(self) -> float:
        """Returns the map-level correlation of κ and its fit, over all modes of the rings.

        A fit of least squares has as much power as it shares with κ.
        """
        modes = self._rings.num_modes
        shared = np.einsum("fr,rf,r->", self.gains(), self._sums[:, :-1, -1], modes)
        return float(np.sqrt(shared / np.sum(self._sums[:, -1, -1] * modes)))
