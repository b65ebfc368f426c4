"""The bytes of a shard in TFRecord's format: frames of records, without TensorFlow."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from lensing_tfds.records.example_records import Layout, parts_alike, records_alike, rows_of
from lensing_tfds.simulation import Examples

_HEADER_BYTES, _FOOTER_BYTES = 12, 4  # of a frame: length and its checksum; the data's checksum
FRAME_BYTES = _HEADER_BYTES + _FOOTER_BYTES
"""Bytes of a frame beside its record's."""


def stretches(blocks: Iterable[Examples]) -> Iterator[NDArray[np.uint8]]:
    """Encodes the examples of a file, piece by piece.

    Args:
      blocks: the examples, as the simulator yields them.

    Yields:
      The file's bytes, in pieces: each stays until the next is asked for. An example's frame is
      its length with a checksum, the record, and the record's checksum.
    """
    frame, room = None, np.empty((0, 0), np.uint8)  # memory that is new again takes its time
    for examples in blocks:
        for record, part in parts_alike(examples):
            number = len(part["index"])
            if frame is not (frame := _frame(record)) or number > len(room):
                room = frame.empty(number)
            frames = room[:number]
            frame.fill(frames, part)
            yield frames.reshape(-1)


class Frame(Layout):
    """The known parts of an example's frame in a TFRecord file."""

    def checksums(self, frames: NDArray[np.uint8]) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
        records = frames[:, _HEADER_BYTES:-_FOOTER_BYTES]
        yield slice(-_FOOTER_BYTES, None), rows_of(map(_masked_crc, records))


def frames(map_bytes: Mapping[str, int], start: int, stop: int) -> Iterator[tuple[range, Frame]]:
    """Divides indices into ranges whose frames are alike; see `Layout`.

    Args:
      map_bytes: size of each map of an example, by feature.
      start: index of the first example.
      stop: one past the index of the last.

    Yields:
      Indices, and their frame.
    """
    for indices, record in records_alike(map_bytes, start, stop):
        yield indices, _frame(record)


@functools.lru_cache(maxsize=64)
def _frame(record: Layout) -> Frame:
    length = struct.pack("<Q", record.size)
    return record.framed(Frame, {0: length + _masked_crc(length)}, _FOOTER_BYTES)


def num_bytes(map_bytes: Mapping[str, int], start: int, stop: int) -> int:
    """Returns the size of a file of examples: one example more or less, and it is another.

    Args:
      map_bytes: size of each map of an example, by feature.
      start: index of the first example.
      stop: one past the index of the last.
    """
    return sum(len(indices) * frame.size for indices, frame in frames(map_bytes, start, stop))


def region(map_bytes: Mapping[str, int], start: int, indices: range) -> tuple[int, int]:
    """Returns the place and the size of the frames of examples in their file.

    Args:
      map_bytes: size of each map of an example, by feature.
      start: index of the file's first example.
      indices: of the examples.
    """
    begin = num_bytes(map_bytes, start, indices.start)
    return begin, num_bytes(map_bytes, indices.start, indices.stop)


def frames_in(content: NDArray[np.uint8], begin: int, number: int) -> NDArray[np.uint8]:
    """Returns the frames in a region of a file: (number, size) bytes.

    Args:
      content: of the region.
      begin: its place.
      number: of frames, which are alike.
    """
    del begin
    return content.reshape(number, -1)


def records(file: BinaryIO) -> Iterator[bytes]:
    """Reads the records of a TFRecord file one by one, checking each.

    Args:
      file: open for reading.

    Raises:
      ValueError: a record is corrupted, or the file ends within it.
    """
    while header := file.read(_HEADER_BYTES):
        if len(header) < _HEADER_BYTES or header[8:] != _masked_crc(header[:8]):
            raise ValueError("damaged record header")
        (length,) = struct.unpack("<Q", header[:8])
        record = file.read(length)
        if len(record) < length or file.read(_FOOTER_BYTES) != _masked_crc(record):
            raise ValueError("damaged record")
        yield record


def _masked_crc(data: bytes | NDArray[np.uint8]) -> bytes:
    """TFRecord's checksum: CRC-32C, rotated and shifted so that a checksum has another one."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
