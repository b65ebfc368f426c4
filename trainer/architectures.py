"""Names of networks: `4x64-1x32-9` and `hires`, parsed without importing Keras."""

from __future__ import annotations

import dataclasses
import re

from lensing_tfds.configs import LensingError

GRAMMAR = (
    "LxF-...-K (L layers Conv2D(F, 3), ..., then Conv2D(1, K) with K odd), as in 4x64-1x32-9; "
    "or hires"
)

_STACK = re.compile(r"(?:[1-9][0-9]*x[1-9][0-9]*-)+[1-9][0-9]*")


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A stack of 3x3 convolutions and a last convolution to one channel.

    Attributes:
      blocks: (layers, filters) of each run of 3x3 convolutions.
      last_kernel: side of the last convolution's kernel, in pixels; odd, since an even kernel
        would move the estimate by half a pixel.
      upsampling: the factor by which the maps are upsampled before the stack and averaged back
        before the last convolution.
    """

    blocks: tuple[tuple[int, int], ...]
    last_kernel: int
    upsampling: int = 1

    @property
    def filters(self) -> list[int]:
        """The filters of each 3x3 convolution, first to last."""
        return [filters for layers, filters in self.blocks for _ in range(layers)]


# The study's network for v5's narrow structures: its usual stack on a grid twice as fine.
HIRES = Architecture(blocks=((6, 64),), last_kernel=3, upsampling=2)


def parse(name: str) -> Architecture:
    """Reads a network's name.

    Args:
      name: `hires`, or `LxF-...-K`: `4x64-1x32-9` is four Conv2D(64, 3), one Conv2D(32, 3) and
        a last Conv2D(1, 9).

    Raises:
      LensingError: the name is neither.
    """
    if name == "hires":
        return HIRES
    *blocks, last_kernel = name.split("-")
    if not _STACK.fullmatch(name) or int(last_kernel) % 2 == 0:
        raise LensingError(f"unknown model {name!r}: expected {GRAMMAR}")
    pairs = (block.split("x") for block in blocks)
    return Architecture(
        tuple((int(layers), int(filters)) for layers, filters in pairs), int(last_kernel)
    )
