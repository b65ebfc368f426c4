"""Processes that simulate skies into shared memory, ahead of who takes them, in order.

No map is pickled or copied on its way. The memory has no name: nothing of it is left when the last
process that has it open ends, however it ends. A process that dies is replaced, and what it had not
finished is done again.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import mmap
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError
from lensing_tfds.simulator_process import DONE, REQUEST, Work

_ASKED_FOR = 2  # blocks of a process at once: it never waits for the next one
_MOST_DEATHS = 4  # of processes, with no block done between them
_LOOK_SECONDS = 0.2
_CODE = "from lensing_tfds.simulator_process import main; main()"  # not as `__main__`: it unpickles
_WORDS = 2**20  # bytes of what a process says

# Are for the process that starts the others, and ends them: a mask is inherited, a handler is not.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# One core a process: its libraries' own threads would only wait for one another.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class SimulatedBlock:
    """A block of skies in shared memory, where it stays until it is released.

    Attributes:
      indices: of its skies.
      lensed: µK, float32 of shape (looks, skies, npix, npix, channels).
      kappa: float32 of shape (looks, skies, npix, npix, 1).
    """

    def __init__(self, simulators: Simulators, stream: _Stream, slot: int, indices: range):
        self._simulators = simulators
        self._stream = stream
        self.indices = indices
        maps = simulators.maps(slot)
        self.lensed, self.kappa = (values[:, : len(indices)] for values in maps)

    @property
    def is_there(self) -> bool:
        """Says whether it is still in memory, which another stream's blocks may have taken."""
        return self._simulators.gives(self._stream)

    def release(self) -> None:
        """Gives the memory back; blocks are released in the order in which they came."""
        self._simulators.release(self._stream)


class Simulators:
    """Processes that simulate the blocks of one stream at a time; a context manager.

    Attributes:
      simulated: skies so far.
      failure: why there are no more blocks; None while there are.

    Args:
      work: the blocks, and their memory.
      number: of processes.
    """

    def __init__(self, work: Work, number: int):
        self.simulated = 0
        self.failure: LensingError | None = None
        self._work = work
        self._number = number
        self._changed = threading.Condition()
        self._processes: list[_Process] = []
        self._stream = _Stream(())
        self._again: collections.deque[_Task] = collections.deque()  # whose process died
        self._deaths = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Simulators:
        self._file = os.memfd_create("skies")
        self._memory: mmap.mmap = self._work.memory(self._file)
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        os.close(self._file)  # the memory goes with the last view of it

    @property
    def process_ids(self) -> list[int]:
        """Of the processes that run now."""
        with self._changed:
            return [process.popen.pid for process in self._processes]

    def blocks(self, spans: Iterable[range]) -> Iterator[SimulatedBlock]:
        """Simulates blocks, ahead of who takes them by as many as there are slots.

        Another call ends the one before.

        Args:
          spans: the indices of each block, at most `skies` of the work.

        Yields:
          The blocks, in order.

        Raises:
          LensingError: processes die again and again.
        """
        stream = _Stream(spans)
        with self._changed:
            self._stream = stream
            self._again.clear()
            self._ask()
            self._changed.notify_all()
            if self._thread is None:  # whoever wants no skies waits for no processes
                self._thread = threading.Thread(target=self._run, name="simulators", daemon=True)
                self._thread.start()
        number = 0
        while (indices := self._taken(stream, number)) is not None:
            yield SimulatedBlock(self, stream, number % self._work.slots, indices)
            number += 1

    def _taken(self, stream: _Stream, number: int) -> range | None:
        """Waits for a block; returns its indices, or None where there are no more."""
        with self._changed:
            while self.gives(stream):
                if number in stream.done:
                    return stream.done.pop(number)
                if stream.over and number == stream.asked:
                    return None
                if self.failure is not None:
                    raise self.failure
                self._changed.wait()
            return None

    def gives(self, stream: _Stream) -> bool:
        """Says whether a stream's blocks are in memory: another's are not written over them."""
        return stream is self._stream and not self._closed

    def maps(self, slot: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns what a slot holds: see `Work.maps`."""
        return self._work.maps(self._memory, slot)

    def release(self, stream: _Stream) -> None:
        """Gives back the slot of a stream's first block that has not been released."""
        with self._changed:
            stream.released += 1
            self._ask()

    def _ask(self) -> None:
        """Asks processes that have little to do for the next blocks, as slots are free."""
        stream = self._stream
        # What is simulated for a stream that has ended still writes into its slots.
        if any(task.stream is not stream for p in self._processes for task in p.tasks):
            return
        while idle := [p for p in self._processes if len(p.tasks) < _ASKED_FOR]:
            task = self._again.popleft() if self._again else stream.next_task(self._work.slots)
            if task is None:
                return
            min(idle, key=lambda process: len(process.tasks)).ask(task, self._work.slots)

    def _run(self) -> None:
        """Starts processes, hears of what they have done, and replaces them, until all is over."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        with selectors.DefaultSelector() as selector:
            try:
                while not self._closed and self.failure is None:
                    self._start(selector)
                    for key, _ in selector.select(_LOOK_SECONDS):
                        self._hear(key.data, selector)
            except Exception as error:
                self._fail(f"simulators cannot be started: {error}")
                raise
            finally:
                for process in self._processes:
                    process.end()

    def _start(self, selector: selectors.BaseSelector) -> None:
        """Starts the processes that there are not: one, until it has shown that it can work."""
        # Compiled code is kept by the first process to compile it, and read by the others.
        wanted = self._number if self.simulated else 1
        while len(self._processes) < wanted:
            process = _Process(self._file)
            selector.register(process.control, selectors.EVENT_READ, process)
            with self._changed:
                self._processes.append(process)
                self._ask()

    def _hear(self, process: _Process, selector: selectors.BaseSelector) -> None:
        if process.has_done():
            with self._changed:
                task = process.tasks.popleft()
                task.stream.done[task.number] = task.indices
                self.simulated += len(task.indices)
                self._deaths = 0
                self._ask()
                self._changed.notify_all()
            return
        selector.unregister(process.control)
        last_words = process.end()
        with self._changed:
            self._processes.remove(process)
            self._again.extend(task for task in process.tasks if task.stream is self._stream)
            self._deaths += 1
        if self._deaths >= _MOST_DEATHS:
            self._fail(
                f"{self._deaths} simulators died one after the other, with nothing done between "
                f"them: {last_words}"
            )

    def _fail(self, reason: str) -> None:
        with self._changed:
            self.failure = LensingError(reason)
            self._changed.notify_all()


class _Stream:
    """Blocks that are taken in order.

    Attributes:
      asked: number of blocks that somebody was asked for.
      released: number of blocks that are no longer needed.
      done: number of each block that is simulated and not taken, and its indices.

    Args:
      spans: indices of the blocks.
    """

    def __init__(self, spans: Iterable[range]):
        self.asked = self.released = 0
        self.done: dict[int, range] = {}
        self._spans = iter(spans)
        self._next = next(self._spans, None)

    @property
    def over(self) -> bool:
        """Says whether all blocks are asked for."""
        return self._next is None

    def next_task(self, slots: int) -> _Task | None:
        """Returns the next block; None where there is none, or no slot for it."""
        indices = self._next
        if indices is None or self.asked - self.released >= slots:
            return None
        self._next = next(self._spans, None)
        self.asked += 1
        return _Task(self, self.asked - 1, indices)


@dataclasses.dataclass(frozen=True)
class _Task:
    """The number-th block of a stream."""

    stream: _Stream
    number: int
    indices: range


class _Process:
    """A process that simulates, the socket to it, and what it was asked for and has not done.

    Args:
      memory: descriptor of the shared one.
    """

    def __init__(self, memory: int):
        self.tasks: collections.deque[_Task] = collections.deque()
        self.control, theirs = socket.socketpair()
        self._errors = os.memfd_create("errors")
        environment = os.environ | dict.fromkeys(_THREADS, "1")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        with theirs:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", _CODE, *map(str, (theirs.fileno(), memory, os.getpid()))],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                pass_fds=(theirs.fileno(), memory),
                env=environment,
            )

    def ask(self, task: _Task, slots: int) -> None:
        """Asks for a block; should the process have died, that is noticed by who hears it."""
        self.tasks.append(task)
        indices = task.indices
        with contextlib.suppress(OSError):
            self.control.sendall(REQUEST.pack(task.number % slots, indices.start, len(indices)))

    def has_done(self) -> bool:
        """Hears that a block is done; whether the process lives."""
        with contextlib.suppress(OSError):
            return len(self.control.recv(DONE.size, socket.MSG_WAITALL)) == DONE.size
        return False

    def end(self) -> str:
        """Ends the process, if it has not ended; returns its last words."""
        self.popen.kill()
        status = self.popen.wait()
        self.control.close()
        words = os.pread(self._errors, _WORDS, 0).decode(errors="replace")
        os.close(self._errors)
        lines = words.strip().splitlines()
        if lines:
            return lines[-1]
        if status == -signal.SIGKILL:
            return "killed (out of memory? fewer --simulators take less)"
        return f"exit status {status}"
