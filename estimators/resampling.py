"""Errors and significance from the scatter of examples, which are drawn independently.

Nothing is assumed to be Gaussian, and pixels, modes and bands of an example may be correlated: a
row holds all numbers of one example, and rows are resampled whole (Efron 1979; for the signs,
Fisher's randomisation test).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError

_RESAMPLES = 500  # gives an error to 3 %
_FLIPS = 9_999
_MOST_DIGITS = 5
_FLIPS_AT_ONCE = 500


class Measured(NamedTuple):
    """A mean over examples and its standard error, both float64 of one shape."""

    value: NDArray[np.float64]
    error: NDArray[np.float64]


def with_error(measured: Measured) -> str:
    """Writes a scalar as text: "0.8123 ± 0.0045"."""
    return f"{float(measured.value):.4f} ± {float(measured.error):.4f}"


def compact(value: float, error: float) -> str:
    """Writes a number with its error, in its last digit: "0.630(1)"; "0.630" without an error."""
    if error <= 0:
        return f"{value:.3f}"
    digits = min(max(0, -math.floor(math.log10(error))), _MOST_DIGITS)
    if digits and round(error * 10**digits) == 10:
        digits -= 1
    return f"{value:.{digits}f}({round(error * 10**digits)})"


NOT_NORMALISED = "–"
"""Text in place of the scores of an estimate that could not be normalised: it is zero by default,
and the scores of zero are not its own."""


class Resampled(NamedTuple):
    """A function of means over examples, and the same of resampled examples.

    Attributes:
      value: float64 of any shape.
      resamples: (resamples, *shape) float64. Those of two functions pair up if their generators
        were equal.
    """

    value: NDArray[np.float64]
    resamples: NDArray[np.float64]

    @property
    def measured(self) -> Measured:
        """The value, and the scatter of the resamples as its error."""
        return Measured(self.value, self.resamples.std(axis=0))


def refuse_too_few(number: int) -> None:
    """Refuses a number of examples that say nothing about errors.

    Raises:
      LensingError: it is below two.
    """
    if number < 2:
        raise LensingError(f"errors need at least 2 examples, there are {number}")


class ExampleMeans:
    """Keeps a row of numbers of each example, of whose means over examples statistics are made."""

    def __init__(self) -> None:
        self._batches: list[NDArray[np.float64]] = []

    def add(self, *columns: NDArray[np.float64]) -> None:
        """Adds a batch: arrays (n, ...), flattened and put side by side."""
        self._batches.append(np.hstack([column.reshape(len(column), -1) for column in columns]))

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    @property
    def rows(self) -> NDArray[np.float64]:
        """All rows, (n, k).

        Raises:
          LensingError: fewer than two examples, which say nothing about errors.
        """
        refuse_too_few(len(self))
        return np.concatenate(self._batches)

    def statistics(
        self,
        function: Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]],
        generator: np.random.Generator,
    ) -> dict[str, Resampled]:
        """Evaluates functions of the means, and their scatter.

        Args:
          function: from means over examples, (..., k), to named arrays (..., *shape).
          generator: draws the resamples.

        Raises:
          LensingError: fewer than two examples.
        """
        rows = self.rows
        scatter = function(resampled_means(rows, generator))
        values = function(rows.mean(axis=0))
        return {name: Resampled(value, scatter[name]) for name, value in values.items()}

    def measure(
        self,
        function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        generator: np.random.Generator,
    ) -> Measured:
        """Evaluates one function of the means; see `statistics`."""
        return self.statistics(lambda means: {"": function(means)}, generator)[""].measured


def resampled_means(
    rows: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draws examples with replacement, as many as there are, and averages; many times.

    Args:
      rows: (n, k), one row an example.
      generator: draws the resamples.

    Returns:
      (resamples, k).
    """
    n = len(rows)
    shares = np.full(n, 1 / n)
    # One resample at a time: the counts of all would be larger than the rows.
    return np.stack([generator.multinomial(n, shares) @ rows / n for _ in range(_RESAMPLES)])


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
