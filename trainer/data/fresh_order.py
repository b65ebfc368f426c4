"""The order in which fresh skies are trained on: which sky, and which look at it, at which step."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

_SKIES_OF_A_SEED = 2**31  # two seeds share none before; all indices are below 2^63
_WINDOW = 4  # batches that pass before a sky is seen again


class Window(NamedTuple):
    """Skies that are seen in turn, then all again: their first looks, then their second ones.

    Attributes:
      indices: of the skies.
      examples: looks at them, of all skies but for those that the last look leaves out.
    """

    indices: range
    examples: int


@dataclasses.dataclass(frozen=True)
class FreshOrder:
    """Skies of a run, none of which is stored: the training split's indices from its end on.

    A pass's skies depend on (seed, pass) alone, and follow those of the pass before.

    Attributes:
      stored: training examples that the dataset holds.
      examples_per_pass: looks at skies.
      reuse: looks at each sky, in different steps unless a pass has fewer skies than a batch.
      seed: of the run.
      batch_size: examples a step.
    """

    stored: int
    examples_per_pass: int
    reuse: int
    seed: int
    batch_size: int

    @property
    def first(self) -> int:
        """Index of the run's first sky."""
        return self.stored + self.seed * _SKIES_OF_A_SEED

    @property
    def steps_per_pass(self) -> int:
        """Batches of a pass, the last of which may be smaller."""
        return math.ceil(self.examples_per_pass / self.batch_size)

    @property
    def largest_window(self) -> int:
        """Skies of a window at most."""
        return math.ceil(self._skies / self._windows)

    def examples_of(self, step: int) -> int:
        """Examples of a step of the run."""
        before = step % self.steps_per_pass * self.batch_size
        return min(self.batch_size, self.examples_per_pass - before)

    def windows(self, steps: range) -> Iterator[tuple[Window, int]]:
        """Yields the windows that steps of the run look at.

        Args:
          steps: counted from 0.

        Yields:
          Each window up to the end of the last step's pass, and how many of its examples come
          before the first step.
        """
        number, step = divmod(steps.start, self.steps_per_pass)
        before = step * self.batch_size
        for pass_ in range(number, math.ceil(steps.stop / self.steps_per_pass)):
            for window in self._windows_of(pass_):
                if before < window.examples:
                    yield window, before
                before = max(0, before - window.examples)

    @property
    def _skies(self) -> int:
        """Of a pass."""
        return math.ceil(self.examples_per_pass / self.reuse)

    @property
    def _windows(self) -> int:
        """Of a pass, equal but for a sky."""
        return max(1, self._skies // (_WINDOW * self.batch_size))

    def _windows_of(self, pass_: int) -> Iterator[Window]:
        first = self.first + pass_ * self._skies
        bounds = [self._skies * i // self._windows for i in range(self._windows + 1)]
        for start, stop in itertools.pairwise(bounds):
            examples = min(self.reuse * stop, self.examples_per_pass) - self.reuse * start
            yield Window(range(first + start, first + stop), examples)
