"""Random symmetries of the square patch for training: every example stands for eight."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from lensing_tfds import symmetries


def augment(
    maps: tuple[tf.Tensor, ...], channels: Sequence[Sequence[str]], seed: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """Turns and mirrors each example by its own random element of the dihedral group.

    Args:
      maps: (batch, npix, npix, channels) tensors; the maps of one example get the same element.
      channels: the names of each tensor's channels, see `symmetries.transform`.
      seed: (2,) integers; the same seed gives the same elements.

    Returns:
      The maps, changed.
    """
    batch = tf.shape(maps[0])[0]
    elements = tf.random.stateless_uniform([batch], seed, 0, symmetries.ORDER, tf.int32)
    return tuple(
        symmetries.transform(x, names, elements, tf)
        for x, names in zip(maps, channels, strict=True)
    )
