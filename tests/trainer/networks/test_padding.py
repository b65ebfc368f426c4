"""Periodic maps go on at the opposite edge, in a network and on a gradient's way back."""

import keras
import numpy as np
import pytest

from lensing_tfds import VERSIONS
from lensing_tfds.task import Task
from trainer.networks import unet
from trainer.networks.padding import ActivateAndWrap

SHAPES = [(6, 2, 2), (5, 1, 1), (5, 0, 1), (4, 2, 2), (2, 1, 1), (1, 1, 1), (3, 2, 2)]


@pytest.mark.parametrize(("side", "before", "after"), SHAPES)
def test_what_lies_beyond_an_edge_is_what_lies_at_the_opposite_one(side, before, after):
    maps = np.random.default_rng(0).standard_normal((2, side, side, 3)).astype(np.float32)
    margin = (before, after)
    expected = np.pad(maps, ((0, 0), margin, margin, (0, 0)), mode="wrap")
    found = keras.ops.convert_to_numpy(ActivateAndWrap(before, after)(maps))
    np.testing.assert_array_equal(found, expected)


def gradient_of(layer, maps, upstream):
    """Of the sum of a layer's output times `upstream`, by Keras's backend."""
    if keras.backend.backend() == "jax":
        import jax

        (gradient,) = jax.vjp(layer, jax.numpy.asarray(maps))[1](jax.numpy.asarray(upstream))
    elif keras.backend.backend() == "torch":
        import torch

        maps = torch.tensor(maps, requires_grad=True)
        layer(maps).backward(torch.tensor(upstream))
        gradient = maps.grad
    else:
        import tensorflow as tf

        maps = tf.constant(maps)
        with tf.GradientTape() as tape:
            tape.watch(maps)
            result = layer(maps)
        gradient = tape.gradient(result, maps, upstream)
    return keras.ops.convert_to_numpy(gradient)


@pytest.mark.parametrize(("side", "before", "after"), SHAPES)
def test_a_pixels_gradient_is_the_sum_of_those_of_its_copies(side, before, after):
    rng, wide = np.random.default_rng(0), side + before + after
    maps = rng.standard_normal((2, side, side, 3)).astype(np.float32)
    upstream = rng.standard_normal((2, wide, wide, 3)).astype(np.float32)
    places = np.arange(-before, side + after) % side
    expected = np.zeros(maps.shape)
    np.add.at(expected, (slice(None), places[:, None], places), upstream)
    found = gradient_of(ActivateAndWrap(before, after), maps, upstream)
    np.testing.assert_allclose(found, expected, atol=1e-6)  # up to nine numbers of unit variance


def test_a_block_that_continues_its_maps_once_is_the_one_that_does_it_twice(monkeypatch):
    task = Task(VERSIONS["v7"], "2.0.0")
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((2, 50, 50, 2)).astype(np.float32)
    models = []
    for least in (4, 10**6):
        monkeypatch.setattr(unet, "ONCE_FROM", least)
        inputs = keras.Input((50, 50, 2))
        outputs = unet.parse("unet-4x2x1").of_maps(inputs, task, 0)
        models.append(keras.Model(inputs, outputs))
    once, twice = models
    assert len(once.layers) == len(twice.layers)
    assert sum(isinstance(layer, ActivateAndWrap) for layer in once.layers) < sum(
        isinstance(layer, ActivateAndWrap) for layer in twice.layers
    )
    weights = [rng.standard_normal(w.shape) / 6 for w in once.get_weights()]
    for model in models:
        model.set_weights(weights)
    found, expected = (keras.ops.convert_to_numpy(model(maps)) for model in models)
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.std())
