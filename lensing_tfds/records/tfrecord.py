"""The bytes of a shard: TFRecord frames of `tf.train.Example`s, written without TensorFlow.

A worker that simulates need not import TensorFlow, and an example's maps are joined with what
stands between them, without a general encoder, which would copy them several times. The records are
those of protobuf's deterministic serialisation.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c
import numpy as np

from lensing_tfds.simulation import Examples

_HEADER_BYTES, _FOOTER_BYTES = 12, 4  # of a frame: length and its checksum; the data's checksum
_LENGTH_DELIMITED = 2  # protobuf's wire type of strings, bytes, messages and packed numbers


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
        first = _int64_feature("index", index)
        parts: list[bytes | memoryview] = [_field(1, len(first) + maps_size), first]
        for head, values, size in zip(heads, maps, sizes, strict=True):
            parts += head, values[row * size : (row + 1) * size]
        record = b"".join(parts)
        length = struct.pack("<Q", len(record))
        pieces += length, _masked_crc(length), record, _masked_crc(record)
    return pieces


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


def _masked_crc(data: bytes) -> bytes:
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
    """What stands before a field of `size` bytes."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(size)


def _entry_head(name: str, feature_size: int) -> bytes:
    """What stands before the feature in an entry of the map `Features.feature`."""
    key = name.encode()
    head = _field(1, len(key)) + key + _field(2, feature_size)
    return _field(1, len(head) + feature_size) + head


def _bytes_feature_head(name: str, size: int) -> bytes:
    """What stands before the bytes of a `BytesList` of one value."""
    value = _field(1, size)
    head = _field(1, len(value) + size) + value
    return _entry_head(name, len(head) + size) + head


def _int64_feature(name: str, number: int) -> bytes:
    """An entry that holds an `Int64List` of one non-negative value."""
    packed = _varint(number)
    value = _field(1, len(packed)) + packed
    feature = _field(3, len(value)) + value
    return _entry_head(name, len(feature)) + feature
