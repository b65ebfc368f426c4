"""Formats of shards: TFRecord, which streams, and ArrayRecord, which TFDS reads at random.

Their examples' records are the same bytes; what is around them differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from lensing_tfds.errors import LensingError
from lensing_tfds.records import array_record, tfrecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lensing_tfds.records.example_records import Layout
    from lensing_tfds.simulation import Examples

TFRECORD, ARRAY_RECORD = "tfrecord", "array_record"
"""Names of the formats, TFDS's own: the endings of files, but for a shard's number."""


class FileFormat(Protocol):
    """A module that knows the bytes of a format; see `tfrecord`."""

    def stretches(self, blocks: Iterable[Examples]) -> Iterator[bytes | NDArray[np.uint8]]: ...

    def frames(
        self, map_bytes: Mapping[str, int], start: int, stop: int
    ) -> Iterator[tuple[range, Layout]]: ...

    def num_bytes(self, map_bytes: Mapping[str, int], start: int, stop: int) -> int: ...

    def region(
        self, map_bytes: Mapping[str, int], start: int, indices: range
    ) -> tuple[int, int]: ...

    def frames_in(
        self, content: NDArray[np.uint8], begin: int, number: int
    ) -> NDArray[np.uint8]: ...

    def records(self, file: BinaryIO) -> Iterator[bytes]: ...


FILE_FORMATS: Mapping[str, FileFormat] = {TFRECORD: tfrecord, ARRAY_RECORD: array_record}
"""By name."""


def known_format(file_format: Any) -> str | None:
    """Returns the name of a format that shards may have; None for None.

    Args:
      file_format: its name, or what TFDS has for it.

    Raises:
      LensingError: it is no such format.
    """
    name = getattr(file_format, "value", file_format)
    if name is not None and name not in FILE_FORMATS:
        raise LensingError(f"file format {name}: lensing is written as {', '.join(FILE_FORMATS)}")
    return name


def format_of(path: str) -> str:
    """Returns the name of a shard's format, which its file's name holds; else TFRecord."""
    name = path.rpartition("/")[2]
    return ARRAY_RECORD if f".{ARRAY_RECORD}" in name else TFRECORD
