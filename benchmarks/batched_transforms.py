"""Fourier transforms of a stage's fields, one call for all of them beside a call for each.

    python -m benchmarks.batched_transforms 192 384

By pixels on a side of the grid for products: v11's and v12's. "joined" are copied together first
and parted after, as a network's layers would have to do it.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.network_work import clock_of_the_device

FIELDS, BATCH, ROUNDS = 8, 4, 7

Planes = list[tuple[Any, Any]]


def each(planes: Planes) -> Planes:
    return [ops.fft2(one) for one in planes]


def joined(planes: Planes) -> Planes:
    re, im = ops.fft2(tuple(ops.concatenate(parts) for parts in zip(*planes, strict=True)))
    number = len(planes)
    return list(zip(ops.split(re, number), ops.split(im, number), strict=True))


def compiled(function: Callable[[Planes], Planes]) -> Callable[[Planes], Planes]:
    """Compiles for the backend, where it does."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    return function


def compare(side: int, clock: Callable[[], float]) -> None:
    """Prints a row."""
    rng = np.random.default_rng(0)
    planes = [
        tuple(
            ops.convert_to_tensor(rng.normal(size=(BATCH, side, side)).astype(np.float32))
            for _ in range(2)
        )
        for _ in range(FIELDS)
    ]

    def seconds(function: Callable[[Planes], Planes]) -> float:
        begun = clock()
        for _ in range(3):
            for re, _ in function(planes):
                ops.convert_to_numpy(re[:1, :1, :1])
        return (clock() - begun) / 3

    ways = [compiled(each), compiled(joined)]
    for way in ways:
        seconds(way)
    table = np.array([[seconds(way) for way in ways] for _ in range(ROUNDS)])
    ratios = table[:, 1] / table[:, 0]
    print(
        f"| {side} | {1e3 * np.median(table[:, 0]):.1f} | {1e3 * np.median(table[:, 1]):.1f} | "
        f"{np.median(ratios):.2f} ({ratios.min():.2f}–{ratios.max():.2f}) |",
        flush=True,
    )


def main(sides: Sequence[str]) -> None:
    """Prints a table."""
    clock = clock_of_the_device()
    print(f"| pixels | {FIELDS} calls, ms | one call, ms | ratio |\n| --- |" + " ---: |" * 3)
    for side in sides:
        compare(int(side), clock)


if __name__ == "__main__":
    main(sys.argv[1:] or ("192", "384"))
