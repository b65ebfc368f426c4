"""Fingerprints of the files that a subject's estimates are read from.

Scores outlive what they were measured on: training goes on, predictions are made again. Kept beside
the scores, a fingerprint tells whether the files are still those that were judged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from lensing_tfds.errors import LensingError

Fingerprint = Mapping[str, str]
"""SHA-256 hashes of files, 64 hexadecimal digits each, by their names in one folder."""


def fingerprint(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Hashes the content of files.

    Args:
      folder: that they are in.
      names: theirs.

    Raises:
      LensingError: one cannot be read.
    """
    return {name: _sha256(folder / name) for name in names}


def changed(folder: Path, judged: Fingerprint) -> str | None:
    """Names the first file that is not what it was, or no longer there.

    Args:
      folder: that the files are in.
      judged: their hashes, as they were.
    """
    for name, expected in judged.items():
        path = folder / name
        if not path.exists() or _sha256(path) != expected:
            return name
    return None


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LensingError(f"cannot read {path}: {error.strerror}") from error
