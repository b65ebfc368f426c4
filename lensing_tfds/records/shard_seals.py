"""The seal of a shard: a small file beside it with its checksum, and what it is a shard of."""

from __future__ import annotations

import re
from typing import Any, Protocol

import google_crc32c

from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.errors import LensingError
from lensing_tfds.records import seals, storage
from lensing_tfds.records.shard_plans import ShardSpec

_CHUNK_BYTES = 2**20  # read at a time when a shard is verified


class Sealed(Protocol):
    """A file with its seal beside it; see `ShardSpec`."""

    @property
    def path(self) -> str: ...

    @property
    def seal_path(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...


def write_seal(spec: Sealed, crc: int, num_bytes: int) -> None:
    """Writes the seal of a file.

    Args:
      spec: the file.
      crc: its CRC-32C.
      num_bytes: its size.

    Raises:
      LensingError: the seal cannot be written.
    """
    fields = {"crc32c": f"{crc:08x}", "num_bytes": num_bytes, "fingerprint": spec.fingerprint}
    with storage.writing(spec.seal_path) as file:
        file.write(seals.sealed(fields))


def read_seal(spec: Sealed) -> dict[str, Any] | None:
    """Returns the seal of a file, of `crc32c`, `num_bytes` and `fingerprint`; None without one.

    Raises:
      DamagedSealError: the seal is damaged.
      LensingError: it cannot be read.
    """
    if storage.size(spec.seal_path) is None:
        return None
    with storage.reading(spec.seal_path) as file:
        fields = seals.unsealed(file.read())
    kinds = {"crc32c": str, "num_bytes": int, "fingerprint": str}
    if {name: type(value) for name, value in fields.items()} != kinds:
        raise seals.DamagedSealError
    return fields


def damage(spec: Sealed) -> str | None:
    """Says what is wrong with a shard, reading all of it.

    Returns:
      None if the shard is finished and intact; otherwise what is wrong, as in "shard ... <damage>".

    Raises:
      LensingError: a bucket cannot be read.
    """
    try:
        return _damage(spec)
    except LensingError as error:  # a folder in its place, or no right to read it
        if storage.is_remote(spec.path):
            raise
        return f"cannot be verified: {error}"


def _damage(spec: Sealed) -> str | None:
    size = storage.size(spec.path)
    if size is None:
        return "is missing"
    try:
        seal = read_seal(spec)
    except seals.DamagedSealError:
        return f"cannot be verified: the checksum beside it is damaged ({spec.seal_path})"
    if seal is None:
        return f"has no checksum beside it ({spec.seal_path})"
    if seal["fingerprint"] != spec.fingerprint:
        return "holds other examples"
    if seal["num_bytes"] != size:
        return f"has {size:,} bytes instead of {seal['num_bytes']:,}"
    crc = 0
    with storage.reading(spec.path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc = google_crc32c.extend(crc, chunk)
    if seal["crc32c"] != f"{crc:08x}":
        return "does not have the bytes that were written: its checksum differs"
    return None


def refuse_other_examples(spec: ShardSpec, remedy: str) -> None:
    """Refuses a shard that holds others than its examples, as its seal says; reads just that.

    A shard without a seal passes, and so does one of another data version than this code's, of
    whose examples it knows nothing.

    Args:
      spec: the shard.
      remedy: the last words of the error's message.

    Raises:
      LensingError: it has other examples than its own, its seal is damaged, or cannot be read.
    """
    version = spec.path.rpartition("/")[0].rpartition("/")[2]
    if re.fullmatch(r"\d+\.\d+\.\d+", version) and version != DATASET_VERSION:
        return
    try:
        seal = read_seal(spec)
    except seals.DamagedSealError as error:
        raise LensingError(
            f"shard {spec.path} cannot be told from another: {spec.seal_path} is damaged: {remedy}"
        ) from error
    if seal is not None and seal["fingerprint"] != spec.fingerprint:
        raise LensingError(
            f"shard {spec.path} holds other examples, as {spec.seal_path} says (copied from "
            f"another dataset?): {remedy}"
        )
