"""Files that are there whole or not at all, on a disk or in a bucket."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lensing_tfds.errors import LensingError

# Under this ending a file is written: with the host and the process, so that what a killed
# process left can be told from what a living one is writing.
_UNFINISHED = re.compile(r"\.unfinished-(?P<host>[\w.-]+)-(?P<pid>\d+)-[0-9a-f]{8}$")
_ABANDONED_SECONDS = 3600  # another machine's file is abandoned when it has not grown for so long

_BUFFER_BYTES = 2**18
_OBJECT_BLOCK_BYTES = 2**23  # of an object in a bucket, sent or fetched at a time
_OBJECT_ERRORS = ("aiobotocore", "aiohttp", "botocore", "gcsfs", "google")  # packages that raise


def is_remote(path: str) -> bool:
    """Whether a path is in a bucket: `s3://...`, `gs://...`."""
    return "://" in path


@contextlib.contextmanager
def writing(path: str) -> Iterator[BinaryIO]:
    """Yields a file to write to, which appears as `path` when the block ends without an error.

    On a disk it is then there for good (fsync). A process killed at any moment leaves the old file
    or the new one; two that write the same path at once do not disturb each other.

    Raises:
      LensingError: the file cannot be written; the message holds its path and the reason.
    """
    write = _writing_object if is_remote(path) else _writing_file
    with _errors_named("write", path), write(path) as file:
        yield file


@contextlib.contextmanager
def reading(path: str) -> Iterator[BinaryIO]:
    """Yields a file to read from.

    Raises:
      LensingError: it cannot be read; the message holds its path and the reason.
    """
    with (
        _errors_named("read", path),
        _bucket(path).open(path, "rb", block_size=_OBJECT_BLOCK_BYTES)
        if is_remote(path)
        else open(path, "rb") as file,
    ):
        yield file


def size(path: str) -> int | None:
    """Returns the bytes of a file, or None if there is none.

    Raises:
      LensingError: its folder cannot be read.
    """
    with _errors_named("read", path):
        try:
            return _bucket(path).size(path) if is_remote(path) else os.stat(path).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None


def remove(path: str) -> None:
    """Removes a file, if it is there and that can be done."""
    with contextlib.suppress(LensingError), _errors_named("remove", path):
        _bucket(path).rm_file(path) if is_remote(path) else os.unlink(path)


def remove_abandoned(folder: str) -> None:
    """Removes what killed processes left half-written in a folder; others' work is left alone."""
    if is_remote(folder):
        return  # nothing is ever half-written there
    for entry in os.scandir(folder):
        match = _UNFINISHED.search(entry.name)
        with contextlib.suppress(OSError):  # somebody else may have removed it, or may only
            if match and _is_abandoned(entry, match["host"], int(match["pid"])):
                os.unlink(entry.path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` when the block ends.

    A process killed at any moment leaves the old file or the new one.

    Raises:
      LensingError: the file cannot be written; the message holds its path and the reason.
    """
    # The name's ending stays: Keras chooses the format by it.
    temporary = path.with_name(f".writing-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise LensingError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def make_folder(path: Path) -> None:
    """Makes a folder, with its parents, that files can be written to.

    Raises:
      LensingError: that is impossible; the message holds the path and the reason.
    """
    probe = path / ".writable"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may make the folder now too
    except OSError as error:
        raise LensingError(f"cannot write to the folder {path}: {error.strerror}") from error


@contextlib.contextmanager
def _errors_named(verb: str, path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if not isinstance(error, OSError) and package not in _OBJECT_ERRORS:
            raise
        reason = getattr(error, "strerror", None) or error or type(error).__name__
        raise LensingError(f"cannot {verb} {path}: {reason}") from error


@contextlib.contextmanager
def _writing_file(path: str) -> Iterator[BinaryIO]:
    temporary = f"{path}.unfinished-{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        with open(temporary, "xb", buffering=_BUFFER_BYTES) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _fsync_folder(os.path.dirname(path) or ".")
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


@contextlib.contextmanager
def _writing_object(path: str) -> Iterator[BinaryIO]:
    """An object appears only when it is whole: it needs no temporary name, and no renaming."""
    file = _bucket(path).open(path, "wb", block_size=_OBJECT_BLOCK_BYTES)
    try:
        yield file
    except BaseException:
        with contextlib.suppress(Exception):
            file.discard()
        file.closed = True  # closing it, as its destructor does, would send what there is
        raise
    file.close()


def _bucket(path: str) -> Any:
    """The fsspec file system of a path; epath's own, so that each sees what the other did."""
    import fsspec

    protocol = path.partition("://")[0]
    try:
        bucket = fsspec.filesystem(protocol)
    except (ImportError, ValueError) as error:
        raise LensingError(
            f"{path}: no way to reach {protocol}:// ({error}); pip install 'lensing-tfds[buckets]'"
        ) from error
    bucket.invalidate_cache()  # of listings: other machines write there too
    return bucket


def _host() -> str:
    return re.sub(r"[^\w.-]", "_", socket.gethostname())


def _is_abandoned(entry: os.DirEntry[str], host: str, pid: int) -> bool:
    if host != _host():
        return time.time() - entry.stat().st_mtime > _ABANDONED_SECONDS
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it lives, and is another user's
        return False
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        state = file.read().rpartition(")")[2].split()[0]
        return state == "Z"  # killed, and its parent has not asked how it ended
    return False


def _fsync_folder(folder: str) -> None:
    """Makes a renaming last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
