"""Processes that begin and end together: workers never outlive who started them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker

_LOOK_SECONDS = 0.5


def end_with(parent: int) -> None:
    """Ends this process, at once and without a word, as soon as its parent is gone.

    The parent may be gone already. Whatever ended it: nobody needs what this process would still
    do, and nobody would be there to end it.

    Args:
      parent: the process that started this one.
    """
    _when_gone(parent, lambda: os._exit(1))


def terminated_with(parent: int) -> None:
    """Sends this process SIGTERM as soon as its parent is gone, so that it keeps what it has.

    Args:
      parent: the process that started this one.
    """
    _when_gone(parent, lambda: os.kill(os.getpid(), signal.SIGTERM))


def _when_gone(parent: int, end: Callable[[], None]) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        end()

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


@contextlib.contextmanager
def ctrl_c_deferred() -> Iterator[None]:
    """Lets Ctrl-C wait until the block ends, and never reach the processes that it starts.

    A terminal sends the signal to all processes. Those that are just starting would each print a
    traceback; it is for this one to end them.
    """
    asked = False
    # Starting this helper of the standard library's, which the first process does otherwise, would
    # end the mask.
    resource_tracker.ensure_running()

    def remember(number: int, frame: object) -> None:
        nonlocal asked
        asked = True

    is_main = threading.current_thread() is threading.main_thread()  # the one that is interrupted
    handler = signal.signal(signal.SIGINT, remember) if is_main else None
    # A handler does not live on in a new program; a mask does.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if is_main:
            signal.signal(signal.SIGINT, handler or signal.SIG_DFL)
            if asked:
                signal.raise_signal(signal.SIGINT)
