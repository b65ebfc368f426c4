"""The training split of a built dataset, as a source of training pairs."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.prefetching import prefetched
from lensing_tfds.records.reading import evaluation_batches, split_reader
from lensing_tfds.records.stored_dataset import StoredDataset
from trainer.data.order import windows
from trainer.data.source import Maps, passes_of, steps_per_pass

# Read together: a disk, or a bucket, is as fast as in order.
_BLOCK_BYTES = 2**19
_BLOCK = 16  # at most: small maps shall be mixed well
# Mixed in memory: enough to take many blocks of small maps, and bounded for large ones.
_WINDOW_BYTES = 32 * 2**20

_BATCH_SIZE = 32  # of examples that are read in order


class StoredExamples:
    """The first examples of a dataset's training split, by index; a `source.Source`.

    Args:
      stored: the dataset.
      max_examples: how many; None for all.

    Raises:
      LensingError: there are fewer, or a shard is missing or damaged.
    """

    def __init__(self, stored: StoredDataset, max_examples: int | None = None):
        self.task = stored.task
        config = stored.config
        self.examples_per_epoch = config.number_of_first("train", max_examples)
        self.description = f"{self.examples_per_epoch:,} examples of lensing/{config.name}"
        self.is_augmented = False
        self._stored = stored
        self._names = (self.task.inputs.name, self.task.labels.name)
        self._reader, _ = split_reader(stored, f"train[:{self.examples_per_epoch}]", self._names)

    def running(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def first(self, number: int) -> Iterator[Maps]:
        split = f"train[:{min(number, self.examples_per_epoch)}]"
        return evaluation_batches(self._stored, split, _BATCH_SIZE, self._names)

    def batches(self, steps: range, seed: int, batch_size: int) -> Iterator[Maps]:
        for epoch, batches in passes_of(steps, steps_per_pass(self, batch_size)):
            examples = prefetched(self._windows(epoch, seed, batches.start * batch_size))
            yield from itertools.islice(_batches(examples, batch_size), len(batches))

    def _windows(
        self, epoch: int, seed: int, first: int
    ) -> Iterator[tuple[Maps, NDArray[np.int64]]]:
        size = self._reader.example_bytes
        block = max(1, min(_BLOCK, _BLOCK_BYTES // size))
        at_once = max(1, _WINDOW_BYTES // (block * size))
        for ranges, places in windows(self.examples_per_epoch, block, at_once, seed, epoch, first):
            yield self._reader.read(ranges), places


def _batches(examples: Iterable[tuple[Maps, NDArray[np.int64]]], batch_size: int) -> Iterator[Maps]:
    """Cuts windows of examples into batches, which may reach over from one into the next."""
    parts: list[Maps] = []
    missing = batch_size
    for maps, places in examples:
        while len(places):
            taken, places = places[:missing], places[missing:]
            parts.append({name: x[taken] for name, x in maps.items()})
            missing -= len(taken)
            if not missing:
                yield _joined(parts)
                parts, missing = [], batch_size
    if parts:
        yield _joined(parts)


def _joined(parts: list[Maps]) -> Maps:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
