"""The bytes of a shard: TFRecord frames of `tf.train.Example`s, without TensorFlow.

A worker that simulates or validates need not import TensorFlow, and an example's maps are joined
with what stands between them, without a general encoder, which would copy them several times. The
records are those of protobuf's deterministic serialisation; those of any protobuf are read.
"""

import dataclasses
import functools
import math
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from lensing_tfds.simulation import Examples

_HEADER_BYTES, _FOOTER_BYTES = 12, 4  # of a frame: length and its checksum; the data's checksum
FRAME_BYTES = _HEADER_BYTES + _FOOTER_BYTES
"""Bytes of a frame beside its record's."""

# Protobuf's wire types: of numbers, and of strings, bytes, messages and packed numbers.
_VARINT, _LENGTH_DELIMITED = 0, 2
_VARINT_BYTES = 10  # at most, of 64 bits


def encode(examples: Examples) -> list[bytes]:
    """Encodes a block of examples as a stretch of a TFRecord file.

    Args:
      examples: a block, as the simulator yields it.

    Returns:
      The stretch in pieces, not joined: large maps are copied just once. An example's frame is its
      length with a checksum, the record, and the record's checksum; the record is a
      `tf.train.Example` with raw little-endian float32 maps.
    """
    # Protobuf's deterministic order of a map; "index" is before all of them.
    names = sorted(name for name in examples if name != "index")
    maps = [np.ascontiguousarray(examples[name], "<f4").data.cast("B") for name in names]
    sizes = [len(values) // len(examples["index"]) for values in maps]
    heads = [_bytes_feature_head(name, size) for name, size in zip(names, sizes, strict=True)]
    maps_size = sum(map(len, heads)) + sum(sizes)
    pieces: list[bytes] = []
    for row, index in enumerate(examples["index"].tolist()):
        parts: list[bytes | memoryview] = [_before_maps(index, maps_size)]
        for head, values, size in zip(heads, maps, sizes, strict=True):
            parts += head, values[row * size : (row + 1) * size]
        record = b"".join(parts)
        length = struct.pack("<Q", len(record))
        pieces += length, _masked_crc(length), record, _masked_crc(record)
    return pieces


@dataclasses.dataclass(frozen=True)
class Frame:
    """The known parts of an example's frame, as `encode` writes it, before it is read.

    Frames of indices that take equally many bytes differ in these, in the maps' values and in the
    record's checksum, and in nothing else.

    Attributes:
      size: bytes of the frame.
      fixed: places, and the bytes that stand there in all of them.
      index: place of the index, a varint.
      maps: place of each map's values, by feature.
    """

    size: int
    fixed: tuple[tuple[slice, bytes], ...]
    index: slice
    maps: Mapping[str, slice]

    def fits(self, frames: NDArray[np.uint8], indices: range) -> bool:
        """Says whether frames are those of examples, undamaged, as `encode` writes them.

        Args:
          frames: (len(indices), size) bytes.
          indices: of the examples, all of the frame's length.
        """
        for place, content in self.fixed:
            if (frames[:, place] != np.frombuffer(content, np.uint8)).any():
                return False
        expected = b"".join(map(_varint, indices))
        if frames[:, self.index].tobytes() != expected:
            return False
        record, checksum = slice(_HEADER_BYTES, -_FOOTER_BYTES), slice(-_FOOTER_BYTES, None)
        return all(frame[checksum].tobytes() == _masked_crc(frame[record]) for frame in frames)


def frames(map_bytes: Mapping[str, int], start: int, stop: int) -> Iterator[tuple[range, Frame]]:
    """Divides indices into ranges whose frames are alike; see `Frame`.

    Args:
      map_bytes: size of each map of an example, by feature.
      start: index of the first example.
      stop: one past the index of the last.

    Yields:
      Indices, and their frame.
    """
    for length in range(1, _VARINT_BYTES):
        least, most = 128 ** (length - 1) if length > 1 else 0, 128**length
        if indices := range(max(start, least), min(stop, most)):
            yield indices, _frame(tuple(sorted(map_bytes.items())), least)


def num_bytes(map_bytes: Mapping[str, int], start: int, stop: int) -> int:
    """Returns the size of a file of examples: one example more or less, and it is another.

    Args:
      map_bytes: size of each map of an example, by feature.
      start: index of the first example.
      stop: one past the index of the last.
    """
    return sum(len(indices) * frame.size for indices, frame in frames(map_bytes, start, stop))


@functools.lru_cache(maxsize=64)
def _frame(map_bytes: tuple[tuple[str, int], ...], index: int) -> Frame:
    heads = [_bytes_feature_head(name, size) for name, size in map_bytes]
    maps_size = sum(map(len, heads)) + sum(size for _, size in map_bytes)
    before = _before_maps(index, maps_size)
    length = struct.pack("<Q", len(before) + maps_size)
    place = _HEADER_BYTES + len(before)
    of_index = slice(place - len(_varint(index)), place)
    head = (length + _masked_crc(length) + before)[: of_index.start]
    fixed, maps = [(slice(0, len(head)), head)], {}
    for (name, size), content in zip(map_bytes, heads, strict=True):
        fixed.append((slice(place, place + len(content)), content))
        place += len(content)
        maps[name] = slice(place, place + size)
        place += size
    return Frame(place + _FOOTER_BYTES, tuple(fixed), of_index, maps)


def decode(
    record: bytes, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[int, dict[str, NDArray[np.float32]]]:
    """Decodes a record: the inverse of `encode`, for one example.

    Args:
      record: a serialised `tf.train.Example`, with its features in any order.
      shapes: of the maps that it must have, by feature.

    Returns:
      The index, and the maps: read-only views of the record, float32, as `shapes` has them.

    Raises:
      ValueError: the record is no such example: it lacks a feature, has another one or one twice,
        a map has another size, or the bytes are not protobuf's.
    """
    index: int | None = None
    maps: dict[str, NDArray[np.float32]] = {}
    data = memoryview(record)
    for entry in _messages(_only_message(data, 1, "features"), 1, "feature"):
        name, feature = _name_and_feature(entry)
        if name in maps or (name == "index" and index is not None):
            raise ValueError(f"feature {name!r} is there twice")
        if name == "index":
            index = _int64(feature)
        elif name in shapes:
            content = _only_message(_only_message(feature, 1, "bytes_list"), 1, "value")
            if len(content) != 4 * math.prod(shapes[name]):
                raise ValueError(f"feature {name!r} has {len(content):,} bytes, not {shapes[name]}")
            maps[name] = np.frombuffer(content, "<f4").reshape(shapes[name])
        else:
            raise ValueError(f"feature {name!r} is not one of {', '.join(shapes)}, index")
    missing = [*(name for name in shapes if name not in maps), *["index"] * (index is None)]
    if index is None or missing:
        raise ValueError(f"without feature {', '.join(missing)}")
    return index, maps


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


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last byte have the highest bit set."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, size: int) -> bytes:
    """Returns the bytes before a field of `size` bytes."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(size)


def _entry_head(name: str, feature_size: int) -> bytes:
    """Returns the bytes before the feature in an entry of the map `Features.feature`."""
    key = name.encode()
    head = _field(1, len(key)) + key + _field(2, feature_size)
    return _field(1, len(head) + feature_size) + head


def _bytes_feature_head(name: str, size: int) -> bytes:
    """Returns the bytes before those of a `BytesList` of one value."""
    value = _field(1, size)
    head = _field(1, len(value) + size) + value
    return _entry_head(name, len(head) + size) + head


def _before_maps(index: int, maps_size: int) -> bytes:
    """Returns the bytes of a record before the first of its maps' features."""
    first = _int64_feature("index", index)
    return _field(1, len(first) + maps_size) + first


def _int64_feature(name: str, number: int) -> bytes:
    """An entry that holds an `Int64List` of one non-negative value."""
    packed = _varint(number)
    value = _field(1, len(packed)) + packed
    feature = _field(3, len(value)) + value
    return _entry_head(name, len(feature)) + feature


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """Reads a number at a place; returns it and the place behind it."""
    if at < len(data) and data[at] <= 0x7F:  # most are
        return data[at], at + 1
    number = 0
    for count, byte in enumerate(data[at : at + _VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * count
        if byte <= 0x7F:
            if number >= 2**64:
                break
            return number, at + count + 1
    raise ValueError("a number is cut short or has more than 64 bits")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yields the fields of a message: number, and value or content."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        value, at = _read_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            yield number, value
        elif wire_type == _LENGTH_DELIMITED and at + value <= len(data):
            yield number, data[at : at + value]
            at += value
        else:
            raise ValueError(f"field {number} is cut short or of an unknown kind")


def _messages(data: memoryview, field: int, known_as: str) -> Iterator[memoryview]:
    """Yields the contents of a repeated field of a message that has no other field."""
    for number, content in _fields(data):
        if number != field or isinstance(content, int):
            raise ValueError(f"field {number} where only {known_as} should be")
        yield content


def _only_message(data: memoryview, field: int, known_as: str) -> memoryview:
    """Returns the content of the one field that a message has."""
    contents = list(_messages(data, field, known_as))
    if len(contents) != 1:
        raise ValueError(f"{len(contents)} of {known_as}, not one")
    return contents[0]


def _name_and_feature(entry: memoryview) -> tuple[str, memoryview]:
    """Returns key and value of an entry of the map `Features.feature`."""
    fields = dict(_fields(entry))
    key, feature = fields.get(1), fields.get(2)
    if len(fields) != 2 or not isinstance(key, memoryview) or not isinstance(feature, memoryview):
        raise ValueError("a feature without a name or a value")
    return bytes(key).decode(), feature


def _int64(feature: memoryview) -> int:
    """Returns the number of an `Int64List` of one, packed or not."""
    values = list(_fields(_only_message(feature, 3, "int64_list")))
    if len(values) != 1 or values[0][0] != 1:
        raise ValueError("an index that is not one number")
    value = values[0][1]
    if not isinstance(value, int):
        value, end = _read_varint(packed := value, 0)
        if end != len(packed):
            raise ValueError("an index that is not one number")
    return value - 2**64 if value >= 2**63 else value
