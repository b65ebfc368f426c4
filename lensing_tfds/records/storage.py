"""Files that are there whole or not at all, on a disk or in a bucket."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lensing_tfds.errors import LensingError
from lensing_tfds.records import buckets, unfinished

if TYPE_CHECKING:  # commands' help waits for no library
    import numpy as np
    from numpy.typing import NDArray

_BUFFER_BYTES = 2**18
_OBJECT_ERRORS = ("aiobotocore", "aiohttp", "botocore", "gcsfs", "google")  # packages that raise


_ADVICE = {
    errno.EISDIR: ": a file belongs there; move the folder away, and run the same command again",
    errno.EACCES: ": let your user (chmod, chown), and run the same command again",
    errno.EPERM: ": let your user (chmod, chown), and run the same command again",
}
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError")


def is_remote(path: str) -> bool:
    """Says whether a path is in a bucket: `s3://...`, `gs://...`."""
    return "://" in path


def expanded(path: str) -> str:
    """Returns a path with `~` expanded, as no shell does within `--data_dir=~/datasets`."""
    return path if is_remote(path) else os.path.expanduser(path)


def folder_name(folder: str | os.PathLike[str]) -> str:
    """Returns the text of a folder that Python was given, `~` expanded.

    Raises:
      LensingError: it is neither text nor a path.
    """
    name = os.fspath(folder) if isinstance(folder, str | os.PathLike) else None
    if not isinstance(name, str):
        raise LensingError(f"data_dir is {folder!r}: give a folder, as text or as a path")
    return expanded(name)


def require_reachable(folder: str) -> None:
    """Refuses a folder in a bucket that cannot be asked for anything; not one that is not there.

    Raises:
      LensingError: the kind of bucket is not known, it needs a package, or it does not let us in.
    """
    if is_remote(folder):
        size(f"{folder.rstrip('/')}/lensing")


@contextlib.contextmanager
def writing(path: str) -> Iterator[BinaryIO]:
    """Yields a file to write to, which appears as `path` when the block ends without an error.

    On a disk it is then there for good (fsync). A process killed at any moment leaves the old file
    or the new one; two that write the same path at once do not disturb each other.

    Raises:
      LensingError: the file cannot be written; the message holds its path and the reason.
    """
    with _errors_named("write", path):
        if not is_remote(path) and os.path.isdir(path):  # found out before any work is done
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if is_remote(path):
            with buckets.writing_object(path) as file:
                yield file
        else:
            with (
                unfinished.becoming(path) as temporary,
                open(temporary, "wb", _BUFFER_BYTES) as file,
            ):
                yield file


@contextlib.contextmanager
def reading(path: str) -> Iterator[BinaryIO]:
    """Yields a file to read from.

    Raises:
      LensingError: it cannot be read; the message holds its path and the reason.
    """
    with (
        _errors_named("read", path),
        buckets.file_system(path).open(path, "rb", block_size=buckets.BLOCK_BYTES)
        if is_remote(path)
        else open(path, "rb") as file,
    ):
        yield file


def read_into(path: str, start: int, buffer: NDArray[np.uint8]) -> int:
    """Reads the bytes of a file from a place on.

    A file that is cut short meanwhile gives fewer; mapped into memory it would end the process.

    Args:
      path: the file.
      start: place of the first byte.
      buffer: what they are read into, contiguous.

    Returns:
      How many there were: fewer than the buffer has where the file ends before.

    Raises:
      LensingError: it cannot be read; the message holds its path and the reason.
    """
    with _errors_named("read", path):
        if is_remote(path):
            content = buckets.file_system(path).cat_file(path, start=start, end=start + len(buffer))
            buffer.data[: len(content)] = content
            return len(content)
        done, descriptor = 0, os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while count := os.preadv(descriptor, [buffer.data[done:]], start + done):
                done += count
        finally:
            os.close(descriptor)
        return done


def size(path: str) -> int | None:
    """Returns the bytes of a file, or None if there is none.

    Raises:
      LensingError: its folder cannot be read, or it is a folder itself.
    """
    with _errors_named("read", path):
        try:
            if is_remote(path):
                return buckets.file_system(path).size(path)
            found = os.stat(path)
            if stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            return found.st_size
        except (FileNotFoundError, NotADirectoryError):
            return None


def sizes(folder: str) -> dict[str, int]:
    """Returns the bytes of the files of a folder, by name; none if there is no folder.

    Raises:
      LensingError: the folder cannot be read.
    """
    with _errors_named("read", folder):
        try:
            if is_remote(folder):
                entries = buckets.file_system(folder).ls(folder, detail=True)
                return {entry["name"].rpartition("/")[2]: entry["size"] for entry in entries}
            with os.scandir(folder) as scan:
                return {entry.name: entry.stat().st_size for entry in scan if entry.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            return {}


def folders(folder: str) -> list[str]:
    """Returns the names of the folders in a folder; none if there is no folder.

    Raises:
      LensingError: the folder cannot be read.
    """
    with _errors_named("read", folder):
        try:
            if is_remote(folder):
                entries = buckets.file_system(folder).ls(folder, detail=True)
                return [
                    entry["name"].rstrip("/").rpartition("/")[2]
                    for entry in entries
                    if entry["type"] == "directory"
                ]
            with os.scandir(folder) as scan:
                return [entry.name for entry in scan if entry.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []


def remove(path: str) -> None:
    """Removes a file, if it is there and that can be done."""
    with contextlib.suppress(LensingError), _errors_named("remove", path):
        buckets.file_system(path).rm_file(path) if is_remote(path) else os.unlink(path)


def remove_abandoned(folder: str) -> None:
    """Removes what killed processes left half-written in a folder; others' work is left alone."""
    if not is_remote(folder):  # nothing is ever half-written there
        unfinished.remove_abandoned(folder)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` when the block ends; otherwise as `writing`.

    It is for libraries that open a file by themselves. An empty file is there already, to be
    written over; its name has the ending of `path`'s, by which Keras chooses the format.

    Raises:
      LensingError: the file cannot be written; the message holds its path and the reason.
    """
    with _errors_named("write", str(path)), unfinished.becoming(str(path)) as temporary:
        yield Path(temporary)


def make_folder(path: Path) -> None:
    """Makes a folder, with its parents, that files can be written to.

    What killed processes left half-written there is removed.

    Raises:
      LensingError: that is impossible; the message holds the path and the reason.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise LensingError(f"cannot write to the folder {path}: {error.strerror}") from error
    remove_abandoned(str(path))


@contextlib.contextmanager
def _errors_named(verb: str, path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if not isinstance(error, OSError) and package not in _OBJECT_ERRORS:
            raise
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        advice = _ADVICE.get(getattr(error, "errno", None) or 0, "")
        if type(error).__name__ in _NO_CREDENTIALS:
            advice = ": set the bucket's credentials, as AWS_ACCESS_KEY_ID and the like"
        raise LensingError(f"cannot {verb} {path}: {reason.splitlines()[0]}{advice}") from error
