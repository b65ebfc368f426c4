"""A network as operations and layers of Keras's own, for a process that has no other code."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops


def keras_only(model: keras.Model) -> keras.Model:
    """Returns the same network without this project's layers: what these do, written down.

    Their weights are constants of the operations; those of Keras's layers stay weights.

    Args:
      model: a network, of functional models and layers.

    Raises:
      TypeError: something in it is still not Keras's own.
    """
    _reserve_names(model)
    copy = keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=_written_down, recursive=True
    )
    written = keras.Model(copy.inputs, copy.outputs)
    others = {type(part).__name__ for part in _parts(written) if not _is_of_keras(part)}
    if others:
        raise TypeError(f"not of Keras's own: {', '.join(sorted(others))}")
    return written


def _reserve_names(model: keras.Model) -> None:
    """Has Keras count a network's names, which it does not do of one that was read from a file.

    It would give them to the operations that are written down, and a model has each name once.
    """
    for part in _parts(model):
        prefix, _, number = part.name.rpartition("_")
        if not (prefix and number.isdecimal()):
            prefix, number = part.name, "0"
        while keras.backend.get_uid(prefix) <= int(number):
            pass


def _parts(model: keras.Model) -> Iterator[Any]:
    """Yields a model's layers and operations, and those of the models in it."""
    for part in model.operations:
        yield from _parts(part) if isinstance(part, keras.Model) else (part,)


def _is_of_keras(part: Any) -> bool:
    return type(part).__module__.partition(".")[0] == "keras"


def _written_down(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
    """Calls a layer of Keras's; of others it calls what they call, which Keras then records."""
    if _is_of_keras(layer):
        return layer(*args, **kwargs)

    def as_called(value: Any) -> Any:
        is_float = keras.backend.is_keras_tensor(value) and "float" in str(value.dtype)
        return ops.cast(value, layer.compute_dtype) if is_float else value

    known = inspect.signature(layer.call).parameters
    settings = {name: value for name, value in kwargs.items() if name in known}
    return layer.call(*keras.tree.map_structure(as_called, args), **settings)
