"""The least arithmetic and memory traffic of a network, and how fast a device does either."""

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np
from keras import ops

from trainer.machine.devices import has_accelerator

_WAYS = 3  # convolutions of a step: forward, and on the way back to the maps and to the weights
_SECONDS = 0.5  # that a limit of the device is measured for


@dataclasses.dataclass(frozen=True)
class Part:
    """A convolution or a Fourier transform, of one example.

    Attributes:
      flops: of it; a multiplication and an addition are one each.
      bytes: that it must read and write, in single precision.
      times: how often a training step does as much. Transforms stand before what is trained, but
        for one or two, which are counted once as the others.
    """

    flops: float
    bytes: float
    times: int


@dataclasses.dataclass(frozen=True)
class Device:
    """Limits of a device.

    Attributes:
      flops: a second, of products of large matrices in single precision.
      bytes: a second, read and written in copying.
    """

    flops: float
    bytes: float

    def seconds(self, parts: list[Part]) -> float:
        """The time of a step of one example if each part met its limit, and all else took none."""
        return sum(
            part.times * max(part.flops / self.flops, part.bytes / self.bytes) for part in parts
        )


def parts_of(model: keras.Model, shape: tuple[int, ...]) -> list[Part]:
    """Lists the convolutions and transforms of a network, by running it once.

    Args:
      model: from maps in µK.
      shape: of one example's maps.
    """
    parts: list[Part] = []

    def convolution(call: Callable[..., Any], transposed: bool) -> Callable[..., Any]:
        def counted(layer: Any, maps: Any) -> Any:
            result = call(layer, maps)
            height, width, channels, filters = layer.kernel.shape  # of a transposed one: swapped
            pixels = math.prod((maps if transposed else result).shape[1:3])
            moved = math.prod(maps.shape) + math.prod(result.shape)
            flops = 2 * height * width * channels * filters * pixels
            parts.append(Part(flops, 4 * moved, _WAYS))
            return result

        return counted

    def transform(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(planes: Any) -> Any:
            (*number, rows, columns) = planes[0].shape
            numbers = math.prod(number) * rows * columns
            flops = 5 * numbers * math.log2(rows * columns)
            parts.append(Part(flops, 2 * 2 * 4 * numbers, 1))
            return call(planes)

        return counted

    conv, back = keras.layers.Conv2D, keras.layers.Conv2DTranspose
    with contextlib.ExitStack() as stack:
        for layer, is_back in ((conv, False), (back, True)):
            replaced = convolution(layer.call, is_back)
            stack.enter_context(mock.patch.object(layer, "call", replaced))
        for name in ("fft2", "ifft2"):
            stack.enter_context(mock.patch.object(ops, name, transform(getattr(ops, name))))
        model(np.zeros((1, *shape), np.float32))
    return parts


def clock_of_the_device() -> Callable[[], float]:
    """Returns the clock to time a device by.

    On a CPU this process is kept to one core, and the clock is of the seconds that this works for
    it: what else the machine does is left out.
    """
    if has_accelerator():
        return time.perf_counter
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return time.process_time


def measured_device(clock: Callable[[], float], side: int = 2048, numbers: int = 2**25) -> Device:
    """Measures the limits of the device that the backend computes on.

    Args:
      clock: returns seconds.
      side: of the matrices.
      numbers: that are copied, more than a cache holds.
    """
    matrix = ops.convert_to_tensor(np.ones((side, side), np.float32))
    maps = ops.convert_to_tensor(np.ones(numbers, np.float32))
    return Device(
        2 * side**3 / min(_times(lambda: ops.matmul(matrix, matrix), clock)),
        2 * 4 * numbers / min(_times(lambda: ops.negative(maps), clock)),
    )


def _times(compute: Callable[[], Any], clock: Callable[[], float]) -> Iterator[float]:
    _wait(compute())
    end = clock() + _SECONDS
    while clock() < end:
        begun = clock()
        for _ in range(4):
            result = compute()
        _wait(result)
        yield (clock() - begun) / 4


def _wait(tensor: Any) -> None:
    ops.convert_to_numpy(tensor[:1])
