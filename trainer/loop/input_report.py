"""The pace of simulation beside that of training, in some words."""

from __future__ import annotations

import time

from trainer.data.batches import Batches
from trainer.data.fresh import FreshSkies
from trainer.data.waiting import InputWait


class InputReport:
    """Counts, in an epoch, the skies that are simulated and the time that steps wait for them.

    Args:
      source: of the skies.
    """

    def __init__(self, source: FreshSkies):
        self._source = source
        self._wait = InputWait()
        self.begin()

    def timed(self, batches: Batches) -> Batches:
        """Returns the same batches, for which Keras's wait is counted."""
        return batches.timed_by(self._wait)

    def begin(self) -> None:
        """Begins to count."""
        self._begun = self._state()

    def words(self) -> str:
        """Says what was counted so far."""
        counts = zip(self._begun, self._state(), strict=True)
        seconds, simulated, waited = (after - before for before, after in counts)
        seconds = max(seconds, 1e-9)
        return f"  {simulated / seconds:,.0f} simulated/s, waits {min(1.0, waited / seconds):.0%}"

    def _state(self) -> tuple[float, int, float]:
        return time.monotonic(), self._source.simulated, self._wait.seconds
