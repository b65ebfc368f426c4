"""Keras's global settings, at the values that our networks need while they are used."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

# Keras is imported where it is used: its import registers our layers, which need this module whole.

_SETTINGS: dict[str, Any] = {
    "floatx": "float32",
    "image_data_format": "channels_last",
    "epsilon": 1e-7,
    "max_epochs": None,
    "max_steps_per_epoch": None,
}
"""Of a process; `keras.config.NAME` reads one and `keras.config.set_NAME` writes it."""

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""A precision -> Keras's policy, of a thread."""

_lock = threading.Lock()
_users = 0
_before: dict[str, Any] = {}


@contextlib.contextmanager
def keras_settings(precision: str = "float32") -> Iterator[None]:
    """Holds the settings under which this project's networks are defined.

    `keras.json`, KERAS_MAX_EPOCHS, KERAS_MAX_STEPS_PER_EPOCH and a dtype policy that somebody set
    would change a network, its training or what it is given without a word. What was there before
    comes back when the last thread leaves the block.

    Args:
      precision: of what the layers built here compute, as `Recipe.precision`; weights are float32
        whatever it is, and so are layers that ask for it by `dtype`.
    """
    import keras

    policy = keras.config.dtype_policy()  # of a thread, unlike the others
    _enter()
    try:
        keras.config.set_dtype_policy(_POLICIES[precision])
        yield
    finally:
        _leave()
        keras.config.set_dtype_policy(policy)


def _enter() -> None:
    global _users
    import keras

    with _lock:
        _users += 1
        if _users == 1:
            _before.update({name: getattr(keras.config, name)() for name in _SETTINGS})
            _set(_SETTINGS)


def _leave() -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            _set(_before)


def _set(values: dict[str, Any]) -> None:
    import keras

    for name, value in values.items():
        getattr(keras.config, f"set_{name}")(value)
