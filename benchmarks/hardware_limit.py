"""The least time that an example can take on one core: its arithmetic at this core's best rates.

Counted are the transforms, the interpolation and the random numbers that an example cannot do
without, each at the rate of its best case: in cache, nothing else going on. Not counted are all
passes over memory between them, and memory that is not in cache.

- Transforms: 5 N log2 N operations for a complex transform of length N, half for a real one. In a
  plane only the rows or columns count that hold anything, or of which anything is kept.
- Interpolation: for each point 8 taps of a polynomial of degree 6 along both axes, once; then 8 x 8
  products and sums for each field. At the rate of products and sums in registers, or of reading the
  fine grids and writing the maps, whichever takes longer.
- Random numbers: one for each real number that is drawn, at the rate of our generator.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable

import ducc0.fft
import numpy as np
from numpy.typing import NDArray

from lensing_tfds import LensingConfig
from lensing_tfds.sky.compiled import compiled
from lensing_tfds.sky.kaiser_bessel import fine_size
from lensing_tfds.sky.random_numbers import NormalStream

TAPS, DEGREE = 8, 6
TRIES = 30  # of which the best counts


@dataclasses.dataclass(frozen=True)
class Counts:
    """Operations that one example takes.

    Attributes:
      flops: floating-point operations of the Fourier transforms.
      products: products and sums (one operation each) of the interpolation.
      bytes: that the interpolation reads and writes.
      numbers: random numbers.
    """

    flops: float
    products: float
    bytes: float
    numbers: float


@dataclasses.dataclass(frozen=True)
class Rates:
    """Operations that this core does in a second, at best.

    Attributes:
      flops: of ducc0's transforms of single precision, in cache.
      products: products and sums of single precision, in registers.
      bytes: copied within the cache, read and written.
      numbers: of our generator, in cache.
    """

    flops: float
    products: float
    bytes: float
    numbers: float


def counts(config: LensingConfig) -> Counts:
    """Counts what an example of a version takes that has no padding."""
    npix, output, channels = config.internal.npix, config.npix, len(config.channels)
    fine = fine_size(npix)
    polarized = "Q" in config.channels
    deflection = 2 * _plane(npix)
    to_fine_grid = (npix // 2 + 1) * _line(fine) + fine * _line(fine) / 2
    to_modes = npix * _line(npix) / 2 + (output // 2 + 1) * _line(npix)
    maps = sum(config.map_features.values())
    points = npix**2
    return Counts(
        flops=deflection + channels * (to_fine_grid + to_modes) + maps * _plane(output),
        products=points * (2 * TAPS * DEGREE + channels * TAPS**2),
        bytes=4 * (channels * fine**2 + 2 * points + channels * points),
        numbers=(2 + polarized) * points + channels * output**2,
    )


def _line(length: int) -> float:
    """Operations of a complex transform."""
    return 5 * length * math.log2(length)


def _plane(npix: int) -> float:
    """Operations of a real transform of a square: half of a complex one's 2 npix lines."""
    return npix * _line(npix)


@functools.cache
def rates() -> Rates:
    """Measures this core, for about a second."""
    return Rates(
        flops=max(_fft_rate(length) for length in (256, 512, 720)),
        products=_product_rate(),
        bytes=_copy_rate(),
        numbers=_number_rate(),
    )


def _fft_rate(length: int) -> float:
    """The better of complex and real transforms of some lines, 128 kB in all."""
    lines = 2**14 // length
    normals = np.random.default_rng(0).standard_normal((2, lines, length), np.float32)
    modes = np.empty((lines, length // 2 + 1), np.complex64)
    plane = normals[0] + 1j * normals[1]
    out = np.empty_like(plane)
    complex_seconds = _seconds(
        lambda: ducc0.fft.c2c(plane, axes=(1,), out=out, nthreads=1), repeats=20
    )
    real_seconds = _seconds(
        lambda: ducc0.fft.r2c(normals[0], axes=(1,), out=modes, nthreads=1), repeats=20
    )
    flops = lines * _line(length)
    return max(flops / complex_seconds, flops / 2 / real_seconds)


def _product_rate() -> float:
    """Of polynomials, 32 products and sums a number, of numbers in the first-level cache."""
    values = np.linspace(-1, 1, 2**10, dtype=np.float32)
    out = np.empty_like(values)
    seconds = _seconds(lambda: _polynomials(values, out, 100))
    return 100 * values.size * 32 / seconds


@compiled("contract")
def _polynomials(values: NDArray[np.float32], out: NDArray[np.float32], times: int) -> None:
    """Four polynomials of degree 8 at each value, side by side: no product waits for another."""
    a, b, c, d = np.float32(0.9), np.float32(0.7), np.float32(0.5), np.float32(0.3)
    for _ in range(times):
        for i in range(len(values)):
            z = values[i]
            p, q, r, s = a, b, c, d
            for _power in range(8):
                p, q, r, s = p * z + b, q * z + c, r * z + d, s * z + a
            out[i] = (p + q) + (r + s)


def _copy_rate() -> float:
    """Bytes read and written in copying 1 MB, about the size of a fine grid."""
    source, target = np.ones(2**18, np.float32), np.empty(2**18, np.float32)
    return 2 * source.nbytes / _seconds(lambda: np.copyto(target, source), repeats=10)


def _number_rate() -> float:
    stream = NormalStream((0,))
    normals = np.empty((1, 2**15), np.float32)
    return normals.size / _seconds(lambda: stream.fill([0], 0, normals), repeats=4)


def _seconds(call: Callable[[], object], repeats: int = 1) -> float:
    """Returns the least seconds that a call takes, of several tries."""
    call()
    best = math.inf
    for _ in range(TRIES):
        began = time.perf_counter()
        for _ in range(repeats):
            call()
        best = min(best, (time.perf_counter() - began) / repeats)
    return best


def milliseconds(config: LensingConfig) -> dict[str, float]:
    """Returns the least time of an example: of its parts, and of their sum as "limit"."""
    need, core = counts(config), rates()
    parts = {
        "transforms": need.flops / core.flops,
        "interpolation": max(need.products / core.products, need.bytes / core.bytes),
        "random numbers": need.numbers / core.numbers,
    }
    return {
        name: 1e3 * seconds for name, seconds in (parts | {"limit": sum(parts.values())}).items()
    }
