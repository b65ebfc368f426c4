"""Skies in fours: two κ, each with the same two CMBs and noises.

Their differences hold N1 without N0's scatter: in the estimate that takes its two fields from
skies of the same κ and different CMBs there are N0 and N1 (Story et al. 2015, arXiv:1412.4760),
and in that of the very same CMBs with different κ N0 alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.fields import fields_of
from lensing_tfds.configs import LENSED, LensingConfig
from lensing_tfds.field_numbers import KAPPA
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky.random_numbers import NormalStream
from lensing_tfds.telescope import Telescope

Fields = dict[str, NDArray[np.complexfloating]]


class CrossedSimulator(Simulator):
    """A simulator of skies in fours.

    Example 4i has κ and CMB, with its noise, of the simulator's example 2i; 4i + 1 has κ of 2i and
    CMB of 2i + 1; 4i + 2 the other way round; and 4i + 3 both of 2i + 1.

    Args:
      config: the version.
      split: as of `Simulator`.
    """

    def __init__(self, config: LensingConfig, split: str):
        super().__init__(config, split)
        self._stream = _CrossedStream(self._stream)
        self._telescope = Telescope(config, self._stream)


class _CrossedStream(NormalStream):
    """Random numbers of other examples than are asked for."""

    def __init__(self, stream: NormalStream):
        self._drawn = stream

    def fill(self, indices: Sequence[int], field: int, out: NDArray[np.float32]) -> None:
        """Fills as `NormalStream.fill` does, by the number of κ or of the CMB."""
        of_kappa = field == KAPPA
        drawn = [2 * (i // 4) + (i % 4 // 2 if of_kappa else i % 2) for i in indices]
        self._drawn.fill(drawn, field, out)


def crossed_skies(config: LensingConfig, fours: int) -> Iterator[tuple[Fields, NDArray]]:
    """Yields four skies after four: modes of T, E and B, and κ's.

    Args:
      config: a periodic version.
      fours: how many.
    """
    simulator, sky = CrossedSimulator(config, "test"), config.sky
    for start in range(0, 4 * fours, 4):
        blocks = list(simulator.examples(range(start, start + 4)))
        lensed = np.concatenate([block[LENSED] for block in blocks])
        kappa = np.concatenate([block["kappa"] for block in blocks])[..., 0]
        yield fields_of(lensed, config.channels, sky), sky.to_modes(kappa)
