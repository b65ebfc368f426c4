"""Skies in eights: two κ and the same times −1, each with the same two CMBs and noises.

Their differences hold N1 without N0's scatter: in the estimate that takes its two fields from
skies of the same κ and different CMBs there are N0 and N1 (Story et al. 2015, arXiv:1412.4760),
and in that of the very same CMBs with different κ N0 alone. From a sky to that of −κ what is of odd
order in κ changes its sign, and what is of even order does not.
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
    """A simulator of skies in eights.

    Example 8i has κ and CMB, with its noise, of the simulator's example 2i; 8i + 1 has κ of 2i and
    CMB of 2i + 1; 8i + 2 the other way round; and 8i + 3 both of 2i + 1. 8i + 4 to 8i + 7 are the
    same with −κ.

    Args:
      config: the version.
      split: as of `Simulator`.
    """

    def __init__(self, config: LensingConfig, split: str):
        super().__init__(config, split)
        self._stream = _CrossedStream(self._stream)
        self._telescope = Telescope(config, self._stream)


class _CrossedStream(NormalStream):
    """Random numbers of other examples than are asked for, κ's with another sign."""

    def __init__(self, stream: NormalStream):
        self._drawn = stream

    def fill(self, indices: Sequence[int], field: int, out: NDArray[np.float32]) -> None:
        """Fills as `NormalStream.fill` does, by the number of κ or of the CMB."""
        of_kappa = field == KAPPA
        drawn = [2 * (i // 8) + (i % 4 // 2 if of_kappa else i % 2) for i in indices]
        self._drawn.fill(drawn, field, out)
        if of_kappa:
            out[[i % 8 >= 4 for i in indices]] *= -1


def crossed_skies(config: LensingConfig, eights: int) -> Iterator[tuple[Fields, NDArray]]:
    """Yields eight skies after eight: modes of T, E and B, and κ's.

    Args:
      config: a periodic version, whose κ is Gaussian.
      eights: how many.
    """
    simulator, sky = CrossedSimulator(config, "test"), config.sky
    for start in range(0, 8 * eights, 8):
        blocks = list(simulator.examples(range(start, start + 8)))
        lensed = np.concatenate([block[LENSED] for block in blocks])
        kappa = np.concatenate([block["kappa"] for block in blocks])[..., 0]
        yield fields_of(lensed, config.channels, sky), sky.to_modes(kappa)
