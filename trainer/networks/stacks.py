"""The study's networks, stacks of 3x3 convolutions: `4x64-1x32-9`, `hires` and `hires-7x64-3`.

`whiten-4x64-1x32-9` is the same stack behind the U-Nets' first layer (`whitening`): what that one
line does.

The originals squeezed every map into (0, 1) by the data set's extremes and ended in a ReLU. Here
the last layer is linear and κ has zero mean and unit variance: κ is as often negative as positive,
a ReLU output has no gradient wherever it starts below zero, and extremes grow with the number of
examples whereas mean and variance do not.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import TYPE_CHECKING

import numpy as np

from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from trainer.networks.family import Family
from trainer.networks.memory import Footprint
from trainer.networks.space import Choice, Point, Space, Value
from trainer.networks.statistics import Statistics, fields

if TYPE_CHECKING:
    import keras

GRAMMAR = (
    "LxF-...-K (L layers Conv2D(F, 3), ..., then Conv2D(1, K) with K odd), as in 4x64-1x32-9; "
    "or hires, which is hires-6x64-3, or another hires-LxF-...-K; whiten- before any of them shows "
    "it whitened maps too"
)

# Of as many digits as a network could have in a computer's memory.
_STACK = re.compile(r"(?:[1-9][0-9]{0,4}x[1-9][0-9]{0,6}-)+[1-9][0-9]{0,3}")


@dataclasses.dataclass(frozen=True)
class Stack:
    """A stack of 3x3 convolutions and a last convolution to the labels' channels.

    Attributes:
      blocks: (layers, filters) of each run of 3x3 convolutions.
      last_kernel: side of the last convolution's kernel, in pixels; odd, since an even kernel
        would move the estimate by half a pixel.
      upsampling: the factor by which the maps are upsampled before the stack and averaged back
        before the last convolution.
      whitened: whether it is shown whitened maps too.
    """

    blocks: tuple[tuple[int, int], ...]
    last_kernel: int
    upsampling: int = 1
    whitened: bool = False

    @property
    def filters(self) -> list[int]:
        """The filters of each 3x3 convolution, first to last."""
        return [filters for layers, filters in self.blocks for _ in range(layers)]

    @property
    def name(self) -> str:
        """The name that `parse` reads; the study's own where it has one."""
        if self.whitened:
            return WHITEN + dataclasses.replace(self, whitened=False).name
        if self == HIRES:
            return "hires"
        blocks = [f"{layers}x{filters}" for layers, filters in self.blocks]
        stack = "-".join([*blocks, str(self.last_kernel)])
        return stack if self.upsampling == 1 else _HIRES_PREFIX + stack

    @property
    def widest_kernel(self) -> int:
        """The last convolution's, or that of the others; see `family.Network`."""
        return max(3, self.last_kernel)

    @property
    def starts_fitted(self) -> bool:
        """Says whether its first weights are an estimator's: they are drawn."""
        return False

    def build(self, task: Task, statistics: Statistics, seed: int) -> keras.Model:
        """Builds the network as `family.Network` asks; its kernels start orthogonal."""
        import keras  # slow: who only reads names does not wait for it

        from trainer.networks.whitening import whitening

        filters = self.filters
        # One seed a layer: Keras would give layers of one shape the same weights from one seed.
        seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(len(filters) + 1)]

        inputs = keras.Input(task.input_shape, name=task.inputs.name)
        x = whitening(task, statistics)(inputs) if self.whitened else inputs
        if self.upsampling > 1:
            x = keras.layers.UpSampling2D(self.upsampling, name="upsample")(x)
        for i, (n, layer_seed) in enumerate(zip(filters, seeds, strict=False), start=1):
            x = _convolution(n, 3, layer_seed, "relu", f"conv{i}")(x)
        if self.upsampling > 1:
            x = keras.layers.AveragePooling2D(self.upsampling, name="downsample")(x)
        last = _convolution(
            *(len(task.labels.channels), self.last_kernel, seeds[-1], "linear", task.labels.name),
            dtype="float32",  # in mixed precision too
        )
        return keras.Model(inputs, last(x), name=f"cnn_{self.name.replace('-', '_')}")

    def footprint(self, task: Task) -> Footprint:
        """Counts parameters and activations as `family.Network` asks, layer by layer."""
        pixels, fine = task.npix**2, (self.upsampling * task.npix) ** 2
        (*_, channels), (*_, labels) = task.input_shape, task.label_shape
        parameters, outputs, depth = 0, [pixels * channels], channels
        if self.whitened:
            depth = 2 * len(fields(task))
            outputs.append(pixels * depth)
        if self.upsampling > 1:
            outputs.append(fine * depth)
        for filters in self.filters:
            parameters += (9 * depth + 1) * filters
            outputs.append(fine * filters)
            depth = filters
        if self.upsampling > 1:
            outputs.append(pixels * depth)
        parameters += (self.last_kernel**2 * depth + 1) * labels
        return Footprint.of_chain(parameters, [*outputs, pixels * labels])


# The study's network for v5's narrow structures: its usual stack on a grid twice as fine.
HIRES = Stack(blocks=((6, 64),), last_kernel=3, upsampling=2)
_HIRES_PREFIX = "hires-"

WHITEN = "whiten-"
"""The beginning of the name of a stack that is shown whitened maps."""


def parse(name: str) -> Stack | None:
    """Reads a network's name; None where it is not in the grammar.

    Args:
      name: `LxF-...-K`: `4x64-1x32-9` is four Conv2D(64, 3), one Conv2D(32, 3) and a last
        Conv2D(1, 9); `hires-LxF-...-K`: the same on a grid twice as fine; or `hires`;
        `whiten-` and any of these.
    """
    if name.startswith(WHITEN):
        plain = parse(name.removeprefix(WHITEN))
        if plain is None or plain.whitened:
            return None
        return dataclasses.replace(plain, whitened=True)
    if name == "hires":
        return HIRES
    stack = name.removeprefix(_HIRES_PREFIX)
    *blocks, last_kernel = stack.split("-")
    if not _STACK.fullmatch(stack) or int(last_kernel) % 2 == 0:
        return None
    pairs = (block.split("x") for block in blocks)
    return Stack(
        tuple((int(layers), int(filters)) for layers, filters in pairs),
        int(last_kernel),
        upsampling=1 if stack == name else HIRES.upsampling,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StackSpace(Space):
    """Stacks of equal layers.

    Attributes:
      depth: 3x3 convolutions of `width` filters.
      width: their filters.
      tail: filters of one more 3x3 convolution behind them; 0 for none.
      last_kernel: side of the last convolution's kernel, in pixels, odd.
      upsampling: 2 for a grid twice as fine, as `hires`; 1 for the maps' own.
    """

    family = "stack"

    depth: Choice = Choice((2, 3, 4, 5, 6, 8, 10))
    width: Choice = Choice((16, 32, 64))
    tail: Choice = Choice((0, 32))
    last_kernel: Choice = Choice((3, 5, 7, 9))
    upsampling: Choice = Choice((1,))

    def model(self, point: Point) -> str:
        numbers = {
            name: _integer(name, point[name], smallest)
            for name, smallest in (
                ("depth", 1),
                ("width", 1),
                ("tail", 0),
                ("last_kernel", 1),
                ("upsampling", 1),
            )
        }
        if numbers["last_kernel"] % 2 == 0:
            raise LensingError(f"last_kernel is {numbers['last_kernel']}: must be odd")
        if numbers["upsampling"] not in (1, HIRES.upsampling):
            raise LensingError(f"upsampling is {numbers['upsampling']}: must be 1 or 2")
        blocks = [(numbers["depth"], numbers["width"])]
        if numbers["tail"]:
            blocks.append((1, numbers["tail"]))
        return Stack(tuple(blocks), numbers["last_kernel"], numbers["upsampling"]).name

    def place(self, model: str) -> Point | None:
        names = ("depth", "width", "tail", "last_kernel", "upsampling")
        for values in itertools.product(*(getattr(self, name).values for name in names)):
            point = dict(zip(names, values, strict=True))
            if self.model(point) == model:
                return point
        return None


FAMILY = Family(StackSpace.family, GRAMMAR, parse, StackSpace, ("4x64-1x32-9", "hires"))


def _convolution(
    filters: int, kernel: int, seed: int, activation: str, name: str, dtype: str | None = None
) -> keras.layers.Layer:
    import keras

    return keras.layers.Conv2D(
        filters,
        kernel,
        padding="same",
        activation=activation,
        kernel_initializer=keras.initializers.Orthogonal(seed=seed),
        name=name,
        dtype=dtype,
    )


def _integer(name: str, value: Value, smallest: int) -> int:
    if not isinstance(value, int) or value < smallest:
        raise LensingError(f"{name} is {value!r}: must be at least {smallest}")
    return value
