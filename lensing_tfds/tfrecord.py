"""The bytes of a shard: TFRecord frames of `tf.train.Example`s, written without TensorFlow.

A worker that simulates need not import TensorFlow, and the frames of a block differ in nothing but
their maps, index and checksums: filling a template takes a tenth of the time of a general encoder.
The records are those of protobuf's deterministic serialisation.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from lensing_tfds.simulation import Examples

FEATURES = ("lensed", "unlensed", "kappa")
"""The maps of an example."""

_HEADER_BYTES, _FOOTER_BYTES = 12, 4  # of a frame: length and its checksum; the data's checksum
_LENGTH_DELIMITED = 2  # protobuf's wire type of strings, bytes, messages and packed numbers


def encode(examples: Examples) -> bytes:
    """Encodes a block of examples as a stretch of a TFRecord file.

    Args:
      examples: a block, as the simulator yields it.

    Returns:
      One frame per example: length, checksum of the length, record, checksum of the record. The
      record is a `tf.train.Example` with raw little-endian float32 maps.
    """
    varints = [_varint(index) for index in examples["index"].tolist()]
    ends = [i for i in range(1, len(varints)) if len(varints[i]) != len(varints[i - 1])]
    bounds = [0, *ends, len(varints)]
    maps = {name: _as_bytes(examples[name]) for name in FEATURES}
    return b"".join(
        _encode_alike(varints[start:stop], {name: rows[start:stop] for name, rows in maps.items()})
        for start, stop in zip(bounds, bounds[1:], strict=False)
    )


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


def _as_bytes(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Views a block of maps as rows of little-endian bytes."""
    return np.ascontiguousarray(maps, "<f4").reshape(len(maps), -1).view(np.uint8)


def _encode_alike(varints: list[bytes], maps: dict[str, NDArray[np.uint8]]) -> bytes:
    """Encodes examples whose indices take equally many bytes, so that their frames are alike."""
    index_size, map_size = len(varints[0]), maps[FEATURES[0]].shape[1]
    # In protobuf's deterministic order, that of the names: the index comes first.
    parts = [(_int64_feature_head("index", index_size), index_size)]
    parts += [(_bytes_feature_head(name, map_size), map_size) for name in sorted(FEATURES)]
    opening = _field(1, sum(len(head) + size for head, size in parts))

    template = bytearray(opening)
    places = []
    for head, size in parts:
        template += head
        places.append(slice(_HEADER_BYTES + len(template), _HEADER_BYTES + len(template) + size))
        template += bytes(size)
    length = struct.pack("<Q", len(template))
    template = bytearray(length + _masked_crc(length) + template + bytes(_FOOTER_BYTES))

    frames = np.empty((len(varints), len(template)), np.uint8)
    frames[:] = np.frombuffer(template, np.uint8)
    frames[:, places[0]] = np.frombuffer(b"".join(varints), np.uint8).reshape(-1, index_size)
    for name, place in zip(sorted(FEATURES), places[1:], strict=True):
        frames[:, place] = maps[name]
    checksums = [_masked_crc(row[_HEADER_BYTES:-_FOOTER_BYTES].tobytes()) for row in frames]
    frames[:, -_FOOTER_BYTES:] = np.frombuffer(b"".join(checksums), np.uint8).reshape(-1, 4)
    return frames.tobytes()


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


def _int64_feature_head(name: str, size: int) -> bytes:
    """What stands before the varint of an `Int64List` of one value."""
    packed = _field(1, size)
    head = _field(3, len(packed) + size) + packed
    return _entry_head(name, len(head) + size) + head
