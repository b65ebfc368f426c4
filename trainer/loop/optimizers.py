"""The optimizer of a run, and the learning rate that it has in each step."""

from __future__ import annotations

from typing import Any

import keras
from keras.optimizers.schedules import CosineDecay, LearningRateSchedule, PolynomialDecay

from trainer.settings.recipes import Recipe

_LARGEST_WARMUP = 0.1  # of a run


def build_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Builds the optimizer that a recipe names.

    For float16 it scales the loss, and leaves out steps whose gradients that makes infinite.

    Args:
      recipe: how to train.
      steps: of the whole run, over which the learning rate has its course.
    """
    rate = learning_rate(recipe, steps)
    common: dict[str, Any] = {
        "clipnorm": recipe.clipnorm,
        "global_clipnorm": recipe.global_clipnorm,
    }
    if recipe.ema_momentum is not None:
        common |= {"use_ema": True, "ema_momentum": recipe.ema_momentum}
    optimizer: keras.optimizers.Optimizer
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            rate, momentum=recipe.momentum, nesterov=recipe.nesterov, **common
        )
    elif recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, **common)
    else:
        optimizer = keras.optimizers.Adam(rate, **common)
    if recipe.precision == "float16":  # whose smallest number is larger than many a gradient
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def learning_rate(recipe: Recipe, steps: int) -> float | LearningRateSchedule:
    """Builds the learning rate's course over a run.

    A warm-up of w steps has the rate r (s + 1) / (w + 1) in step s = 0 ... w - 1. Then a constant
    schedule stays at r, and a cosine one has r (1 + cos(pi (s - w) / (steps - w))) / 2, which ends
    at zero (Loshchilov & Hutter 2017, without restarts).

    Args:
      recipe: its learning_rate r, schedule and warmup_steps are used; the warm-up takes a tenth of
        a cosine at most.
      steps: of the whole run.
    """
    rate = recipe.learning_rate
    warmup = recipe.warmup_steps
    if recipe.schedule == "cosine":
        warmup = min(warmup, int(_LARGEST_WARMUP * steps))
    first = rate / (warmup + 1)  # Keras's ramps end in step w
    if recipe.schedule == "cosine" and warmup:
        return CosineDecay(first, steps - warmup, warmup_target=rate, warmup_steps=warmup)
    if recipe.schedule == "cosine":
        return CosineDecay(rate, steps)
    return PolynomialDecay(first, warmup, rate) if warmup else rate
