"""The eight symmetries of a square patch, with the signs of polarization.

On an isotropic sky a turned or mirrored set of maps is as likely as the set itself. T, κ and E are
scalars: their pixels move, their values stay. Q and U are the components of a spin-2 field, and the
axes that they refer to turn with the pixels: with x along the last axis of an array, y along the
one before it, and polarization of the angle ψ from x towards y, Q = P cos 2ψ and U = P sin 2ψ
(Q > 0 along x, U > 0 along the diagonal x = y; Zaldarriaga & Seljak 1997, astro-ph/9609170,
equation 2). Then

    mirroring the rows, y -> -y        ψ -> -ψ          Q ->  Q    U -> -U
    mirroring the columns, x -> -x     ψ -> π - ψ       Q ->  Q    U -> -U
    transposing, x <-> y               ψ -> π/2 - ψ     Q -> -Q    U ->  U

With these signs E moves as a scalar under all eight, and B too but for a change of its sign under
the four that mirror: E has even parity, B odd. No other signs keep a pure E map one of pure E.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

ORDER = 8
"""Elements of the group."""

_POLARIZATION = ("Q", "U")

Array = TypeVar("Array", bound=Any)


def spin(channel: str) -> int:
    """The spin of a channel by its name: 2 for Q and U, 0 for all others."""
    return 2 if channel in _POLARIZATION else 0


def transform(maps: Array, channels: Sequence[str], elements: Any, xp: Any = np) -> Array:
    """Applies an element of the dihedral group to each example.

    Args:
      maps: (batch, npix, npix, channels), of any type that `xp` works on.
      channels: the channels' names; "Q" and "U" are polarization, all others scalars.
      elements: (batch,) integers in [0, 8): bit 0 mirrors the rows, bit 1 the columns, and bit 2
        transposes afterwards. All eight combinations differ, and together they are the group.
      xp: whose `where`, `stack`, `transpose` and `zeros_like` are used: numpy, tensorflow,
        jax.numpy or keras.ops.

    Returns:
      The maps, changed, of the same type.

    Raises:
      ValueError: the maps have another number of channels.
    """
    if len(channels) != maps.shape[-1]:
        raise ValueError(f"maps of {maps.shape[-1]} channels are not {', '.join(channels)}")
    rows, columns, transposed = ((elements & (1 << bit)) != 0 for bit in range(3))
    for chosen, change in (
        (rows, lambda x: x[:, ::-1]),
        (columns, lambda x: x[:, :, ::-1]),
        (transposed, lambda x: xp.transpose(x, (0, 2, 1, 3))),
    ):
        maps = xp.where(chosen[:, None, None, None], change(maps), maps)
    # Signs do not depend on the pixel: they may all be changed at the end.
    if not any(map(spin, channels)):
        return maps
    changes_sign = dict(zip(_POLARIZATION, (transposed, rows ^ columns), strict=True))
    never = xp.zeros_like(rows)
    flips = xp.stack([changes_sign.get(name, never) for name in channels], axis=-1)
    return xp.where(flips[:, None, None, :], -maps, maps)
