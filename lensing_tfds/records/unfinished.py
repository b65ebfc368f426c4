"""Files and folders of a disk that are written under another name until they are whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import hashlib
import os
import re
import shutil
import socket
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

# A file is written under this name, locked for as long: the kernel knows whether its writer lives,
# whatever ended it, where process ids and host names mislead (containers may share either).
_UNFINISHED = re.compile(r"\.unfinished-(?P<machine>[0-9a-f]{12})-[0-9a-f]{12}-.+", re.DOTALL)
# Where locks do not reach, a file is abandoned when it has not grown for so long.
_ABANDONED_SECONDS = 3600


@contextlib.contextmanager
def becoming(path: str) -> Iterator[str]:
    """Yields the name of a file of its own, locked, that becomes `path` when the block ends.

    Raises:
      OSError: it cannot be written.
    """
    temporary, lease = _unfinished(path)
    try:
        yield temporary
        os.fsync(lease)
        os.replace(temporary, path)
        _fsync_folder(os.path.dirname(path) or ".")
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        os.close(lease)  # which also ends the lock


def _unfinished(path: str) -> tuple[str, int]:
    """Makes the file that `path` is written to at first.

    Returns:
      Its name, and a descriptor that locks it while it is open.
    """
    while True:
        temporary = _name(path)
        lease = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(lease, fcntl.LOCK_EX)
            if os.fstat(lease).st_nlink:
                return temporary, lease
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            os.close(lease)
            raise
        os.close(lease)  # between creating and locking it was taken for abandoned, and removed


@contextlib.contextmanager
def folder_beside(path: str) -> Iterator[str]:
    """Yields a new folder in that of `path`, locked, which is removed when the block ends.

    Raises:
      OSError: it cannot be made.
    """
    while True:
        temporary = _name(path)
        os.mkdir(temporary)
        try:
            lease = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # as below
            continue
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lease, fcntl.LOCK_EX)
        if os.fstat(lease).st_nlink:
            break
        os.close(lease)  # between making and locking it was taken for abandoned, and removed
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(lease)  # which also ends the lock


def _name(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".unfinished-{machine()}-{uuid.uuid4().hex[:12]}-{name}")


def remove_abandoned(folder: str) -> None:
    """Removes what killed processes left half-written in a folder; others' work is left alone."""
    entries: list[os.DirEntry[str]] = []
    with contextlib.suppress(FileNotFoundError):  # somebody removed it, with all that was in it
        entries += os.scandir(folder)
    for entry in entries:
        if match := _UNFINISHED.fullmatch(entry.name):
            with contextlib.suppress(OSError):  # somebody else may have removed it, or may only
                _remove_if_abandoned(entry.path, match["machine"])


def _remove_if_abandoned(path: str, writer: str) -> None:
    """Removes a file, or a folder, whose writer is dead.

    Args:
      path: of it.
      writer: the machine that it was written on, see `machine`.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        locked = _lock_at_once(file)
        if locked is False:
            return  # it is being written
        # A lock that was free proves something on the machine of the writer only: some network file
        # systems lock for each machine by itself, and some not at all.
        silent = time.time() - os.fstat(file).st_mtime
        if (locked and writer == machine()) or silent > _ABANDONED_SECONDS:
            if stat.S_ISDIR(os.fstat(file).st_mode):
                shutil.rmtree(path)
            else:
                os.unlink(path)
    finally:
        os.close(file)


def _lock_at_once(file: int) -> bool | None:
    """Locks an open file: whether that succeeded; None where files cannot be locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


@functools.cache
def machine() -> str:
    """Returns a name of the running kernel, of all containers on it and of no other machine."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        name = socket.gethostname()
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def _fsync_folder(folder: str) -> None:
    """Makes a renaming last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
