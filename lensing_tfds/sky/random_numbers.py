"""Standard normal numbers by address: any of them, without those before it.

Philox4x32-10, a counter-based generator (Salmon et al. 2011, "Parallel random numbers: as easy as
1, 2, 3"), gives the bits: any four words of any stream are computed from their address. The
transform of Box & Muller (1958) makes them normal, with polynomials for the logarithm and the
circle, so that every step runs in SIMD registers.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numba import float32, int32, uint32, uint64
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

from lensing_tfds.sky.compiled import compiled

Words = NDArray[np.uint32]
Numbers = NDArray[np.float32]

# Salmon et al. 2011, section 3.3: the multipliers, and what the key grows by in each round.
_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_ROUNDS = 10
_WORD_BITS, _WORD_MASK = np.uint64(32), np.uint64(0xFFFFFFFF)

_BLOCKS = 64  # computed together: loops of one fixed length leave SIMD registers no remainder
_RUN = 4 * _BLOCKS  # numbers; a block has four words


class NormalStream:
    """Standard normal numbers addressed by (index, field, place).

    Args:
      key: non-negative integers that name the stream, e.g. (seed, 1, 0, 0, split).
    """

    def __init__(self, key: tuple[int, ...]):
        self._key = np.random.SeedSequence(key).generate_state(2)  # of 32 bits

    def fill(self, indices: Sequence[int], field: int, normals: Numbers) -> None:
        """Fills an array with standard normal numbers; the same address gives the same number.

        32 bits a number: the tails end at 6.7 standard deviations (probability 2e-11).

        Args:
          indices: which examples, from 0 to 2^64 - 1.
          field: which of their fields, from 0 to 2^32 - 1.
          normals: float32 of shape (len(indices), size), C-contiguous; size at most 2^34.
        """
        _fill(self._key, np.uint32(field), np.array(indices, np.uint64), normals)


def _polynomial(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    interval: tuple[float, float],
    degree: int,
) -> tuple[np.float32, ...]:
    """Interpolates a function at Chebyshev's points; coefficients, the constant term first."""
    fit = Chebyshev.interpolate(function, degree, domain=interval)
    return tuple(np.float32(c) for c in fit.convert(kind=Polynomial).coef)


# log(1 + f) = f P(f), for 1 + f from sqrt(1/2) to sqrt(2).
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8, _L9 = _polynomial(
    lambda f: np.log1p(f) / f, (math.sqrt(0.5) - 1, math.sqrt(2) - 1), 9
)
# cos(πv/4)/√2 = P(v²) and sin(πv/4)/√2 = v P(v²), for v from -1 to 1.
_C0, _C1, _C2, _C3, _C4 = _polynomial(
    lambda v_squared: np.cos(np.pi / 4 * np.sqrt(v_squared)) / math.sqrt(2), (0, 1), 4
)
_S0, _S1, _S2, _S3 = _polynomial(
    lambda v_squared: np.sin(np.pi / 4 * np.sqrt(v_squared)) / np.sqrt(2 * v_squared), (0, 1), 3
)
_LOG_2 = np.float32(math.log(2))
_BITS_OF_SQRT_HALF = np.float32(math.sqrt(0.5)).view(np.int32)
_MANTISSA_BITS = np.int32(23)  # of a float32; the exponent stands above them
_SIGN_BIT = np.uint32(1 << 31)


@compiled()
def _fill(key: Words, field: np.uint32, indices: NDArray[np.uint64], normals: Numbers) -> None:
    """Fills each row with the numbers of its index."""
    size = normals.shape[1]
    words = np.empty(_RUN, np.uint32)
    last = np.empty(_RUN, np.float32)  # run, of which a part is asked for
    for row in range(len(indices)):
        for start in range(0, size, _RUN):
            whole = start + _RUN <= size
            numbers = normals[row, start : start + _RUN] if whole else last
            _philox_run(key, start // _RUN, field, indices[row], words)
            _box_muller(words, numbers)
            if not whole:
                normals[row, start:] = last[: size - start]


@compiled()
def _philox_run(key: Words, run: int, field: np.uint32, index: np.uint64, words: Words) -> None:
    """Computes a run of blocks: all their first words, then all their second words, and so on."""
    for i in range(_BLOCKS):
        word_0, word_1, word_2, word_3 = _philox(
            uint64(run * _BLOCKS + i), uint64(field), index, index >> _WORD_BITS, key[0], key[1]
        )
        words[i] = word_0
        words[_BLOCKS + i] = word_1
        words[2 * _BLOCKS + i] = word_2
        words[3 * _BLOCKS + i] = word_3


@compiled()
def _philox(
    x_0: np.uint64,
    x_1: np.uint64,
    x_2: np.uint64,
    x_3: np.uint64,
    key_0: np.uint32,
    key_1: np.uint32,
) -> tuple[np.uint32, np.uint32, np.uint32, np.uint32]:
    """Philox4x32-10 of a counter (x_0, x_1, x_2, x_3) under a key.

    The words of 32 bits stand in registers of 64, whose upper halves hold leftovers that never
    matter: a product takes the lower halves only, and is then one instruction.
    """
    k_0, k_1 = uint64(key_0), uint64(key_1)
    for _ in range(_ROUNDS):
        product_0 = (x_0 & _WORD_MASK) * _MULTIPLIER_0
        product_1 = (x_2 & _WORD_MASK) * _MULTIPLIER_1
        x_0, x_1 = (product_1 >> _WORD_BITS) ^ x_1 ^ k_0, product_1
        x_2, x_3 = (product_0 >> _WORD_BITS) ^ x_3 ^ k_1, product_0
        k_0 += _WEYL_0
        k_1 += _WEYL_1
    return uint32(x_0), uint32(x_1), uint32(x_2), uint32(x_3)


@compiled("contract")
def _box_muller(words: Words, numbers: Numbers) -> None:
    """Turns pairs of words, half a run apart, into pairs of independent normal numbers.

    The first word is the radius, sqrt(-2 log u). Of the second, two bits are the signs of the pair,
    and thirty the angle within the quadrant, π/4 (1 + v), whose cosine and sine are
    (cos πv/4 ∓ sin πv/4)/√2.
    """
    for i in range(_RUN // 2):
        u = (float32(words[i]) + np.float32(0.5)) * np.float32(2.0**-32)  # never zero
        radius = math.sqrt(np.float32(-2) * _log(u))
        word = words[i + _RUN // 2]
        v = float32(int32(uint32(word << uint32(2)))) * np.float32(2.0**-31)
        w = v * v
        cosine = (((_C4 * w + _C3) * w + _C2) * w + _C1) * w + _C0
        sine = (((_S3 * w + _S2) * w + _S1) * w + _S0) * v
        numbers[i] = _flip_sign(radius * (cosine - sine), word)
        numbers[i + _RUN // 2] = _flip_sign(radius * (cosine + sine), uint32(word << uint32(1)))


@compiled("contract")
def _log(u: np.float32) -> np.float32:
    """log(u) = e log(2) + log(1 + f), for u = 2^e (1 + f)."""
    bits = np.float32(u).view(np.int32)
    e = int32(int32(bits - _BITS_OF_SQRT_HALF) >> _MANTISSA_BITS)
    f = np.int32(bits - int32(e << _MANTISSA_BITS)).view(np.float32) - np.float32(1)
    p = (((_L9 * f + _L8) * f + _L7) * f + _L6) * f + _L5
    p = ((((p * f + _L4) * f + _L3) * f + _L2) * f + _L1) * f + _L0
    return p * f + float32(e) * _LOG_2


@compiled()
def _flip_sign(x: np.float32, word: np.uint32) -> np.float32:
    """Returns -x if the word's first bit is set, else x."""
    bits = np.float32(x).view(np.uint32) ^ (word & _SIGN_BIT)
    return np.uint32(bits).view(np.float32)
