"""The trainer's libraries, imported without TensorFlow's start-up notes."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

_level_is_ours = False  # an earlier block has set it


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Silences what TensorFlow's C++ says while it is imported in this block.

    Its notes about devices and instruction sets would bury what a person wants to read, and those
    of its first moment ignore TF_CPP_MIN_LOG_LEVEL, so they are caught at the file descriptor.
    Who sets that variable wants to see them: nothing is silenced then. Exceptions pass.
    """
    global _level_is_ours
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ and not _level_is_ours:
        yield
        return
    _level_is_ours = True
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.getLogger("absl").setLevel(logging.ERROR)  # TFDS warns of what is as it should be
    sys.stderr.flush()
    stderr = os.dup(2)
    with open(os.devnull, "w", encoding="utf-8") as devnull:
        os.dup2(devnull.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
