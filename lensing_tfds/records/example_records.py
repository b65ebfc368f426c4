"""The bytes of an example's record: a `tf.train.Example`, without TensorFlow.

Records alike differ in the index, the maps and checksums only: a block's maps are copied once,
between what stands there in all of them. The records are those of protobuf's deterministic
serialisation; those of any protobuf are read.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.simulation import Examples

# Protobuf's wire types: of numbers, and of strings, bytes, messages and packed numbers.
_VARINT, _LENGTH_DELIMITED = 0, 2
_VARINT_BYTES = 10  # at most, of 64 bits


def serialized(examples: Examples) -> Iterator[bytes]:
    """Encodes the examples of a block as records.

    Args:
      examples: a block, as the simulator yields it.

    Yields:
      Each example's record: a `tf.train.Example` with raw little-endian float32 maps.
    """
    for layout, part in parts_alike(examples):
        record = layout.empty(1)
        for row in range(len(part["index"])):
            layout.fill(record, {name: values[row : row + 1] for name, values in part.items()})
            yield record.tobytes()


@dataclasses.dataclass(frozen=True, eq=False)  # each is made once
class Layout:
    """The known parts of a record, or of a frame with a record, before it is read.

    Those of indices that take equally many bytes differ in the index, in the maps' values and in
    checksums, and in nothing else.

    Attributes:
      size: bytes of it.
      fixed: places, and the bytes that stand there in all of them.
      index: place of the index, a varint.
      maps: place of each map's values, by feature.
    """

    size: int
    fixed: tuple[tuple[slice, bytes], ...]
    index: slice
    maps: Mapping[str, slice]

    def fits(self, frames: NDArray[np.uint8], indices: range) -> bool:
        """Says whether frames are those of examples, undamaged, as this package writes them.

        Args:
          frames: (len(indices), size) bytes.
          indices: of the examples, all of the frame's length.
        """
        for place, content in self.fixed:
            if (frames[:, place] != np.frombuffer(content, np.uint8)).any():
                return False
        expected = b"".join(map(varint, indices))
        if frames[:, self.index].tobytes() != expected:
            return False
        return all((frames[:, place] == right).all() for place, right in self.checksums(frames))

    def empty(self, number: int) -> NDArray[np.uint8]:
        """Returns frames for `fill`: (number, size) bytes."""
        frames = np.empty((number, self.size), np.uint8)
        for place, content in self.fixed:
            frames[:, place] = np.frombuffer(content, np.uint8)
        return frames

    def fill(self, frames: NDArray[np.uint8], examples: Examples) -> None:
        """Encodes examples.

        Args:
          frames: those of `empty`, one for each, filled before or not.
          examples: maps by feature, and their indices, all of the layout's length.
        """
        frames[:, self.index] = rows_of(map(varint, examples["index"].tolist()))
        for name, place in self.maps.items():
            maps = np.ascontiguousarray(examples[name], "<f4")
            frames[:, place] = maps.reshape(len(frames), -1).view(np.uint8)
        for place, checksums in self.checksums(frames):
            frames[:, place] = checksums

    def checksums(self, frames: NDArray[np.uint8]) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
        """Computes the checksums of what is in frames.

        Args:
          frames: (number, size) bytes.

        Yields:
          Where they stand in each frame, and their bytes, (number, length): those that others are
          of before these others.
        """
        del frames
        yield from ()  # a record has none of its own

    def framed(self, kind: type[FrameLayout], head: Mapping[int, bytes], tail: int) -> FrameLayout:
        """Returns the layout of a frame around the record.

        Args:
          kind: the frame's.
          head: what stands before the record in all frames, by its place; up to the record.
          tail: bytes behind the record.
        """
        size = max(place + len(content) for place, content in head.items())

        def moved(place: slice) -> slice:
            return slice(place.start + size, place.stop + size)

        fixed = [(slice(place, place + len(content)), content) for place, content in head.items()]
        return kind(
            size + self.size + tail,
            (*fixed, *((moved(place), content) for place, content in self.fixed)),
            moved(self.index),
            {name: moved(place) for name, place in self.maps.items()},
        )


FrameLayout = TypeVar("FrameLayout", bound=Layout)


def rows_of(contents: Iterable[bytes]) -> NDArray[np.uint8]:
    """Stacks bytes, all of one length: (number, length)."""
    rows = list(contents)
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)


def parts_alike(examples: Examples) -> Iterator[tuple[Layout, Examples]]:
    """Divides a block into parts whose records are alike.

    Args:
      examples: a block, as the simulator yields it.

    Yields:
      The record of a part's examples, and the part.
    """
    map_bytes = {
        name: 4 * math.prod(values.shape[1:])
        for name, values in examples.items()
        if name != "index"
    }
    indices = examples["index"].tolist()

    def length(row: int) -> int:
        return len(varint(indices[row]))

    for _, group in itertools.groupby(range(len(indices)), length):
        rows = list(group)
        part = slice(rows[0], rows[-1] + 1)
        first = indices[part.start]
        ((_, layout),) = records_alike(map_bytes, first, first + 1)
        yield layout, {name: values[part] for name, values in examples.items()}


def records_alike(
    map_bytes: Mapping[str, int], start: int, stop: int
) -> Iterator[tuple[range, Layout]]:
    """Divides indices into ranges whose records are alike; arguments as of `frames`."""
    for length in range(1, _VARINT_BYTES):
        least, most = 128 ** (length - 1) if length > 1 else 0, 128**length
        if least >= stop:
            return
        if indices := range(max(start, least), min(stop, most)):
            yield indices, _record_layout(tuple(sorted(map_bytes.items())), least)


@functools.lru_cache(maxsize=64)
def _record_layout(map_bytes: tuple[tuple[str, int], ...], index: int) -> Layout:
    heads = [_bytes_feature_head(name, size) for name, size in map_bytes]
    maps_size = sum(map(len, heads)) + sum(size for _, size in map_bytes)
    before = _before_maps(index, maps_size)
    place = len(before)
    of_index = slice(place - len(varint(index)), place)
    head = before[: of_index.start]
    fixed, maps = [(slice(0, len(head)), head)], {}
    for (name, size), content in zip(map_bytes, heads, strict=True):
        fixed.append((slice(place, place + len(content)), content))
        place += len(content)
        maps[name] = slice(place, place + size)
        place += size
    return Layout(place, tuple(fixed), of_index, maps)


def decode(
    record: bytes, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[int, dict[str, NDArray[np.float32]]]:
    """Decodes a record: the inverse of `serialized`, for one example.

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


def varint(number: int) -> bytes:
    """Encodes a number: seven bits a byte, the lowest first; the eighth says that more follow."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, size: int) -> bytes:
    """Encodes the bytes before a field of `size` bytes."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(size)


def _entry_head(name: str, feature_size: int) -> bytes:
    """Returns the bytes before the feature in an entry of the map `Features.feature`."""
    key = name.encode()
    head = field(1, len(key)) + key + field(2, feature_size)
    return field(1, len(head) + feature_size) + head


def _bytes_feature_head(name: str, size: int) -> bytes:
    """Returns the bytes before those of a `BytesList` of one value."""
    value = field(1, size)
    head = field(1, len(value) + size) + value
    return _entry_head(name, len(head) + size) + head


def _before_maps(index: int, maps_size: int) -> bytes:
    """Returns the bytes of a record before the first of its maps' features."""
    first = _int64_feature("index", index)
    return field(1, len(first) + maps_size) + first


def _int64_feature(name: str, number: int) -> bytes:
    """An entry that holds an `Int64List` of one non-negative value."""
    packed = varint(number)
    value = field(1, len(packed)) + packed
    feature = field(3, len(value)) + value
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
