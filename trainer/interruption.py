"""Signals to end (Ctrl-C, a batch system's SIGTERM), heard at once and obeyed between two steps.

An exception that a signal's handler raises within TensorFlow, as while it traces a function, is
taken for an error of that code.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import keras

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _EndBetweenSteps(keras.callbacks.Callback):
    """Obeys a signal that has come, as the process would have without this callback."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[int, Any] = {}
        self._came: tuple[int, FrameType | None] | None = None

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Takes a signal; the second one is obeyed at once."""
        again, self._came = self._came is not None, (number, frame)
        if again:
            self.obey()

    def obey(self) -> None:
        """Does what the process does on the signal that came, if one did."""
        if self._came is not None:
            number, frame = self._came
            self._came = None
            self.before[number](number, frame)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.obey()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.obey()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.obey()


@contextlib.contextmanager
def ending_between_steps() -> Iterator[keras.callbacks.Callback]:
    """Yields a callback for `fit`, within which a signal to end waits for the end of the step.

    A signal on which the process dies without a word keeps doing that.
    """
    callback = _EndBetweenSteps()
    if threading.current_thread() is not threading.main_thread():
        yield callback
        return
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    callback.before = {number: h for number, h in handlers.items() if callable(h)}
    for number in callback.before:
        signal.signal(number, callback.hear)
    try:
        yield callback
    finally:
        for number, handler in callback.before.items():
            signal.signal(number, handler)
    callback.obey()
