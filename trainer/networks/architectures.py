"""Names of networks: `4x64-1x32-9`, `hires` and `hires-7x64-3`, parsed without importing Keras."""

from __future__ import annotations

import dataclasses
import re

from lensing_tfds.errors import LensingError

GRAMMAR = (
    "LxF-...-K (L layers Conv2D(F, 3), ..., then Conv2D(1, K) with K odd), as in 4x64-1x32-9; "
    "or hires, which is hires-6x64-3, or another hires-LxF-...-K"
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
_HIRES_PREFIX = "hires-"


def parse(name: str) -> Architecture:
    """Reads a network's name.

    Args:
      name: `LxF-...-K`: `4x64-1x32-9` is four Conv2D(64, 3), one Conv2D(32, 3) and a last
        Conv2D(1, 9); `hires-LxF-...-K`: the same on a grid twice as fine; or `hires`.

    Raises:
      LensingError: the name is none of them.
    """
    if name == "hires":
        return HIRES
    stack = name.removeprefix(_HIRES_PREFIX)
    *blocks, last_kernel = stack.split("-")
    if not _STACK.fullmatch(stack) or int(last_kernel) % 2 == 0:
        raise LensingError(f"unknown model {name!r}: expected {GRAMMAR}")
    pairs = (block.split("x") for block in blocks)
    return Architecture(
        tuple((int(layers), int(filters)) for layers, filters in pairs),
        int(last_kernel),
        upsampling=1 if stack == name else HIRES.upsampling,
    )


def name_of(architecture: Architecture) -> str:
    """Writes the name that `parse` reads; the study's own where it has one."""
    if architecture == HIRES:
        return "hires"
    blocks = [f"{layers}x{filters}" for layers, filters in architecture.blocks]
    stack = "-".join([*blocks, str(architecture.last_kernel)])
    return stack if architecture.upsampling == 1 else _HIRES_PREFIX + stack
