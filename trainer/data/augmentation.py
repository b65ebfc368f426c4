"""The eight symmetries of a square patch, drawn at random for each example.

On an isotropic sky a turned or mirrored set of maps is as likely as the set itself, so every
example stands for eight. T, κ and E are scalars: their pixels move, their values stay. Q and U are
the components of a spin-2 field, and the axes that they refer to turn with the pixels: with x along
the last axis of an array, y along the one before it, and polarization of the angle ψ from x towards
y, Q = P cos 2ψ and U = P sin 2ψ (Q > 0 along x, U > 0 along the diagonal x = y; Zaldarriaga &
Seljak 1997, astro-ph/9609170, equation 2). Then

    mirroring the rows, y -> -y        ψ -> -ψ          Q ->  Q    U -> -U
    mirroring the columns, x -> -x     ψ -> π - ψ       Q ->  Q    U -> -U
    transposing, x <-> y               ψ -> π/2 - ψ     Q -> -Q    U ->  U

With these signs E moves as a scalar under all eight, and B too but for a change of its sign under
the four that mirror: E has even parity, B odd. No other signs keep a pure E map one of pure E.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def augment(
    maps: tuple[tf.Tensor, ...], channels: Sequence[Sequence[str]], seed: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """Turns and mirrors each example by its own random element of the dihedral group.

    Args:
      maps: (batch, npix, npix, channels) tensors; the maps of one example get the same element.
      channels: the names of each tensor's channels; "Q" and "U" are polarization, all others
        scalars.
      seed: (2,) integers; the same seed gives the same elements.

    Returns:
      The maps, changed.
    """
    elements = tf.random.stateless_uniform([tf.shape(maps[0])[0]], seed, 0, 8, tf.int32)
    return tuple(transform(x, names, elements) for x, names in zip(maps, channels, strict=True))


def transform(maps: tf.Tensor, channels: Sequence[str], elements: tf.Tensor) -> tf.Tensor:
    """Applies an element of the dihedral group to each example.

    Args:
      maps: (batch, npix, npix, channels).
      channels: the channels' names, as of `augment`.
      elements: (batch,) integers in [0, 8): bit 0 mirrors the rows, bit 1 the columns, and bit 2
        transposes afterwards. All eight combinations differ, and together they are the group.

    Raises:
      ValueError: the maps have another number of channels.
    """
    if len(channels) != maps.shape[-1]:
        raise ValueError(f"maps of {maps.shape[-1]} channels are not {', '.join(channels)}")
    chosen = [tf.bitwise.bitwise_and(elements, 1 << bit) != 0 for bit in range(3)]
    for bit, change in zip(chosen, (_mirror_rows, _mirror_columns, _transpose), strict=True):
        maps = tf.where(bit[:, None, None, None], change(maps), maps)
    # Signs do not depend on the pixel: they may all be changed at the end.
    rows, columns, transposed = chosen
    changes_sign = {"Q": transposed, "U": rows != columns}
    if not changes_sign.keys() & set(channels):
        return maps
    never = tf.zeros_like(rows)
    flips = tf.stack([changes_sign.get(name, never) for name in channels], axis=-1)
    return tf.where(flips[:, None, None, :], -maps, maps)


def _mirror_rows(maps: tf.Tensor) -> tf.Tensor:
    return tf.reverse(maps, [1])


def _mirror_columns(maps: tf.Tensor) -> tf.Tensor:
    return tf.reverse(maps, [2])


def _transpose(maps: tf.Tensor) -> tf.Tensor:
    return tf.transpose(maps, [0, 2, 1, 3])
