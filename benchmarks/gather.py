"""The time of the non-uniform FFT's gather, beside that of whole examples and of its roof.

The gather (`lensing_tfds.sky.taps`) sums 8 x 8 fine pixels around each point. Its time is
put beside

- whole examples with it and without it: what the fastest gather there could be would win;
- itself in cache: all points are sent to the middle of the patch, give or take their deflection,
  so that the instructions are the same and no fine pixel has to be waited for;
- its roof: the polynomials, products and sums of `hardware_limit`, in registers.
"""

import os
import time
from collections.abc import Callable
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks import hardware_limit
from lensing_tfds import VERSIONS, LensingConfig
from lensing_tfds.simulation import Simulator, block_size
from lensing_tfds.sky import nufft, taps
from lensing_tfds.sky.kaiser_bessel import AFTER, BEFORE

Floats = NDArray[np.float32]
Call = tuple[Floats, int, Floats, Floats, np.float32, Floats, Floats]
"""The arguments of `taps.gather`."""

ROUNDS = 9
SECONDS = 0.05  # of each in a round, at least
NAMES = ("v9", "v10", "v11", "v12")


def captured(config: LensingConfig) -> Call:
    """Returns what the gather is called with for a block of examples of a version."""
    with mock.patch.object(nufft, "gather", mock.Mock(wraps=taps.gather)) as gather:
        next(Simulator(config, "train").examples([0]))
    grids, side, shift_y, shift_x, to_fine_pixels, polynomials, values = gather.call_args.args
    return grids, side, shift_y, shift_x, to_fine_pixels, polynomials, np.empty_like(values)


def in_cache(call: Call) -> Call:
    """Returns the same call with every point sent to the middle pixel, but for its deflection."""
    grids, side, shift_y, shift_x, to_fine_pixels, polynomials, values = call
    npix = values.shape[-1]
    fine = side - BEFORE - AFTER
    to_middle = np.float32(fine / npix) * (npix // 2 - np.arange(npix, dtype=np.float32))
    to_middle /= to_fine_pixels
    near_y, near_x = shift_y + to_middle[:, None], shift_x + to_middle
    return grids, side, near_y, near_x, to_fine_pixels, polynomials, values


def seconds(calls: list[Callable[[], object]]) -> NDArray[np.float64]:
    """Measures calls in turn.

    Returns:
      Processor seconds of a call, shape (ROUNDS, calls).
    """
    for call in calls:
        call()  # what is computed once is not part of the time
    found = np.empty((ROUNDS, len(calls)))
    for times in found:
        for column, call in enumerate(calls):
            count, began = 0, time.process_time()
            while time.process_time() - began < SECONDS:
                call()
                count += 1
            times[column] = (time.process_time() - began) / count
    return found


def row(config: LensingConfig) -> list[str]:
    """Measures a version: the cells of its row."""
    npix, fields = config.internal.npix, len(config.channels)
    examples = Simulator(config, "train").examples(range(10**9))
    call = captured(config)
    near = in_cache(call)

    def without() -> object:
        with mock.patch.object(nufft, "gather", lambda *_: None):
            return next(examples)

    times = seconds(
        [
            lambda: next(examples),
            without,
            lambda: taps.gather(*call),
            lambda: taps.gather(*near),
        ]
    )
    ratios = times[:, 0] / times[:, 1]
    points = block_size(npix) * npix**2
    whole, _, gather, cached = np.median(times, axis=0) / points
    roof = hardware_limit.counts(config).products / npix**2 / hardware_limit.rates().products
    return [
        config.name,
        f"{fields}",
        f"{1e9 * whole:.1f}",
        f"{np.median(ratios):.2f} ({ratios.min():.2f}–{ratios.max():.2f})",
        *(f"{1e9 * part:.1f}" for part in (gather, cached, roof)),
    ]


def main() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print("ns for each pixel of the internal grid; ratios with the least and the largest")
    print("| | fields | example | with the gather / without | gather | in cache | roof |")
    print("| --- |" + " ---: |" * 6)
    for name in NAMES:
        print("| " + " | ".join(row(VERSIONS[name])) + " |", flush=True)


if __name__ == "__main__":
    main()
