"""The order of an epoch's examples: shuffled, and yet read in stretches.

Examples that follow each other on a disk are read together, in blocks. The blocks are shuffled, and
then the examples of as many blocks as are held in memory at once: a disk, or a bucket, is read as
fast as in order, and a batch holds examples of everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.data.source import Purpose, random_words


class Window(NamedTuple):
    """Examples that are held in memory together.

    Attributes:
      ranges: of their indices, as they are read.
      places: in what was read, of the examples in the order that they are used in.
    """

    ranges: list[range]
    places: NDArray[np.int64]


def windows(
    number: int, block: int, at_once: int, seed: int, epoch: int, first: int = 0
) -> Iterator[Window]:
    """Yields the windows of an epoch, in which every example is used once.

    Args:
      number: of examples, whose indices count from 0.
      block: examples of consecutive indices that are read together.
      at_once: blocks of a window.
      seed: of the run.
      epoch: counted from 0.
      first: examples of the epoch that were used already.
    """
    blocks = _shuffled(random_words(seed, epoch, Purpose.ORDER, 0, math.ceil(number / block)))
    for part, start in enumerate(range(0, len(blocks), at_once)):
        starts = (block * blocks[start : start + at_once]).tolist()
        ranges = [range(i, min(i + block, number)) for i in starts]
        size = sum(map(len, ranges))
        if first < size:
            words = random_words(seed, epoch, Purpose.PLACES, part, size)
            yield Window(ranges, _shuffled(words)[first:])
        first = max(0, first - size)


def _shuffled(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """A random permutation: the order of random words."""
    return np.argsort(words, kind="stable")
