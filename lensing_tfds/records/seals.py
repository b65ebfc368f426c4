"""Checksums: of a shard, in a small file beside it; of a dataset's other files, all in one file.

A seal has a checksum of itself, so that a damaged seal is not taken for damaged data.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

import google_crc32c

from lensing_tfds import strict_json
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage

FILE = "checksums.json"
"""Name of the file in a dataset's folder that holds the checksums of the others but the shards."""

SHARD_SEAL = ".crc32c"
"""Ending of the name of the file that holds a shard's checksum."""

_OWN = "crc32c_of_this"


class DamagedSealError(Exception):
    """A seal is not as it was written."""


def checksum(content: bytes) -> str:
    """Returns the CRC-32C of bytes, eight hexadecimal digits."""
    return f"{google_crc32c.value(content):08x}"


def sealed(fields: Mapping[str, Any]) -> bytes:
    """Returns the content of a file that holds JSON fields and their checksum."""
    return json.dumps({**fields, _OWN: _checksum_of(fields)}).encode()


def unsealed(content: bytes) -> dict[str, Any]:
    """Returns the fields of a file made by `sealed`.

    One without a checksum is taken as it is: older ones have none.

    Raises:
      DamagedSealError: it is damaged.
    """
    try:
        fields = strict_json.parse(content, "seal")
    except LensingError as error:
        raise DamagedSealError from error
    found = fields.pop(_OWN, None)
    if found not in (None, _checksum_of(fields)):
        raise DamagedSealError
    return fields


def seal_of(contents: Mapping[str, bytes]) -> bytes:
    """Returns the content of the file `FILE` for files that are given by name and content."""
    sums = {name: checksum(content) for name, content in sorted(contents.items())}
    return sealed({"crc32c": sums})


def faults(folder: str) -> dict[str, str]:
    """Compares the files of a dataset, but for the shards, with their checksums.

    Args:
      folder: of the dataset.

    Returns:
      What is wrong, by the file's name, as in "<name> <what>". Empty if nothing is, or if there are
      no checksums: datasets built before they were introduced have none. Their shards' seals have
      no checksum of their own either; beside others, the file of checksums is missing.

    Raises:
      LensingError: a file cannot be read.
    """
    sums = _checksums(folder)
    if sums is None:
        return {FILE: "is damaged"}
    if not sums and _has_sealed_shards(folder):
        return {FILE: "is missing"}
    found = {}
    for name, expected in sums.items():
        content = content_of(folder, name)
        if content is None:
            found[name] = "is missing"
        elif checksum(content) != expected:
            found[name] = "is damaged: its checksum differs"
    return found


def names(folder: str) -> list[str]:
    """Returns the names of the files of a dataset that have a checksum in `FILE`."""
    return sorted(_checksums(folder) or ())


def _checksums(folder: str) -> dict[str, str] | None:
    """The checksums by name; empty if there is no file of them, None if it is damaged."""
    content = content_of(folder, FILE)
    if content is None:
        path = f"{folder}/{FILE}"
        is_link = not storage.is_remote(path) and os.path.islink(path)
        return None if is_link else {}  # a link to nothing
    try:
        fields = unsealed(content)
    except DamagedSealError:
        return None
    sums = fields.get("crc32c")
    if content != sealed(fields) or not isinstance(sums, dict) or len(fields) != 1:
        return None
    return sums


def _has_sealed_shards(folder: str) -> bool:
    """Says whether a shard's seal has a checksum of its own, as all have since there is `FILE`."""
    for name in sorted(storage.sizes(folder)):
        if name.endswith(SHARD_SEAL):
            content = content_of(folder, name)
            with contextlib.suppress(LensingError):
                return _OWN in strict_json.parse(content or b"", name)
    return False


def content_of(folder: str, name: str) -> bytes | None:
    """Returns the content of a file of a dataset, whatever it is; None if there is no such file.

    Raises:
      LensingError: it cannot be read.
    """
    path = f"{folder}/{name}"
    if storage.size(path) is None:
        return None
    with storage.reading(path) as file:
        return file.read()


def _checksum_of(fields: Mapping[str, Any]) -> str:
    return checksum(json.dumps(fields, sort_keys=True).encode())
