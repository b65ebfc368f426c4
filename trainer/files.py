"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from lensing_tfds.configs import LensingError


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
        probe.unlink()
    except OSError as error:
        raise LensingError(f"cannot write to the folder {path}: {error.strerror}") from error
