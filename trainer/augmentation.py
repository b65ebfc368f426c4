"""The eight symmetries of a square patch, drawn at random for each example.

Temperature and κ are scalars on an isotropic sky: a turned or mirrored pair of maps is as likely
as the pair itself, so every example stands for eight. (Q and U of polarization would turn too.)
"""

from __future__ import annotations

import tensorflow as tf


def augment(maps: tuple[tf.Tensor, ...], seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Turns and mirrors each example by its own random element of the dihedral group.

    Args:
      maps: (batch, npix, npix, channels) tensors; the maps of one example get the same element.
      seed: (2,) integers; the same seed gives the same elements.

    Returns:
      The maps, changed.
    """
    elements = tf.random.stateless_uniform([tf.shape(maps[0])[0]], seed, 0, 8, tf.int32)
    return tuple(transform(x, elements) for x in maps)


def transform(maps: tf.Tensor, elements: tf.Tensor) -> tf.Tensor:
    """Applies an element of the dihedral group to each example.

    Args:
      maps: (batch, npix, npix, channels).
      elements: (batch,) integers in [0, 8): bit 0 mirrors the rows, bit 1 the columns, and bit 2
        transposes afterwards. All eight combinations differ, and together they are the group.
    """
    for bit, change in enumerate((_mirror_rows, _mirror_columns, _transpose)):
        chosen = tf.bitwise.bitwise_and(elements, 1 << bit) != 0
        maps = tf.where(chosen[:, None, None, None], change(maps), maps)
    return maps


def _mirror_rows(maps: tf.Tensor) -> tf.Tensor:
    return tf.reverse(maps, [1])


def _mirror_columns(maps: tf.Tensor) -> tf.Tensor:
    return tf.reverse(maps, [2])


def _transpose(maps: tf.Tensor) -> tf.Tensor:
    return tf.transpose(maps, [0, 2, 1, 3])
