"""JSON files that a search cannot do without: each has a seal, and a copy beside it.

A file holds an object, whose "sha256" is that of all else, and names the release that wrote it. The
copy, `.search.json.copy` of search.json, is written after the file, and read where the file is
missing or damaged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lensing_tfds import strict_json
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing
from lensing_tfds.release import stamped, unstamped

_SEAL = "sha256"


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Writes a file and its copy, each whole or not at all.

    Raises:
      LensingError: they cannot be written.
    """
    text = json.dumps(stamped(values))
    sealed = {**json.loads(text), _SEAL: strict_json.digest(json.loads(text))}
    for target in (path, copy_of(path)):
        with replacing(target) as temporary:
            temporary.write_text(json.dumps(sealed, indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any] | None:
    """Reads a file, or its copy where the file is missing or damaged; None where there is neither.

    Raises:
      LensingError: both are missing or damaged.
    """
    faults = []
    for source in (path, copy_of(path)):
        if source.exists():
            try:
                return _read(source)
            except LensingError as error:
                faults.append(error)
    if faults:
        raise LensingError(f"{faults[0]}; restore the file, or --overwrite to start anew")
    return None


def repair(path: Path) -> str | None:
    """Writes a file again from its copy, or the copy from the file.

    Returns:
      A line that says so; None where nothing had to be done.

    Raises:
      LensingError: both are damaged, or the file cannot be written.
    """
    values = read(path)
    if values is None:
        return None
    for source in (path, copy_of(path)):
        try:
            _read(source)
        except LensingError:
            state = "damaged" if source.exists() else "missing"
            write(path, values)
            return f"{source} is {state}: it is written again"
    return None


def copy_of(path: Path) -> Path:
    """Names the copy of a file."""
    return path.with_name(f".{path.name}.copy")


def _read(path: Path) -> dict[str, Any]:
    values = strict_json.read(str(path))
    if values.pop(_SEAL, None) != strict_json.digest(values):
        raise LensingError(f"{path} is damaged, or was not written by this version")
    return unstamped(values)
