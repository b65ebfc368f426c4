"""Preconditioned conjugate gradients for several right-hand sides, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Operator = Callable[[NDArray], NDArray]


class Solution(NamedTuple):
    """A solution and how good it is.

    Attributes:
      x: as the right-hand side.
      residual: (n,) float64, of each, in units of that of x = 0; both in the preconditioner's norm.
      steps: that were made.
    """

    x: NDArray
    residual: NDArray[np.float64]
    steps: int


def solve(
    operator: Operator,
    right: NDArray,
    precondition: Operator,
    dot: Callable[[NDArray, NDArray], NDArray[np.float64]],
    tolerance: float,
    most_steps: int,
    start: NDArray | None = None,
) -> Solution:
    """Solves A x = r, A and the preconditioner M symmetric and positive.

    Those that are solved rest while the others go on, so that a solution depends on its own
    right-hand side alone.

    Args:
      operator: x -> A x, both of the shape of `right`.
      right: r, (..., n, rows, columns).
      precondition: x -> M x, near A⁻¹ x.
      dot: scalar products, (n,).
      tolerance: of the residual, as of `Solution`.
      most_steps: it ends after so many.
      start: the first guess of x; None is zero.
    """
    x = np.zeros_like(right) if start is None else start.copy()
    residual = right.copy() if start is None else right - operator(x)
    downhill = precondition(residual)
    direction = downhill.copy()
    length = dot(residual, downhill)
    first = length if start is None else dot(right, precondition(right))
    goal = tolerance**2 * first
    steps = 0
    while steps < most_steps and np.any(active := length > goal):
        ahead = operator(direction)
        curvature = dot(direction, ahead)
        scale = np.divide(length, curvature, out=np.zeros_like(length), where=active)
        scale = scale.astype(right.real.dtype)[:, None, None]
        x += scale * direction
        residual -= scale * ahead
        downhill = precondition(residual)
        new = np.where(active, dot(residual, downhill), length)
        turn = np.divide(new, length, out=np.zeros_like(length), where=active)
        direction *= turn.astype(right.real.dtype)[:, None, None]
        direction += downhill
        length = new
        steps += 1
    relative = np.divide(length, first, out=np.zeros_like(length), where=first != 0)
    # Below zero M is not positive, but for rounding: it ended unsolved.
    return Solution(x, np.sqrt(np.abs(relative)), steps)
