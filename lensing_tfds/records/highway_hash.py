"""HighwayHash-64 with Riegeli's key: the checksum of what is in an ArrayRecord file.

J. Alakuijala, B. Cox & J. Wassenberg, "Fast keyed hash/pseudo-random function using SIMD multiply
and permute", arXiv:1612.06257.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.compiled import compiled

_PACKET = 32  # bytes that are taken in at once: four numbers of 64 bits
_HALF = 0xFFFFFFFF

# The first digits of π, four numbers and four more; the key is "Riegeli/records\n", twice.
_START = np.array(
    [
        [0xDBE6D5D5FE4CCE2F, 0xA4093822299F31D0, 0x13198A2E03707344, 0x243F6A8885A308D3],
        [0x3BD39E10CB0EF593, 0xC0ACF169B5F18A8C, 0xBE5466CF34E90C6C, 0x452821E638D01377],
    ],
    np.uint64,
)
_KEY = np.frombuffer(b"Riegeli/records\n" * 2, "<u8").astype(np.uint64)


def hashes(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Returns the hash of each row of bytes.

    Args:
      rows: (n, size) bytes, each row contiguous.
    """
    found = np.empty(len(rows), np.uint64)
    size = rows.shape[1]
    whole = size - size % _PACKET
    last = np.zeros((len(rows), 4), np.uint64)
    if whole < size:
        last = np.ascontiguousarray(_last_packets(rows[:, whole:])).view("<u8")
    numbers = np.ascontiguousarray(rows[:, :whole]).view("<u8")
    key = np.stack([_KEY, _KEY >> np.uint64(32) | _KEY << np.uint64(32)])
    _hash_rows(numbers, last, size % _PACKET, np.concatenate([_START ^ key, _START]), found)
    return found


def _last_packets(rest: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The packets that fewer bytes than one make."""
    size = rest.shape[1]
    of_fours, odd = size - size % 4, size % 4
    packets = np.zeros((len(rest), _PACKET), np.uint8)
    packets[:, :of_fours] = rest[:, :of_fours]
    if size & 16:
        packets[:, 28:] = rest[:, size - 4 :]
    elif odd:
        packets[:, 16] = rest[:, of_fours]
        packets[:, 17] = rest[:, of_fours + odd // 2]
        packets[:, 18] = rest[:, of_fours + odd - 1]
    return packets


@compiled()
def _merge(low: Any, high: Any) -> Any:
    """Two numbers whose bytes are mixed: what is added to the low one, and to the high one."""
    u = np.uint64
    to_low = (
        ((low & u(0xFF000000)) | (high & u(0xFF00000000))) >> u(24)
        | ((low & u(0xFF0000000000)) | (high & u(0xFF000000000000))) >> u(16)
        | (low & u(0xFF0000))
        | (low & u(0xFF00)) << u(32)
        | (high & u(0xFF00000000000000)) >> u(8)
        | low << u(56)
    )
    to_high = (
        ((high & u(0xFF000000)) | (low & u(0xFF00000000))) >> u(24)
        | (high & u(0xFF0000))
        | (high & u(0xFF0000000000)) >> u(16)
        | (high & u(0xFF00)) << u(24)
        | (low & u(0xFF000000000000)) >> u(8)
        | (high & u(0xFF)) << u(48)
        | (low & u(0xFF00000000000000))
    )
    return to_low, to_high


@compiled()
def _multiply(v0: Any, v1: Any, mul0: Any, mul1: Any, number: Any) -> Any:
    shift, half = np.uint64(32), np.uint64(_HALF)
    v1 += mul0 + number
    mul0 ^= (v1 & half) * (v0 >> shift)
    v0 += mul1
    mul1 ^= (v0 & half) * (v1 >> shift)
    return v0, v1, mul0, mul1


@compiled()
def _update(state: Any, packet: Any) -> Any:
    """The state, four times four numbers, with a packet taken in."""
    (a0, a1, a2, a3), (b0, b1, b2, b3), (c0, c1, c2, c3), (d0, d1, d2, d3) = state
    a0, b0, c0, d0 = _multiply(a0, b0, c0, d0, packet[0])
    a1, b1, c1, d1 = _multiply(a1, b1, c1, d1, packet[1])
    a2, b2, c2, d2 = _multiply(a2, b2, c2, d2, packet[2])
    a3, b3, c3, d3 = _multiply(a3, b3, c3, d3, packet[3])
    low, high = _merge(b0, b1)
    a0, a1 = a0 + low, a1 + high
    low, high = _merge(b2, b3)
    a2, a3 = a2 + low, a3 + high
    low, high = _merge(a0, a1)
    b0, b1 = b0 + low, b1 + high
    low, high = _merge(a2, a3)
    b2, b3 = b2 + low, b3 + high
    return (a0, a1, a2, a3), (b0, b1, b2, b3), (c0, c1, c2, c3), (d0, d1, d2, d3)


@compiled()
def _rotated(number: Any, count: Any) -> Any:
    """Each half of a number, rotated by fewer bits than it has."""
    shift, half = np.uint64(32), np.uint64(_HALF)
    low, high = number & half, number >> shift
    low = (low << count | low >> (shift - count)) & half
    high = (high << count | high >> (shift - count)) & half
    return high << shift | low


@compiled()
def _swapped(number: Any) -> Any:
    return number >> np.uint64(32) | number << np.uint64(32)


@compiled()
def _hash_rows(numbers: Any, last: Any, rest: int, start: Any, out: Any) -> None:
    for row in range(len(out)):
        state = (
            (start[0, 0], start[0, 1], start[0, 2], start[0, 3]),
            (start[1, 0], start[1, 1], start[1, 2], start[1, 3]),
            (start[2, 0], start[2, 1], start[2, 2], start[2, 3]),
            (start[3, 0], start[3, 1], start[3, 2], start[3, 3]),
        )
        line = numbers[row]
        for i in range(0, numbers.shape[1], 4):
            state = _update(state, (line[i], line[i + 1], line[i + 2], line[i + 3]))
        if rest > 0:
            n = np.uint64(rest)
            both = n << np.uint64(32) | n
            (a0, a1, a2, a3), (b0, b1, b2, b3), c, d = state
            a = (a0 + both, a1 + both, a2 + both, a3 + both)
            b = (_rotated(b0, n), _rotated(b1, n), _rotated(b2, n), _rotated(b3, n))
            packet = (last[row, 0], last[row, 1], last[row, 2], last[row, 3])
            state = _update((a, b, c, d), packet)
        for _ in range(4):
            a0, a1, a2, a3 = state[0]
            state = _update(state, (_swapped(a2), _swapped(a3), _swapped(a0), _swapped(a1)))
        a, b, c, d = state
        out[row] = a[0] + b[0] + c[0] + d[0]
