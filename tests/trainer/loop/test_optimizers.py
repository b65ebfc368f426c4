"""Optimizers and learning rates, against their formulas."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from trainer.loop.optimizers import build_optimizer, learning_rate
from trainer.settings.recipes import Recipe

COSINE = Recipe("1x4-3", learning_rate=0.02, schedule="cosine", warmup_steps=5)


def course(recipe: Recipe, steps: int) -> list[float]:
    rate = learning_rate(recipe, steps)
    return [rate if isinstance(rate, float) else float(rate(step)) for step in range(steps + 1)]


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (9, 0), (10, 1), (49, 4), (50, 5), (200, 5)])
def test_a_cosine_rises_over_the_warm_up_and_ends_at_zero(steps, warmup):
    """A warm-up of five steps, or of a tenth of a shorter run."""
    expected = [
        0.02 * (s + 1) / (warmup + 1)
        if s < warmup
        else 0.01 * (1 + math.cos(math.pi * (s - warmup) / (steps - warmup)))
        for s in range(steps + 1)
    ]
    assert expected[-1] == 0 and max(expected) == 0.02
    np.testing.assert_allclose(course(COSINE, steps), expected, rtol=1e-5, atol=1e-8)


def test_a_cosine_without_a_warm_up_begins_at_the_full_rate():
    rates = course(dataclasses.replace(COSINE, warmup_steps=0), 20)
    expected = [0.01 * (1 + math.cos(math.pi * s / 20)) for s in range(21)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-8)


def test_a_constant_rate_is_a_number_and_stays_after_a_warm_up():
    constant = dataclasses.replace(COSINE, schedule="constant", warmup_steps=0)
    assert learning_rate(constant, 100) == 0.02
    warmed = course(dataclasses.replace(constant, warmup_steps=4), 100)
    np.testing.assert_allclose(warmed, [0.004, 0.008, 0.012, 0.016, *[0.02] * 97], rtol=1e-6)


def test_the_optimizer_is_the_one_that_the_recipe_names():
    adam = build_optimizer(Recipe("1x4-3", learning_rate=0.5), 10)
    assert type(adam) is keras.optimizers.Adam
    assert (float(adam.learning_rate), adam.clipnorm, adam.global_clipnorm) == (0.5, 1, None)
    sgd = Recipe("1x4-3", optimizer="sgd", momentum=0.9, nesterov=True, clipnorm=None)
    sgd = build_optimizer(sgd, 10)
    assert type(sgd) is keras.optimizers.SGD
    assert (sgd.momentum, sgd.nesterov, sgd.clipnorm) == (0.9, True, None)
    adamw = {"optimizer": "adamw", "weight_decay": 0.1, "clipnorm": None, "global_clipnorm": 2.0}
    adamw = build_optimizer(dataclasses.replace(COSINE, **adamw), 10)
    assert type(adamw) is keras.optimizers.AdamW
    assert (adamw.weight_decay, adamw.clipnorm, adamw.global_clipnorm) == (0.1, None, 2.0)


def test_all_gradients_together_are_clipped_to_one_norm():
    """With plain SGD at rate 1 a step is the clipped gradient itself."""
    recipe = Recipe("1x4-3", optimizer="sgd", learning_rate=1.0, clipnorm=None, global_clipnorm=1.0)
    variables = [keras.Variable(np.zeros(n, np.float32)) for n in (2, 1)]
    optimizer = build_optimizer(recipe, 1)
    gradients = [np.array([3.0, 0.0], np.float32), np.array([4.0], np.float32)]
    optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    moved = [keras.ops.convert_to_numpy(v) for v in variables]
    np.testing.assert_allclose(np.concatenate(moved), [-0.6, 0.0, -0.8], rtol=1e-6)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_an_optimizer_comes_back_from_its_config_with_its_rate(schedule):
    recipe = dataclasses.replace(COSINE, schedule=schedule)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(build_optimizer(recipe, 60)))
    again.iterations.assign(30)
    np.testing.assert_allclose(float(again.learning_rate), course(recipe, 60)[30], rtol=1e-6)
