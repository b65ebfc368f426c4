"""Signals to end (Ctrl-C, a batch system's SIGTERM), heard at once and obeyed between two steps.

An exception that a signal's handler raises within TensorFlow, as while it traces a function, is
taken for an error of that code, and one that it raises in a destructor is dropped.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import keras

from lensing_tfds.command_line import Suspended, Terminated

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """The signals to end that a process was sent, kept until somebody obeys."""

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self._came: tuple[int, FrameType | None] | None = None

    @property
    def asked(self) -> bool:
        """Says whether a signal waits."""
        return self._came is not None

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Takes a signal; the second one is obeyed at once."""
        again, self._came = self._came is not None, (number, frame)
        if again:
            self.obey()

    def obey(self) -> None:
        """Does what the process would have done on the signal that came, if one did."""
        if self._came is not None:
            number, frame = self._came
            self._came = None
            self.before[number](number, frame)


class EndBetweenSteps(keras.callbacks.Callback):
    """Obeys a signal that has come.

    Args:
      signals: that are held.
    """

    def __init__(self, signals: Signals) -> None:
        super().__init__()
        self._signals = signals

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._signals.obey()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._signals.obey()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._signals.obey()


_held: Signals | None = None  # by the outermost block of the main thread


@contextlib.contextmanager
def signals_held() -> Iterator[Signals]:
    """Yields the signals to end, which wait within the block until `obey` is called or it ends.

    A signal on which the process dies without a word keeps doing that. Blocks nest: the inner
    one's signals are the outer one's.
    """
    global _held
    if threading.current_thread() is not threading.main_thread():
        yield Signals()
        return
    if _held is not None:
        yield _held
        _held.obey()
        return
    signals = _held = Signals()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    signals.before = {number: h for number, h in handlers.items() if callable(h)}
    for number in signals.before:
        signal.signal(number, signals.hear)
    try:
        yield signals
    finally:
        _held = None
        for number, handler in signals.before.items():
            signal.signal(number, handler)
    signals.obey()


@contextlib.contextmanager
def ending_between_steps() -> Iterator[keras.callbacks.Callback]:
    """Yields a callback for `fit`, within which a signal to end waits for the end of the step."""
    with signals_held() as signals:
        yield EndBetweenSteps(signals)


@contextlib.contextmanager
def saying_what_is_kept(kept: Callable[[], str]) -> Iterator[None]:
    """Has a command that is asked to end within the block say where it goes on.

    SIGTERM is no failure of a command that goes on where it stopped. What other handlers than a
    command's own raise is left as it is.

    Args:
      kept: says it.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if error.args or type(error) not in (KeyboardInterrupt, Terminated):
            raise
        if isinstance(error, Terminated):
            raise Suspended(f"stopped by SIGTERM; {kept()}") from error
        raise KeyboardInterrupt(f"stopped by SIGINT; {kept()}") from error
