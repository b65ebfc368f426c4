"""One process at a time in a folder, by a lock of the operating system's.

The lock goes with the process that holds it, however that ends: a kill leaves no lock behind. What
the file says of its holder is for people; who holds the lock is for the system to know.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from lensing_tfds.errors import LensingError

LOCK = ".lock"
"""Name of the file in the folder."""


@contextlib.contextmanager
def alone_in(folder: Path, doing: str, wait: bool = False, lock: str = LOCK) -> Iterator[None]:
    """Keeps other processes out of a folder, those of other machines that share it too.

    Where the file system has no locks it warns instead.

    Args:
      folder: a folder that exists.
      doing: the work that must not be done twice at once, as in "another process is <doing>".
      wait: for the other process to end.
      lock: name of the lock's file, for work that holds other work in the folder.

    Raises:
      LensingError: another process holds the folder; the message says which, and since when. Or
        the folder cannot be written to.
    """
    path = folder / lock
    try:
        file = _locked(path, wait)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            raise LensingError(
                f"another process is {doing} in {folder}{_holder(path)}: wait until it has ended, "
                "or name another folder"
            ) from error
        raise LensingError(f"cannot write {path}: {error.strerror}") from error
    with file:
        file.truncate(0)  # what one that was killed has left
        file.write(
            f"process {os.getpid()} on {socket.gethostname()}, "
            f"since {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
        )
        file.flush()
        try:
            yield
        finally:
            # While it is locked: who waits for it will see that it is gone, and make another.
            path.unlink(missing_ok=True)


def _locked(path: Path, wait: bool) -> TextIO:
    """Opens and locks the file that has the path."""
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):
                file.close()
                raise
            warnings.warn(
                f"the file system of {path.parent} has no locks: see to it that no other process "
                "works there",
                stacklevel=4,
            )
            return file
        if _has_path(file, path):
            return file
        file.close()  # its last holder removed it between the two calls


def _has_path(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    try:
        holder = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    return f" ({holder})" if holder else ""
