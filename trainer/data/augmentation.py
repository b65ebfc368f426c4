"""Random symmetries of the square patch for training: every example stands for eight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lensing_tfds import symmetries
from trainer.data.source import Purpose, random_words


def augment(
    maps: Sequence[NDArray[np.float32]],
    channels: Sequence[Sequence[str]],
    seed: int,
    epoch: int,
    batch: int,
) -> tuple[NDArray[np.float32], ...]:
    """Turns and mirrors each example by its own random element of the dihedral group.

    Args:
      maps: (batch, npix, npix, channels) arrays; the maps of one example get the same element.
      channels: the names of each array's channels, see `symmetries.transform`.
      seed: of the run.
      epoch: counted from 0.
      batch: number of the batch in it; the same numbers give the same elements.

    Returns:
      The maps, changed.
    """
    words = random_words(seed, epoch, Purpose.ELEMENTS, batch, len(maps[0]))
    elements = (words % symmetries.ORDER).astype(np.int64)
    return tuple(
        symmetries.transform(x, names, elements) for x, names in zip(maps, channels, strict=True)
    )
