"""The optimizer of a run, and the learning rate that it has in each step."""

from __future__ import annotations

import keras
from keras.optimizers.schedules import CosineDecay, LearningRateSchedule, PolynomialDecay

from trainer.settings.recipes import Recipe

_LARGEST_WARMUP = 0.1  # of a run


def build_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Builds the optimizer that a recipe names.

    Args:
      recipe: how to train.
      steps: of the whole run, over which the learning rate has its course.
    """
    rate = learning_rate(recipe, steps)
    clipping = {"clipnorm": recipe.clipnorm, "global_clipnorm": recipe.global_clipnorm}
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(
            rate, momentum=recipe.momentum, nesterov=recipe.nesterov, **clipping
        )
    if recipe.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, **clipping)
    return keras.optimizers.Adam(rate, **clipping)


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
