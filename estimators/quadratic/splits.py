"""Quadratic estimates that take their two fields from different splits of the data.

Splits see one sky with independent noise. With κ̂_ij the estimate of x from split i and y from
split j, made symmetric in i and j, the estimate of m splits without pairs of one split,

    κ̂^× = Σ_{i≠j} κ̂_ij / (m (m − 1)),

has no mean field of noise, and no error of the noise's model makes it one; its weights are those of
any estimator, that decide what it costs. Of its spectrum, only products of four different splits
have no noise bias (Madhavacheril et al. 2020, arXiv:2011.02475, equations 29–38):

    C^× = Σ_{ijkl all different} κ̂_ij κ̂_kl* / (m (m − 1) (m − 2) (m − 3)),

which four splits or more have. Estimates are bilinear in the fields, so that all κ̂_ij follow
from estimates of splits and of sums of two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError

Modes = NDArray[np.complexfloating]
Fields = Mapping[str, Modes]

LEAST_FOR_POWER = 4
"""Splits whose products of four have no noise in common."""


class Quadratic(Protocol):
    """An estimator that is quadratic in fields: `QuadraticEstimator`, `MinimumVariance`."""

    def kappa(self, fields: Mapping[str, Modes]) -> Modes:
        """Estimates κ, (n, npix, npix // 2 + 1)."""


def cross_only(estimator: Quadratic, splits: Sequence[Fields]) -> Modes:
    """Estimates κ from pairs of different splits.

    Args:
      estimator: of one pair of fields, or of several.
      splits: the fields of each, at least two: half planes, (n, npix, npix // 2 + 1).

    Returns:
      Half planes of κ̂^×, the same shape.

    Raises:
      LensingError: there are fewer than two splits.
    """
    m = _enough(splits, 2, "a cross-only estimate")
    total = estimator.kappa(_sum(splits))
    for fields in splits:
        total = total - estimator.kappa(fields)
    return total / np.float32(m * (m - 1)).astype(total.real.dtype)


def cross_only_power(estimator: Quadratic, splits: Sequence[Fields]) -> NDArray[np.float64]:
    """Returns the spectrum of κ without products in which a split is there twice.

    Args:
      estimator: as of `cross_only`.
      splits: at least four.

    Returns:
      C^× of each map's modes, half planes, (n, npix, npix // 2 + 1); times the patch's area it is
      raw C_L. Its mean is C_κκ, and N1; single modes may be negative.

    Raises:
      LensingError: there are fewer than four splits.
    """
    m = _enough(splits, LEAST_FOR_POWER, "a spectrum without noise bias")
    alone = [estimator.kappa(fields) for fields in splits]
    pairs: dict[tuple[int, int], NDArray[np.complex128]] = {}
    for i in range(m):
        for j in range(i):
            both = estimator.kappa(_sum([splits[i], splits[j]]))
            pairs[i, j] = (both - alone[i] - alone[j]).astype(np.complex128) / 2
    # Products of all pairs, less those that share a split, less those of a pair with itself.
    squares = sum(np.abs(pair) ** 2 for pair in pairs.values())
    of_all = np.abs(2 * sum(pairs.values())) ** 2
    of_split = sum(
        np.abs(sum(pair for pairing, pair in pairs.items() if i in pairing)) ** 2 for i in range(m)
    )
    return (of_all - 4 * of_split + 4 * squares) / (m * (m - 1) * (m - 2) * (m - 3))


def _enough(splits: Sequence[Fields], least: int, what: str) -> int:
    if len(splits) < least:
        raise LensingError(f"{what} takes at least {least} splits of the data, not {len(splits)}")
    return len(splits)


def _sum(splits: Sequence[Fields]) -> dict[str, Modes]:
    return {name: np.sum([fields[name] for fields in splits], axis=0) for name in splits[0]}
