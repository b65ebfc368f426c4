"""U-Nets on whitened maps: `unet`, which is `unet-24x2x2`, or another `unet-FxLxB`.

A map goes in as it is and whitened, E and B in place of Q and U (`whitening`), through residual
blocks (He et al. 2016, arXiv:1603.05027) on grids twice as coarse from level to level and back
(Ronneberger et al. 2015, arXiv:1505.04597). The last convolution and each block's second start at
zero: at first the network says nothing and each block is the identity, and no normalisation is
needed. On a patch with edges, cut out of a larger sky or tapered, convolutions see zeros beyond
them, by which a network can tell where they are; a periodic one has none, and goes on at the
opposite side. Beside masked maps that have a filter (`is_filtered`) it sees the mask, and the mask
over the noise's rms; where the mask is zero it sees and says nothing. A grid of odd size gets one
more row and column before it is halved, likewise, and loses them again.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from estimators.filtering.masked_patch import is_filtered
from lensing_tfds.errors import LensingError
from lensing_tfds.realism import is_periodic
from lensing_tfds.task import Task
from trainer.networks.family import Family
from trainer.networks.memory import Footprint
from trainer.networks.space import Choice, Point, Space, Value
from trainer.networks.statistics import Statistics, fields

if TYPE_CHECKING:
    import keras

GRAMMAR = (
    "unet, which is unet-24x2x2, or another unet-FxLxB (F filters, twice as many on each of L "
    "levels, B residual blocks a level on the way down and up)"
)

ONCE_FROM = 64
"""Pixels on a side from which on a block's two convolutions continue a periodic map but once.

The first then computes two more rows and columns, which saves a copy of the maps:
`benchmarks.periodic_padding`.
"""

# Of as many digits as a network could have in a computer's memory.
_NAME = re.compile(r"unet-([1-9][0-9]{0,5})x([1-9][0-9]?)x([1-9][0-9]{0,3})")


@dataclasses.dataclass(frozen=True)
class UNet:
    """A U-Net of residual blocks.

    Attributes:
      filters: of the convolutions on the maps' own grid; twice as many on each coarser one.
      levels: grids, each with half the pixels on a side of the one before.
      blocks: residual blocks of a level on each way; the coarsest has twice as many.
    """

    filters: int
    levels: int
    blocks: int

    @property
    def name(self) -> str:
        """The name that `parse` reads."""
        return "unet" if self == DEFAULT else f"unet-{self.size}"

    @property
    def size(self) -> str:
        """The sizes in its name, FxLxB."""
        return f"{self.filters}x{self.levels}x{self.blocks}"

    @property
    def widest_kernel(self) -> int:
        """That of the coarsest grid's convolutions, in pixels of the maps."""
        return int(3 * 2 ** (self.levels - 1))

    @property
    def starts_fitted(self) -> bool:
        """Says whether its first weights are an estimator's: they are drawn."""
        return False

    def build(self, task: Task, statistics: Statistics, seed: int) -> keras.Model:
        """Builds the network as `family.Network` asks."""
        import keras  # slow: who only reads names does not wait for it

        from trainer.networks.whitening import whitening

        inputs = keras.Input(task.input_shape, name=task.inputs.name)
        maps: Any = inputs
        masks: list[Any] = []
        if is_filtered(task.lensing):
            from trainer.networks.masked_inputs import masked_inputs

            maps, masks = masked_inputs(inputs, task, statistics.scaling)
        maps = whitening(task, statistics)(maps)
        if masks:
            maps = keras.layers.Concatenate()([maps, *masks])
        outputs = self.of_maps(maps, task, seed)
        if masks:
            outputs = keras.layers.Multiply(dtype="float32")([masks[0], outputs])
        return keras.Model(inputs, outputs, name=self.name.replace("-", "_"))

    def of_maps(self, maps: Any, task: Task, seed: int) -> Any:
        """Adds the layers from whatever maps, of about unit variance, to standardised labels.

        They start at zero.

        Args:
          maps: (n, npix, npix, any).
          task: what goes in and what comes out.
          seed: of the initial weights.
        """
        import keras

        parts = _Parts(is_periodic(task.lensing), seed)
        x = parts.convolution(maps, self.filters, activation=None)
        finer = []
        for _ in range(self.levels - 1):
            x = parts.blocks(x, self.blocks)
            finer.append(x)
            x = parts.halved(x)
        x = parts.blocks(x, 2 * self.blocks)
        for skip in reversed(finer):
            x = keras.layers.Add()([parts.doubled(x, skip.shape[1]), skip])
            x = parts.blocks(x, self.blocks)
        return parts.convolution(x, len(task.labels.channels), first="zeros", dtype="float32")

    def footprint(self, task: Task) -> Footprint:
        """Counts parameters and activations as `family.Network` asks, layer by layer."""
        whitened, inputs = 2 * len(fields(task)), int(np.prod(task.input_shape))
        if not is_filtered(task.lensing):
            parameters, outputs = self.counts(task, whitened)
            return Footprint.of_chain(parameters, [inputs, *outputs])
        parameters, outputs = self.counts(task, whitened + 2)
        outputs = [inputs, task.npix**2 * whitened, *outputs, int(np.prod(task.label_shape))]
        return Footprint.of_chain(parameters, outputs)

    def counts(self, task: Task, channels: int) -> tuple[int, list[int]]:
        """Counts what `of_maps` adds.

        Args:
          task: what goes in and what comes out.
          channels: of the maps.

        Returns:
          Its parameters, and the numbers in one example's maps and in every layer's output.
        """
        periodic = is_periodic(task.lensing)
        wrap = 2 if periodic else 0
        (*_, labels), width = task.label_shape, self.filters
        grids = [task.npix]
        for _ in range(self.levels - 1):
            grids.append(-(-grids[-1] // 2))

        parameters = (9 * channels + 1) * width + (9 * width + 1) * labels
        outputs = [task.npix**2 * channels]
        if wrap:
            outputs.append((task.npix + wrap) ** 2 * channels)
        outputs.append(task.npix**2 * width)

        def add_blocks(side: int, width: int, blocks: int) -> None:
            nonlocal parameters
            parameters += blocks * 2 * (9 * width + 1) * width
            if periodic and side >= ONCE_FROM:
                sides = [side + 4, side + 2, side + 2, side, side]
            else:
                sides = [side + wrap, side, side + wrap, side, side]
            outputs.extend(blocks * [side**2 * width for side in sides])

        for side, coarse in itertools.pairwise(grids):
            add_blocks(side, width, self.blocks)
            parameters += (4 * width + 1) * 2 * width
            if side % 2:
                outputs.append((side + 1) ** 2 * width)
            outputs.append(coarse**2 * 2 * width)
            width *= 2
        add_blocks(grids[-1], width, 2 * self.blocks)
        for coarse, side in itertools.pairwise(reversed(grids)):
            width //= 2
            parameters += (4 * 2 * width + 1) * width
            outputs.append((2 * coarse) ** 2 * width)
            outputs.extend((1 + side % 2) * [side**2 * width])  # cropped and added, or added
            add_blocks(side, width, self.blocks)
        return parameters, outputs + [(task.npix + wrap) ** 2 * width, task.npix**2 * labels]


DEFAULT = UNet(filters=24, levels=2, blocks=2)


def parse(name: str) -> UNet | None:
    """Reads a network's name; None where it is not in the grammar.

    Args:
      name: `unet`, or `unet-FxLxB`: `unet-32x3x1` has 32, 64 and 128 filters on three grids, one
        residual block on each on the way down and on the way up, and two on the coarsest.
    """
    if name == "unet":
        return DEFAULT
    match = _NAME.fullmatch(name)
    return UNet(*map(int, match.groups())) if match else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class UNetSpace(Space):
    """U-Nets and the settings that they train with.

    Attributes:
      filters: of the convolutions on the maps' own grid.
      levels: grids, each with half the pixels on a side of the one before.
      blocks: residual blocks of a level on each way.
    """

    family = "unet"

    optimizer: Choice = Choice(("adamw", "adam"))
    batch_size: Choice = Choice((8, 16, 32, 64))
    filters: Choice = Choice((16, 24, 32, 48))
    levels: Choice = Choice((1, 2, 3))
    blocks: Choice = Choice((1, 2, 3, 4))

    def model(self, point: Point) -> str:
        return self.unet_at(point).name

    def place(self, model: str) -> Point | None:
        return self.place_of(parse(model))

    def unet_at(self, point: Point) -> UNet:
        """The U-Net at a point, errors as of `model`."""
        return UNet(*(_count(name, point[name]) for name in ("filters", "levels", "blocks")))

    def place_of(self, unet: UNet | None) -> Point | None:
        """The values of a U-Net's dimensions; None outside."""
        point = {} if unet is None else dataclasses.asdict(unet)
        inside = point and all(value in getattr(self, name) for name, value in point.items())
        return point if inside else None


FAMILY = Family(UNetSpace.family, GRAMMAR, parse, UNetSpace)


def _count(name: str, value: Value) -> int:
    if not isinstance(value, int) or value < 1:
        raise LensingError(f"{name} is {value!r}: must be at least 1")
    return value


class _Parts:
    """The parts of one network: the same seed, the same first weights, another for each layer.

    Args:
      periodic: whether the maps go on at the opposite edge.
      seed: of the initial weights.
    """

    def __init__(self, periodic: bool, seed: int) -> None:
        self._periodic = periodic
        self._seeds = (
            int(np.random.SeedSequence((seed, layer)).generate_state(1)[0])
            for layer in itertools.count()
        )

    def convolution(
        self,
        x: Any,
        filters: int,
        activation: str | None = "silu",
        first: str | None = None,
        dtype: str | None = None,
        margin: int = 1,
    ) -> Any:
        """A 3x3 convolution of the activated maps, in float32 where that is asked for.

        Periodic maps are continued by a margin first, of which the convolution takes one pixel:
        with none, they have been, and become smaller.
        """
        import keras

        from trainer.networks.padding import ActivateAndWrap

        if self._periodic and margin:
            x = ActivateAndWrap(margin, margin, activation)(x)
        elif activation:
            x = keras.layers.Activation(activation)(x)
        padding = "valid" if self._periodic else "same"
        return keras.layers.Conv2D(
            filters, 3, padding=padding, kernel_initializer=first or self._drawn(), dtype=dtype
        )(x)

    def blocks(self, x: Any, number: int) -> Any:
        """Residual blocks, each of which starts as the identity."""
        import keras

        margins = (2, 0) if x.shape[1] >= ONCE_FROM else (1, 1)
        for _ in range(number):
            y = self.convolution(x, x.shape[-1], margin=margins[0])
            y = self.convolution(y, x.shape[-1], first="zeros", margin=margins[1])
            x = keras.layers.Add()([x, y])
        return x

    def halved(self, x: Any) -> Any:
        """Half the pixels on a side, rounded up, twice the filters."""
        import keras

        from trainer.networks.padding import ActivateAndWrap

        if x.shape[1] % 2:
            pad = keras.layers.ZeroPadding2D(((0, 1), (0, 1)))
            x = (ActivateAndWrap(0, 1) if self._periodic else pad)(x)
        return keras.layers.Conv2D(2 * x.shape[-1], 2, strides=2, kernel_initializer=self._drawn())(
            x
        )

    def doubled(self, x: Any, side: int) -> Any:
        """Twice the pixels on a side, or one less, half the filters."""
        import keras

        x = keras.layers.Conv2DTranspose(
            x.shape[-1] // 2, 2, strides=2, kernel_initializer=self._drawn()
        )(x)
        return x if x.shape[1] == side else keras.layers.Cropping2D(((0, 1), (0, 1)))(x)

    def _drawn(self) -> keras.initializers.Initializer:
        """First weights of a kernel: of unit gain for what comes in."""
        import keras

        return keras.initializers.LecunNormal(seed=next(self._seeds))
