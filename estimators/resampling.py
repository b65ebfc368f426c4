"""Errors and significance from the scatter of examples, which are drawn independently.

Neither assumes that anything is Gaussian, or that pixels, modes or bands are independent: a row
holds all numbers of one example, and rows are resampled whole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from estimators.skill import Measured
from lensing_tfds.errors import LensingError

_RESAMPLES = 500  # gives an error to 3 %
_FLIPS = 9_999
_FLIPS_AT_ONCE = 500


def bootstrapped(
    rows: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    generator: np.random.Generator,
) -> Measured:
    """Evaluates a function of means over examples, and its standard error.

    Args:
      rows: (n, k), one row an example.
      statistic: from means over examples, (..., k), to (..., m).
      generator: draws the resamples.

    Raises:
      LensingError: fewer than two examples, which say nothing about errors.
    """
    n = len(rows)
    if n < 2:
        raise LensingError(f"errors need at least 2 examples, there are {n}")
    weights = np.full(n, 1 / n)
    means = np.stack([generator.multinomial(n, weights) @ rows / n for _ in range(_RESAMPLES)])
    return Measured(statistic(rows.mean(axis=0)), statistic(means).std(axis=0))


def rows_needed(false_alarm_rate: float) -> int:
    """Returns how many rows `sign_flip_p_value` needs to come below a rate.

    Of the 2^n choices two, all signs and none, are as far from zero as any; half of the rate is
    left for what these two happen to be drawn more often.
    """
    return 2 + int(np.ceil(np.log2(1 / false_alarm_rate)))


def sign_flip_p_value(rows: NDArray[np.float64], generator: np.random.Generator) -> float:
    """Tests whether the mean of rows is zero, if each is as likely as its negative.

    Under that hypothesis all 2^n choices of the rows' signs are equally likely, so the rank of the
    data among some random choices is uniform, whatever the rows' distribution and the correlations
    within them (Fisher's randomisation test): p <= a happens with probability a, or a little less.
    The statistic is the sum over columns of (sum over rows)² / (sum of squares), a χ².

    Args:
      rows: (n, k), one row an example, independent of each other.
      generator: draws the signs.

    Returns:
      The share of the choices whose χ² is at least the data's, between 1e-4 and 1.
    """
    scale = np.sqrt(np.sum(rows**2, axis=0))
    scaled = np.divide(rows, scale, out=np.zeros_like(rows), where=scale > 0)
    observed = np.sum(scaled.sum(axis=0) ** 2)
    # The data's own signs, or those of all rows at once, may be drawn: rounding must not hide it.
    threshold = observed * (1 - 1e-9)
    larger = 0
    for start in range(0, _FLIPS, _FLIPS_AT_ONCE):
        count = min(_FLIPS_AT_ONCE, _FLIPS - start)
        signs = 2.0 * generator.integers(0, 2, (count, len(rows))) - 1
        larger += int(np.sum(np.sum((signs @ scaled) ** 2, axis=1) >= threshold))
    return (1 + larger) / (1 + _FLIPS)
