"""Bounds of the settings that say how a network is trained, whichever it is."""

from __future__ import annotations

import math

from lensing_tfds.errors import LensingError

OPTIMIZERS = ("adam", "sgd")

LARGEST = 2**31 - 1
"""Of any count or seed: more than any training has, and what TensorFlow's integers hold."""


def check_count(name: str, value: int | None) -> None:
    """Refuses a count of examples, epochs, trials or the like that is none; None is no limit.

    Raises:
      LensingError: it is not in [1, 2^31).
    """
    if value is not None and value < 1:
        raise LensingError(f"{name} is {value}: must be at least 1")
    if value is not None and value > LARGEST:
        raise LensingError(f"{name} is {value}: must be below 2^31")


def check_optimization(
    optimizer: str,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    clipnorm: float | None = None,
    batch_size: int = 1,
    epochs: int = 1,
) -> None:
    """Refuses settings that no training can have; see `recipes.Recipe` for what they mean.

    Raises:
      LensingError: one is impossible; the message names it, its value and what is allowed.
    """
    is_rate = math.isfinite(learning_rate) and learning_rate > 0
    for name, value, allowed, valid in (
        ("optimizer", optimizer, " or ".join(OPTIMIZERS), optimizer in OPTIMIZERS),
        ("learning_rate", learning_rate, "a positive number", is_rate),
        ("momentum", momentum, "in [0, 1)", 0 <= momentum < 1),
        ("momentum", momentum, "0 with adam", optimizer == "sgd" or momentum == 0),
        ("clipnorm", clipnorm, "positive", clipnorm is None or clipnorm > 0),
    ):
        if not valid:
            raise LensingError(f"{name} is {value!r}: must be {allowed}")
    check_count("batch_size", batch_size)
    check_count("epochs", epochs)
