"""The bytes of a shard in ArrayRecord's format, without its library.

An ArrayRecord file is a Riegeli file (chunks of records, interrupted every 64 KiB by the header of
a block) with the places of its chunks at its end. Written here is what ArrayRecord's own writer
writes, with the options of `_OPTIONS`, byte for byte: one example a chunk, not compressed, as
noise cannot be; so the place of every example is known. Formats: github.com/google/riegeli,
doc/riegeli_records_file_format.md, and github.com/google/array_record.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.records.example_records import Layout, field, records_alike, serialized, varint
from lensing_tfds.simulation import Examples

_OPTIONS = "group_size:1,transpose:false,pad_to_block_boundary:false,uncompressed,max_parallelism:1"

_BLOCK, _BLOCK_HEAD = 2**16, 24
_PAYLOAD = _BLOCK - _BLOCK_HEAD
_CHUNK_HEAD = 40
_SIGNATURE, _PADDING, _RECORDS = b"spr"  # kinds of chunks
_MAGIC = bytes.fromhex("dec0ebfe84cec3c971")  # of ArrayRecord's postscript, a varint
_POSTSCRIPTS = 3
_NOT_COMPRESSED = 0

Sizes = Mapping[str, int]


def stretches(blocks: Iterable[Examples]) -> Iterator[bytes]:
    """Encodes the examples of a file, piece by piece.

    Args:
      blocks: the examples, as the simulator yields them.

    Yields:
      The file's bytes, in pieces.
    """
    place, chunks = _CHUNK_HEAD + _BLOCK_HEAD, []
    yield from _in_blocks(0, _chunk(_SIGNATURE, 0, 0, b""))
    for examples in blocks:
        for record in serialized(examples):
            chunk = _chunk_of([record])
            yield from _in_blocks(place, chunk)
            chunks.append((place, len(record)))
            place = _behind(place, len(chunk))
    for chunk in _ending(place, chunks):
        yield from _in_blocks(place, chunk)
        place = _behind(place, len(chunk))


def frames(map_bytes: Sizes, start: int, stop: int) -> Iterator[tuple[range, Frame]]:
    """Divides indices into ranges whose frames are alike; see `tfrecord.frames`.

    A frame is a chunk as it is without the headers of blocks.
    """
    for indices, record in records_alike(map_bytes, start, stop):
        yield indices, _frame(record)


def num_bytes(map_bytes: Sizes, start: int, stop: int) -> int:
    """Returns the size of a file of examples; arguments as of `tfrecord.num_bytes`."""
    place, chunks = _CHUNK_HEAD + _BLOCK_HEAD, []
    for indices, record in records_alike(map_bytes, start, stop):
        size = _frame(record).size
        for _ in indices:
            chunks.append((place, record.size))
            place = _behind(place, size)
    for chunk in _ending(place, chunks):
        place = _behind(place, len(chunk))
    return place


def region(map_bytes: Sizes, start: int, indices: range) -> tuple[int, int]:
    """Returns place and size of the chunks of examples in their file; see `tfrecord.region`."""
    before = sum(len(part) * f.size for part, f in frames(map_bytes, start, indices.start))
    begin = _behind(_CHUNK_HEAD + _BLOCK_HEAD, before)
    size = sum(len(part) * f.size for part, f in frames(map_bytes, indices.start, indices.stop))
    return begin, _behind(begin, size) - begin


def frames_in(content: NDArray[np.uint8], begin: int, number: int) -> NDArray[np.uint8]:
    """Returns the chunks in a region of a file, without blocks' headers; see `tfrecord`."""
    parts, at = [], 0
    while at < len(content):
        in_block = (begin + at) % _BLOCK
        first = at + max(0, _BLOCK_HEAD - in_block)
        at += _BLOCK - in_block
        parts.append(content[first:at])
    return np.concatenate(parts).reshape(number, -1)


def records(file: BinaryIO) -> Iterator[bytes]:
    """Reads the records of a file one by one, checking each, and at last their places.

    Args:
      file: open for reading.

    Raises:
      ValueError: a record is corrupted, the file ends before its end, or it was written with
        other options.
    """
    chunks: list[tuple[int, int]] = []
    ending: list[bytes] = []
    for chunk in _chunks(file):
        if not chunk.place:
            if chunk.kind != _SIGNATURE or chunk.data:
                raise ValueError("no file of records")
        elif not ending and chunk.number == 1 and chunk.kind == _RECORDS:
            record = _only_record(chunk)
            chunks.append((chunk.place, len(record)))
            yield record
        else:
            ending = ending or _ending(chunk.place, chunks)
            if chunk.content != ending.pop(0):
                raise ValueError("damaged places of records, or compressed, in groups")
            if not ending and file.read(1):
                raise ValueError("something behind its end")
            if not ending:
                return
    raise ValueError("its end is missing")


class Frame(Layout):
    """The known parts of an example's chunk."""

    def checksums(self, frames: NDArray[np.uint8]) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
        from lensing_tfds.records.highway_hash import hashes  # numba is slow to import

        for place, hashed in (
            (slice(16, 24), slice(_CHUNK_HEAD, None)),  # of the data
            (slice(8), slice(8, _CHUNK_HEAD)),  # of the rest of the header, the data's among it
        ):
            numbers = hashes(frames[:, hashed]).astype("<u8")
            yield place, numbers[:, None].view(np.uint8)


@functools.lru_cache(maxsize=64)
def _frame(record: Layout) -> Frame:
    prefix = _sizes([record.size])
    head = {
        8: struct.pack("<Q", len(prefix) + record.size),
        24: struct.pack("<QQ", _RECORDS | 1 << 8, record.size) + prefix,
    }
    return record.framed(Frame, head, 0)


class _Chunk(NamedTuple):
    """A chunk of a file.

    Attributes:
      place: where it begins in the file.
      kind: of chunk.
      number: of records in it.
      data: its content but for its header.
      content: all of it, without the headers of blocks.
    """

    place: int
    kind: int
    number: int
    data: bytes
    content: bytes


def _chunks(file: BinaryIO) -> Iterator[_Chunk]:
    """Reads a file chunk by chunk, checking each."""
    place = 0
    while True:
        head = _read(file, place, _CHUNK_HEAD)
        if not head:
            return
        own, size, data_hash, kind, _ = struct.unpack("<5Q", head)
        if own != _hash(head[8:]):
            raise ValueError("damaged header of a record")
        behind = _behind(place, _CHUNK_HEAD)
        data = _read(file, behind, size) if size else b""
        if data_hash != _hash(data):
            raise ValueError("damaged record")
        yield _Chunk(place, kind & 0xFF, kind >> 8, data, head + data)
        place = _behind(place, _CHUNK_HEAD + size)


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    """Reads what a place and the next ones hold, but for blocks' headers, which are checked.

    Returns:
      So many bytes; none at the end of the file.
    """
    parts: list[bytes] = []
    while size:
        if place % _BLOCK == 0:
            head = file.read(_BLOCK_HEAD)
            if not head and not parts:
                return b""
            if len(head) < _BLOCK_HEAD or head[:8] != struct.pack("<Q", _hash(head[8:])):
                raise ValueError("damaged header of a block")
            place += _BLOCK_HEAD
        wanted = min(size, _BLOCK - place % _BLOCK)
        part = file.read(wanted)
        if len(part) < wanted:
            raise ValueError("it is cut short")
        parts.append(part)
        place += wanted
        size -= wanted
    return b"".join(parts)


def _only_record(chunk: _Chunk) -> bytes:
    size = len(chunk.data)
    for length in range(1, 11):  # of a varint
        prefix = _sizes([size - 2 - length])
        if len(prefix) == 2 + length and chunk.data.startswith(prefix):
            return chunk.data[len(prefix) :]
    raise ValueError("a record that is compressed, or not alone")


def _in_blocks(place: int, chunk: bytes) -> Iterator[bytes]:
    """Cuts a chunk that begins at a place where blocks begin, and puts their headers there."""
    begin, end, at = place, _behind(place, len(chunk)), 0
    while at < len(chunk):
        if place % _BLOCK == 0:
            head = struct.pack("<QQ", place - begin, end - place)
            yield struct.pack("<Q", _hash(head)) + head
            place += _BLOCK_HEAD
        step = min(len(chunk) - at, _BLOCK - place % _BLOCK)
        yield chunk[at : at + step]
        at += step
        place += step


def _behind(place: int, size: int) -> int:
    """Returns the place behind so many bytes from a place on, headers of blocks not counted."""
    whole, rest = divmod(place, _BLOCK)
    blocks, more = divmod(whole * _PAYLOAD + max(0, rest - _BLOCK_HEAD) + size, _PAYLOAD)
    return blocks * _BLOCK + (more and more + _BLOCK_HEAD)


def _ending(place: int, chunks: list[tuple[int, int]]) -> list[bytes]:
    """Returns the chunks behind the examples': where these are, and where that is said.

    Args:
      place: where the first begins.
      chunks: place of each example's, and size of its record.
    """
    options, number = _OPTIONS.encode(), varint(len(chunks))
    about = b"\x08\x01\x10" + number + b"\x18" + number + field(4, len(options)) + options
    entries = [field(1, len(about)) + about]
    entries += [b"\x08" + varint(at) + b"\x10" + varint(size) + b"\x18\x01" for at, size in chunks]
    footer = _chunk_of(entries)
    behind = _behind(place, len(footer))
    padding = _padding(behind)
    postscript = b"\x08" + varint(place) + b"\x10" + _MAGIC
    last = _chunk_of([postscript] * _POSTSCRIPTS)
    begin = _behind(behind, len(padding))
    return [*filter(None, (footer, padding, last, _padding(_behind(begin, len(last)))))]


def _padding(place: int) -> bytes:
    """Returns the chunk that fills a block from a place on; none at its begin."""
    rest = -place % _BLOCK
    if not rest:
        return b""
    size = rest - _CHUNK_HEAD
    return _chunk(_PADDING, 0, 0, bytes(size if size >= 0 else size + _PAYLOAD))


def _chunk_of(parts: list[bytes]) -> bytes:
    data = b"".join([_sizes(list(map(len, parts))), *parts])
    return _chunk(_RECORDS, len(parts), sum(map(len, parts)), data)


def _sizes(sizes: list[int]) -> bytes:
    """Returns what stands before records of these sizes in their chunk."""
    content = b"".join(map(varint, sizes))
    return bytes([_NOT_COMPRESSED]) + varint(len(content)) + content


def _chunk(kind: int, number: int, decoded_size: int, data: bytes) -> bytes:
    head = struct.pack("<QQQQ", len(data), _hash(data), kind | number << 8, decoded_size)
    return b"".join([struct.pack("<Q", _hash(head)), head, data])


def _hash(data: bytes) -> int:
    from lensing_tfds.records.highway_hash import hashes  # numba is slow to import

    return int(hashes(np.frombuffer(data, np.uint8)[None])[0])
