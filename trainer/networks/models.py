"""The study's networks, built by name; all maps are standardised, in and out.

The originals squeezed every map into (0, 1) by the data set's extremes and ended in a ReLU. Here
the last layer is linear and κ has zero mean and unit variance: κ is as often negative as positive,
a ReLU output has no gradient wherever it starts below zero, and extremes grow with the number of
examples whereas mean and variance do not.
"""

from __future__ import annotations

import keras
import numpy as np

from trainer.networks import architectures


def build_model(name: str, input_shape: tuple[int, int, int], seed: int) -> keras.Model:
    """Builds a network from its name, not compiled.

    Args:
      name: `LxF-...-K` or `hires`, see `trainer.networks.architectures`.
      input_shape: (npix, npix, channels) of a lensed map.
      seed: of the orthogonal initialisation; the same seed gives the same weights.

    Returns:
      A model from (batch, npix, npix, channels) standardised lensed maps to
      (batch, npix, npix, 1) standardised κ, both float32.

    Raises:
      LensingError: the name is not in the grammar.
    """
    architecture = architectures.parse(name)
    filters = architecture.filters
    # One seed a layer: Keras would give layers of one shape the same weights from one seed.
    seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(len(filters) + 1)]

    inputs = keras.Input(input_shape, name="lensed")
    x = inputs
    if architecture.upsampling > 1:
        x = keras.layers.UpSampling2D(architecture.upsampling, name="upsample")(x)
    for i, (n, layer_seed) in enumerate(zip(filters, seeds, strict=False), start=1):
        x = _conv(n, 3, layer_seed, "relu", f"conv{i}")(x)
    if architecture.upsampling > 1:
        x = keras.layers.AveragePooling2D(architecture.upsampling, name="downsample")(x)
    outputs = _conv(1, architecture.last_kernel, seeds[-1], "linear", "kappa")(x)
    return keras.Model(inputs, outputs, name=f"cnn_{name.replace('-', '_')}")


def _conv(filters: int, kernel: int, seed: int, activation: str, name: str) -> keras.layers.Layer:
    return keras.layers.Conv2D(
        filters,
        kernel,
        padding="same",
        activation=activation,
        kernel_initializer=keras.initializers.Orthogonal(seed=seed),
        name=name,
    )
