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
the four that mirror: E has even parity, B odd, as has an angle that polarization is turned by. No
other signs keep a pure E map one of pure E.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ORDER = 8
"""Elements of the group."""

_POLARIZATION = ("Q", "U")
_PSEUDOSCALARS = ("B", "rotation")  # of odd parity


def spin(channel: str) -> int:
    """The spin of a channel by its name: 2 for Q and U, 0 for all others."""
    return 2 if channel in _POLARIZATION else 0


def transform(
    maps: NDArray[np.float32], channels: Sequence[str], elements: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Applies an element of the dihedral group to each example.

    Args:
      maps: (batch, npix, npix, channels).
      channels: the channels' names; "Q" and "U" are polarization, "B" and "rotation"
        pseudoscalars, all others scalars.
      elements: (batch,) integers in [0, 8): bit 0 mirrors the rows, bit 1 the columns, and bit 2
        transposes afterwards. All eight combinations differ, and together they are the group.

    Returns:
      New maps, changed, of the same type.

    Raises:
      ValueError: the maps have another number of channels.
    """
    if len(channels) != maps.shape[-1]:
        raise ValueError(f"maps of {maps.shape[-1]} channels are not {', '.join(channels)}")
    changed = np.empty_like(maps)
    for element in range(ORDER):
        chosen = np.flatnonzero(elements == element)
        rows, columns, transposed = (bool(element & (1 << bit)) for bit in range(3))
        x = maps[chosen][:, :: -1 if rows else 1, :: -1 if columns else 1]
        if transposed:
            x = x.transpose(0, 2, 1, 3)
        changes_sign = dict(zip(_POLARIZATION, (transposed, rows ^ columns), strict=True))
        changes_sign |= dict.fromkeys(_PSEUDOSCALARS, rows ^ columns ^ transposed)
        for channel, name in enumerate(channels):
            if changes_sign.get(name):
                x[..., channel] *= -1  # np.negative in place is wrong in NumPy 2.4, with AVX-512
        changed[chosen] = x
    return changed
