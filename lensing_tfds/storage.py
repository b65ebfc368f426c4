"""Files that are there whole or not at all, on a disk or in a bucket."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator
from typing import BinaryIO

from lensing_tfds.configs import LensingError

# Under this ending a file is written: with the host and the process, so that what a killed
# process left can be told from what a living one is writing.
_UNFINISHED = re.compile(r"\.unfinished-(?P<host>[\w.-]+)-(?P<pid>\d+)-[0-9a-f]{8}$")
_ABANDONED_SECONDS = 3600  # another machine's file is abandoned when it has not grown for so long

_BUFFER_BYTES = 2**18


def is_remote(path: str) -> bool:
    """Whether a path is in a bucket: `s3://...`, `gs://...`."""
    return "://" in path


@contextlib.contextmanager
def writing(path: str) -> Iterator[BinaryIO]:
    """Yields a file to write to, which appears as `path` when the block ends without an error.

    By then it is on the disk (fsync). A process killed at any moment leaves the old file or the
    new one; two that write the same path at once do not disturb each other. In a bucket an
    object appears only when it is whole, and is written directly.

    Raises:
      LensingError: the file cannot be written; the message holds its path and the reason.
    """
    host = re.sub(r"[^\w.-]", "_", socket.gethostname())
    temporary = f"{path}.unfinished-{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        with open(temporary, "xb", buffering=_BUFFER_BYTES) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _fsync_folder(os.path.dirname(path) or ".")
    except OSError as error:
        raise LensingError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


@contextlib.contextmanager
def reading(path: str) -> Iterator[BinaryIO]:
    """Yields a file to read from.

    Raises:
      LensingError: it cannot be read; the message holds its path and the reason.
    """
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise LensingError(f"cannot read {path}: {error.strerror or error}") from error


def size(path: str) -> int | None:
    """Returns the bytes of a file, or None if there is none.

    Raises:
      LensingError: its folder cannot be read.
    """
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LensingError(f"cannot read {path}: {error.strerror or error}") from error


def remove(path: str) -> None:
    """Removes a file, if it is there and that can be done."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def remove_abandoned(folder: str) -> None:
    """Removes what killed processes left half-written in a folder; others' work is left alone."""
    if is_remote(folder):
        return  # nothing is ever half-written there
    with contextlib.suppress(OSError):  # somebody else may be removing it too
        for entry in os.scandir(folder):
            match = _UNFINISHED.search(entry.name)
            if match and _is_abandoned(entry, match["host"], int(match["pid"])):
                os.unlink(entry.path)


def _is_abandoned(entry: os.DirEntry[str], host: str, pid: int) -> bool:
    if host != re.sub(r"[^\w.-]", "_", socket.gethostname()):
        return time.time() - entry.stat().st_mtime > _ABANDONED_SECONDS
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _fsync_folder(folder: str) -> None:
    """Makes a renaming last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
