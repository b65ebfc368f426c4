"""Linear least squares of κ on several estimates of it, in each ring of multipoles by itself."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import TooFewExamplesError
from lensing_tfds.sky.binning import Bins

Modes = NDArray[np.complexfloating]


NO_EXAMPLES = "there is none, and gains need examples"

_NEIGHBOURS = 16  # of a ring's number, the share of rings on each side whose gains it has


class Sums(NamedTuple):
    """Sums over examples; κ comes last.

    Attributes:
      products: of features with features and κ, averaged over each ring's modes: (rings,
        features + 1, features + 1).
      fields: of the features and κ, (features + 1, npix, npix // 2 + 1), if means are subtracted.
      examples: how many there are.
    """

    products: NDArray[np.float64]
    fields: NDArray[np.complex128]
    examples: int


_RIDGE = 1e-6  # of a feature's own power: what rounding and chance leave of a redundant feature


class RingRegression:
    """Takes true κ and features, batch by batch; keeps sums over examples, never the maps.

    In each ring the gains g minimise Σ |κ − Σ_i g_i f_i|² over its modes and all examples. At high
    L, where κ is lost in noise and each gain's own noise would cost more than it wins, the sum runs
    over neighbouring rings too, up to a sixteenth of L away. The features span many orders of
    magnitude, so that they are scaled to unit power before the normal equations are solved.

    Args:
      rings: each has one gain a feature.
      features: how many.
      mean_field: whether the features have means to be subtracted: a patch that is not periodic, or
        one unlensed sky in all examples. Elsewhere their measured means are noise.
      window: (npix, npix), inside which gains are fitted; None is the whole patch.
    """

    def __init__(
        self,
        rings: Bins,
        features: int,
        mean_field: bool = False,
        window: NDArray[np.floating] | None = None,
    ):
        self._rings = rings
        self._window = window
        self._has_mean = mean_field
        shape = rings.sky.ell.shape if mean_field else ()
        self._sums = Sums(
            np.zeros((rings.num, features + 1, features + 1)),
            np.zeros((features + 1, *shape), np.complex128),
            0,
        )

    def add(self, kappa: Modes, features: Sequence[Modes]) -> None:
        """Adds half planes of true κ and of the features, each (n, npix, npix // 2 + 1)."""
        self.add_sums(self.sums(kappa, features))

    def add_sums(self, sums: Sums) -> None:
        """Adds the `sums` of some examples."""
        ours = self._sums
        self._sums = Sums(
            ours.products + sums.products, ours.fields + sums.fields, ours.examples + sums.examples
        )

    def sums(self, kappa: Modes, features: Sequence[Modes]) -> Sums:
        """Returns what is kept of examples.

        Arguments are those of `add`, which is this and `add_sums`: threads may do this part.
        """
        planes = np.stack([*features, kappa])
        totals = np.zeros(len(planes), np.complex128)
        if self._has_mean:
            totals = planes.sum(axis=1, dtype=np.complex128)
        return Sums(self._products(planes), totals, len(kappa))

    def _products(self, planes: Modes) -> NDArray[np.float64]:
        """The sums over examples of products, averaged over each ring's modes."""
        if self._window is not None:
            sky = self._rings.sky
            planes = sky.to_modes(sky.to_map(planes) * self._window.astype(planes.real.dtype))
            planes[..., 0, 0] = 0  # of the window's making: no estimate has a mean
        ordered = np.moveaxis(self._rings.gather(planes), 1, 2).astype(np.complex128, order="C")
        numbers = ordered.view(np.float64)  # (features + 1, modes, 2 n)
        numbers *= self._weights
        products = np.zeros_like(self._sums.products)
        for ring, modes in self._rings.places():
            part = numbers[:, modes].reshape(len(planes), -1)
            products[ring] = part @ part.T
        return products

    def _about_means(self) -> NDArray[np.float64]:
        """The sums of products of features less their means, and of κ."""
        if not self._has_mean:
            return self._sums.products
        of_means = self._products(self._sums.fields[:, None]) / self._examples
        of_means[:, -1, -1] = 0  # κ is estimated as it is
        return self._sums.products - of_means

    @property
    def _examples(self) -> int:
        return self._sums.examples

    def mean_field(self) -> NDArray[np.complex128]:
        """Returns features times gains on average, (npix, npix // 2 + 1); zero if without means."""
        if not self._has_mean:
            return np.zeros((), np.complex128)
        gains = self._rings.spread(self.gains())
        return np.einsum("fyx,fyx->yx", gains, self._sums.fields[:-1]) / self._examples

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
            raise TooFewExamplesError(NO_EXAMPLES)
        sums = self._pooled()
        features = sums.shape[1] - 1
        normal, right = sums[:, :-1, :-1], sums[:, :-1, -1]
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

    def filters(self) -> NDArray[np.float64]:
        """Returns the best gains of each feature by itself, (features, rings).

        They are scaled: of a feature times its gains a pixel's variance is 1, or it is zero.
        """
        pooled, sums = self._pooled(), self._about_means()
        power = np.einsum("rii->ir", pooled)[:-1]
        gains = np.divide(pooled[:, :-1, -1].T, power, out=np.zeros_like(power), where=power > 0)
        own = np.einsum("rii->ir", sums)[:-1] * self._rings.num_modes / self._examples
        std = np.sqrt(np.sum(gains**2 * own, axis=1, keepdims=True))
        return np.divide(gains, std, out=np.zeros_like(gains), where=std > 0)

    def _pooled(self) -> NDArray[np.float64]:
        """The sums of each ring and its neighbours; they are rings of multiples of one L."""
        modes, sums = self._rings.num_modes[:, None, None], self._about_means()
        running = np.cumsum(np.concatenate([np.zeros_like(sums[:1]), sums * modes]), axis=0)
        counts = np.cumsum(np.concatenate([[0.0], modes.ravel()]))
        ring = np.arange(self._rings.num)
        low, high = ring - ring // _NEIGHBOURS, np.minimum(ring + ring // _NEIGHBOURS, ring[-1]) + 1
        return (running[high] - running[low]) / (counts[high] - counts[low])[:, None, None]

    def correlation(self) -> float:
        """Returns the map-level correlation of κ and its fit, over all modes of the rings."""
        gains, modes, sums = self.gains(), self._rings.num_modes, self._about_means()
        shared = np.einsum("fr,rf,r->", gains, sums[:, :-1, -1], modes)
        power = np.einsum("fr,rfg,gr,r->", gains, sums[:, :-1, :-1], gains, modes)
        return float(shared / np.sqrt(power * np.sum(sums[:, -1, -1] * modes)))
