"""The source of training pairs, and the random numbers that order and turn them."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.task import Task

STREAM = 2
"""Number of the definition of order and augmentation: by another one a run gets other batches."""

Maps = Mapping[str, NDArray]
"""Maps by name, (batch, npix, npix, channels) float32 in physical units."""


class Source(Protocol):
    """Examples to train on, in passes of one size."""

    @property
    def task(self) -> Task:
        """The maps that go in and those that come out."""

    @property
    def examples_per_epoch(self) -> int:
        """Examples in a pass."""

    @property
    def is_augmented(self) -> bool:
        """Says whether its examples are turned and mirrored already, as far as that is wanted."""

    @property
    def description(self) -> str:
        """Its examples in some words."""

    def running(self) -> AbstractContextManager[None]:
        """Holds what gives the examples; all that is below is called within."""

    def first(self, number: int) -> Iterator[Maps]:
        """Yields batches of so many examples, or of all if they are fewer, by increasing index.

        Args:
          number: of examples.

        Yields:
          The task's inputs and labels by name, and "index".
        """

    def batches(self, steps: range, seed: int, batch_size: int) -> Iterator[Maps]:
        """Yields the batches of a range of a run's steps, shuffled; those before are not made.

        Which examples a pass has, and in which order, depends on (seed, pass) alone.

        Args:
          steps: counted from 0; `steps_per_pass` of them make a pass.
          seed: of the run.
          batch_size: examples a batch; the last is smaller where it does not divide the pass.

        Yields:
          The task's inputs and labels by name; other entries are not used.
        """


def steps_per_pass(source: Source, batch_size: int) -> int:
    """Returns the batches of a pass; the last is smaller where the batch size does not divide."""
    return math.ceil(source.examples_per_epoch / batch_size)


def passes_of(steps: range, in_a_pass: int) -> Iterator[tuple[int, range]]:
    """Divides a run's steps into passes.

    Args:
      steps: counted from 0.
      in_a_pass: steps of a pass.

    Yields:
      The pass, counted from 0, and which of its batches are the steps', counted from 0 too.
    """
    step = steps.start
    while step < steps.stop:
        number, first = divmod(step, in_a_pass)
        batches = range(first, min(in_a_pass, first + steps.stop - step))
        yield number, batches
        step += len(batches)


class Purpose(enum.IntEnum):
    """Purposes of random words: those of one say nothing of another's."""

    ORDER = 0  # of a pass's blocks
    PLACES = 1  # within a few blocks that are in memory together
    ELEMENTS = 2  # of the square's symmetries


def random_words(
    seed: int, epoch: int, purpose: Purpose, part: int, number: int
) -> NDArray[np.uint64]:
    """Random words of 64 bits, by their address: any of them, without those before.

    They are Philox4x64-10's (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
    the same in every version of NumPy, which promises that of no permutation.

    Args:
      seed: of the run.
      epoch: the pass, counted from 0.
      purpose: of the words.
      part: of the pass, counted from 0.
      number: how many.
    """
    stream = np.random.Philox(key=[seed, epoch], counter=[0, part, int(purpose), 0])
    return stream.random_raw(number)
