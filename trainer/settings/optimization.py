"""Bounds of the settings that say how a network is trained, whichever it is."""

from __future__ import annotations

from lensing_tfds.errors import LensingError

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "bfloat16", "float16")

WEIGHT_DECAY = 0.01
"""Of AdamW, unless somebody says otherwise (Loshchilov & Hutter 2019, times the learning rate)."""

LARGEST = 2**31 - 1
"""Of any count or seed: more than any training has, and what TensorFlow's integers hold."""


SMALLEST_RATE, LARGEST_RATE = 1e-30, 1e30
"""Of learning: beyond, single precision makes zero of it, which trains nothing, or infinity."""

LARGEST_MINUTES = 1e6


def check_count(name: str, value: int | None) -> None:
    """Refuses a count of examples, epochs, trials or the like that is none; None is no limit.

    Raises:
      LensingError: it is not in [1, 2^31).
    """
    if value is not None and value < 1:
        raise LensingError(f"{name} is {value}: must be at least 1")
    if value is not None and value > LARGEST:
        raise LensingError(f"{name} is {value}: must be below 2^31")


def check_reuse(fresh: bool, reuse: int) -> None:
    """Refuses a number of times that a sky is seen which is none, or of skies that are stored.

    Raises:
      LensingError: the message names it.
    """
    check_count("reuse", reuse)
    if reuse != 1 and not fresh:
        raise LensingError(f"reuse is {reuse}: is for skies that are --fresh")


def check_optimization(
    optimizer: str,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    clipnorm: float | None = None,
    global_clipnorm: float | None = None,
    schedule: str = "constant",
    warmup_steps: int = 0,
    batch_size: int = 1,
    precision: str = "float32",
    ema_momentum: float | None = None,
) -> None:
    """Refuses settings that no training can have; see `recipes.Recipe` for what they mean.

    Raises:
      LensingError: one is impossible; the message names it, its value and what is allowed.
    """
    for name, value, allowed, valid in (
        ("optimizer", optimizer, " or ".join(OPTIMIZERS), optimizer in OPTIMIZERS),
        ("schedule", schedule, " or ".join(SCHEDULES), schedule in SCHEDULES),
        (
            "learning_rate",
            learning_rate,
            f"a positive number, from {SMALLEST_RATE:g} to {LARGEST_RATE:g}",
            SMALLEST_RATE <= learning_rate <= LARGEST_RATE,
        ),
        ("momentum", momentum, "in [0, 1)", 0 <= momentum < 1),
        ("momentum", momentum, f"0 with {optimizer}", optimizer == "sgd" or momentum == 0),
        ("weight_decay", weight_decay, "in [0, 1)", 0 <= weight_decay < 1),
        (
            "weight_decay",
            weight_decay,
            f"0 with {optimizer}: adamw has one",
            optimizer == "adamw" or weight_decay == 0,
        ),
        ("clipnorm", clipnorm, "positive", clipnorm is None or clipnorm > 0),
        (
            "global_clipnorm",
            global_clipnorm,
            "positive, and null beside a clipnorm",
            global_clipnorm is None or (global_clipnorm > 0 and clipnorm is None),
        ),
        ("precision", precision, " or ".join(PRECISIONS), precision in PRECISIONS),
        (
            "ema_momentum",
            ema_momentum,
            "in (0, 1), or null",
            ema_momentum is None or 0 < ema_momentum < 1,
        ),
        ("warmup_steps", warmup_steps, "in [0, 2^31)", 0 <= warmup_steps <= LARGEST),
    ):
        if not valid:
            raise LensingError(f"{name} is {value!r}: must be {allowed}")
    check_count("batch_size", batch_size)


def check_length(epochs: int | None, minutes: float | None) -> None:
    """Refuses a run's length that is none, or two.

    Raises:
      LensingError: the message names both.
    """
    check_count("epochs", epochs)
    if minutes is not None and not 0 < minutes <= LARGEST_MINUTES:
        raise LensingError(f"minutes is {minutes}: must be positive, and at most a million")
    if (epochs is None) == (minutes is None):
        raise LensingError(f"epochs is {epochs} and minutes is {minutes}: give one of the two")
