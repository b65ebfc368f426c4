"""A process that simulates blocks of skies into shared memory, as `simulators` asks it to.

It reads what it simulates from that memory, then requests from a socket, and ends with the process
that started it, however that ends.
"""

from __future__ import annotations

import dataclasses
import math
import mmap
import os
import pickle
import signal
import socket
import struct
import sys

import numpy as np
from numpy.typing import NDArray

from lensing_tfds import symmetries
from lensing_tfds.configs import KAPPA, LensingConfig
from lensing_tfds.processes import end_with
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky.spectra import PowerSpectra

REQUEST = struct.Struct("<3q")
"""The slot that a block goes to, its first index and its number of skies."""

DONE = struct.Struct("<q")
"""The slot that holds a block now."""

_PLACE = struct.Struct("<2q")  # of the pickled work: its first byte, and how many there are
_HEADER = 4096  # bytes, a page: the slots begin behind it


@dataclasses.dataclass(frozen=True)
class Work:
    """Blocks of skies, and the shared memory that holds them in slots.

    Attributes:
      config: the version.
      split: whose random streams the skies are of.
      table: the spectra that they are drawn from.
      looks: at each sky, with noise of their own.
      turned: whether a sky's k-th look is changed by the square's symmetry k mod 8.
      skies: in a block at most.
      slots: blocks that the memory holds.
    """

    config: LensingConfig
    split: str
    table: PowerSpectra
    looks: int
    turned: bool
    skies: int
    slots: int

    @property
    def size(self) -> int:
        """Bytes of the shared memory, but for the table behind the slots."""
        return _HEADER + self.slots * self._slot_bytes

    def memory(self, file: int) -> mmap.mmap:
        """Makes a file the shared memory, from which `of` reads the work.

        Args:
          file: the descriptor of an empty one.
        """
        content = pickle.dumps(self)
        os.ftruncate(file, self.size + len(content))
        memory = mmap.mmap(file, 0)
        memory[: _PLACE.size] = _PLACE.pack(self.size, len(content))
        memory[self.size :] = content
        return memory

    @classmethod
    def of(cls, memory: mmap.mmap) -> Work:
        """Reads the work from the shared memory, which this process's parent made."""
        start, length = _PLACE.unpack_from(memory)
        work = pickle.loads(memory[start : start + length])
        assert isinstance(work, cls)
        return work

    def maps(self, memory: mmap.mmap, slot: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns the maps of a slot: lensed (µK) and κ, of each look at each sky.

        Args:
          memory: the shared one.
          slot: its number.

        Returns:
          Float32 of shape (looks, skies, npix, npix, channels), and the same of one channel.
        """
        lensed, kappa = self._shapes
        start = _HEADER + slot * self._slot_bytes
        return (
            np.ndarray(lensed, np.float32, memory, start),
            np.ndarray(kappa, np.float32, memory, start + self._bytes(lensed)),
        )

    @property
    def _slot_bytes(self) -> int:
        return sum(map(self._bytes, self._shapes))

    @property
    def _shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        maps = (self.looks, self.skies, self.config.npix, self.config.npix)
        return (*maps, len(self.config.channels)), (*maps, 1)

    @staticmethod
    def _bytes(shape: tuple[int, ...]) -> int:
        return 4 * math.prod(shape)


def serve(control: socket.socket, memory: mmap.mmap) -> None:
    """Simulates what is asked for until nobody is left to ask.

    Args:
      control: gives requests, and takes word of each block that is done.
      memory: the shared one.
    """
    work = Work.of(memory)
    simulator = Simulator(work.config, work.split, work.table)
    requests = control.makefile("rb")
    while len(request := requests.read(REQUEST.size)) == REQUEST.size:
        slot, start, skies = REQUEST.unpack(request)
        _simulate(simulator, work, range(start, start + skies), *work.maps(memory, slot))
        control.sendall(DONE.pack(slot))


def _simulate(
    simulator: Simulator,
    work: Work,
    indices: range,
    lensed: NDArray[np.float32],
    kappa: NDArray[np.float32],
) -> None:
    first = 0
    for looks, labels in simulator.looks(indices, work.looks):
        rows = slice(first, first + len(labels))
        for look, maps in enumerate(looks):
            element = look % symmetries.ORDER if work.turned else 0
            lensed[look, rows] = _turned(maps, work.config.channels, element)
            kappa[look, rows] = _turned(labels, (KAPPA,), element)
        first = rows.stop


def _turned(
    maps: NDArray[np.float32], channels: tuple[str, ...], element: int
) -> NDArray[np.float32]:
    if element == 0:
        return maps
    return symmetries.transform(maps, channels, np.full(len(maps), element))


def main() -> None:
    """Runs the process; its arguments are a socket, the shared memory, and its parent."""
    control, file, parent = map(int, sys.argv[1:])
    # A batch system warns all processes of a job: this one ends with its parent, not before.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with(parent)
    serve(socket.socket(fileno=control), mmap.mmap(file, 0))
