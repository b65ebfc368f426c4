"""Skies simulated while a network trains, as a source of training pairs: none is seen twice."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator

import numpy as np

from lensing_tfds.simulation import block_size
from lensing_tfds.simulator_process import Work
from lensing_tfds.simulators import SimulatedBlock, Simulators
from lensing_tfds.sky.spectra import PowerSpectra
from lensing_tfds.task import Task
from trainer.data.batches import Pair
from trainer.data.fresh_order import FreshOrder
from trainer.data.source import Maps
from trainer.settings.config import TrainerConfig

# Skies that a process is asked for at once take it some milliseconds at least: asking takes none.
_BLOCKS_OF_SMALL_MAPS = 4
_LARGE_MAPS = 8


class FreshSkies:
    """Training examples that are simulated ahead of the step that needs them; a `source.Source`.

    Args:
      task: of the dataset, whose training split the skies go on from.
      table: the spectra that they are drawn from.
      config: its batch_size, seed, augment, reuse and max_examples are used, the last one for the
        examples of a pass; None is as many as are stored.
      simulators: processes.
    """

    def __init__(self, task: Task, table: PowerSpectra, config: TrainerConfig, simulators: int):
        lensing = task.lensing
        self.task = task
        self.examples_per_epoch = config.max_examples or lensing.num_examples["train"]
        self.is_augmented = True
        self._order = FreshOrder(
            stored=lensing.num_examples["train"],
            examples_per_pass=self.examples_per_epoch,
            reuse=config.reuse,
            seed=config.seed,
            batch_size=config.batch_size,
        )
        small = block_size(lensing.internal.npix)
        skies = _LARGE_MAPS if small == 1 else _BLOCKS_OF_SMALL_MAPS * small
        self._work = Work(
            lensing,
            "train",
            table,
            looks=config.reuse,
            turned=config.augment,
            skies=skies,
            slots=self._slots(skies, simulators),
        )
        self._number = simulators
        self.description = (
            f"{self.examples_per_epoch:,} fresh examples of {config.dataset} a pass"
            + (f", {config.reuse} of each sky" if config.reuse > 1 else "")
            + f" (simulators: {simulators}; {self._work.size / 1e6:,.0f} MB of shared memory)"
        )

    def _slots(self, skies: int, simulators: int) -> int:
        """Blocks in memory: those that are looked at, and as many ahead as keep all at work."""
        order = self._order
        batch = math.ceil(order.batch_size / skies) + 1
        window = math.ceil(order.largest_window / skies) if order.reuse > 1 else batch
        return window + max(2 * simulators, batch, window)

    @property
    def memory(self) -> int:
        """Bytes of shared memory."""
        return self._work.size

    @property
    def simulated(self) -> int:
        """Skies so far."""
        return self._simulators.simulated

    @property
    def process_ids(self) -> list[int]:
        """Of the processes that simulate."""
        return self._simulators.process_ids

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with Simulators(self._work, self._number) as simulators:
            self._simulators = simulators
            try:
                yield
            except Exception as error:
                # A stream that lacks batches is not what went wrong.
                if simulators.failure is None:
                    raise
                raise simulators.failure from error

    def first(self, number: int) -> Iterator[Maps]:
        start = self._order.first
        for block in self._simulators.blocks(self._spans(range(start, start + number))):
            index = np.array(block.indices)
            names = self.task.inputs.name, self.task.labels.name
            maps = block.lensed[0].copy(), block.kappa[0].copy()
            block.release()
            yield dict(zip(names, maps, strict=True)) | {"index": index}

    def batches(self, steps: range, seed: int, batch_size: int) -> Iterator[Maps]:
        assert (seed, batch_size) == (self._order.seed, self._order.batch_size)
        names = self.task.inputs.name, self.task.labels.name
        return (dict(zip(names, pair, strict=True)) for pair in self.pairs(steps))

    def pairs(self, steps: range) -> Iterator[Pair]:
        """Yields the batches of a range of the run's steps.

        Args:
          steps: counted from 0.

        Yields:
          Lensed maps (µK) and κ, float32 of shape (batch, npix, npix, channels).
        """
        shapes = self.task.input_shape, self.task.label_shape
        runs = self._runs(steps)
        for step in steps:
            size, filled = self._order.examples_of(step), 0
            lensed, kappa = (np.empty((size, *shape), np.float32) for shape in shapes)
            while filled < size:
                if (run := next(runs, None)) is None:  # another stream has begun
                    return
                block, look, rows = run
                place = slice(filled, filled + rows.stop - rows.start)
                lensed[place], kappa[place] = block.lensed[look, rows], block.kappa[look, rows]
                filled = place.stop
            if not block.is_there:
                return
            yield lensed, kappa

    def _runs(self, steps: range) -> Iterator[tuple[SimulatedBlock, int, slice]]:
        """Yields where the examples of steps are in memory: runs of a block's looks, none too long.

        A run is read before the next one is asked for.
        """
        sizes = map(self._order.examples_of, itertools.count(steps.start))
        room = next(sizes)
        spans = (s for window, _ in self._order.windows(steps) for s in self._spans(window.indices))
        blocks = self._simulators.blocks(spans)
        skies = self._work.skies
        for window, position in self._order.windows(steps):
            number_of_blocks = math.ceil(len(window.indices) / skies)
            held: list[SimulatedBlock] = []
            released = 0
            while position < window.examples:
                look, sky = divmod(position, len(window.indices))
                number, row = divmod(sky, skies)
                # Of later looks all blocks are there.
                held += itertools.islice(blocks, max(0, number + 1 - len(held)))
                if len(held) <= number:
                    return
                left = min(room, window.examples - position)
                end = len(held[number].indices)
                stop = min(end, row + left)
                yield held[number], look, slice(row, stop)
                position += stop - row
                room = room - (stop - row) or next(sizes)
                # The rest of a block that a batch ends in is still to be read.
                over = number + (stop == end) if look == self._order.reuse - 1 else 0
                for block in held[released:over]:
                    block.release()
                released = max(released, over)
            held += itertools.islice(blocks, number_of_blocks - len(held))
            for block in held[released:]:
                block.release()

    def _spans(self, indices: range) -> Iterator[range]:
        """Cuts indices into blocks."""
        for first in range(indices.start, indices.stop, self._work.skies):
            yield range(first, min(first + self._work.skies, indices.stop))
