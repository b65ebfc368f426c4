"""One training step of a network and nothing else, on whichever of Keras's backends."""

from collections.abc import Callable
from typing import Any

import keras


def bare_step(model: Any, x: Any, y: Any) -> Callable[[], float]:
    """Makes a function that does one step on a batch that stays on the device; it gives the loss.

    On JAX it steps with copies of the model's weights, on the others with the model's own.
    """
    x, y = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)
    model.optimizer.build(model.trainable_variables)
    return {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}[
        keras.backend.backend()
    ](model, x, y)


def _on_tensorflow(model: Any, x: Any, y: Any) -> Callable[[], float]:
    import tensorflow as tf

    loss, optimizer, weights = model.loss, model.optimizer, model.trainable_variables

    @tf.function(jit_compile=bool(model.jit_compile))
    def step() -> Any:
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(value, [w.value for w in weights]), weights)
        return value

    return lambda: float(step())


def _on_jax(model: Any, x: Any, y: Any) -> Callable[[], float]:
    import jax

    def loss_of(trained: Any, others: Any) -> Any:
        estimate, others = model.stateless_call(trained, others, x, training=True)
        return model.loss(y, estimate), others

    @jax.jit
    def step(trained: Any, others: Any, optimizer: Any) -> Any:
        (value, others), gradients = jax.value_and_grad(loss_of, has_aux=True)(trained, others)
        trained, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trained)
        return value, (trained, others, optimizer)

    variables = model.trainable_variables, model.non_trainable_variables, model.optimizer.variables
    state = tuple([jax.numpy.array(v.value) for v in part] for part in variables)

    def stepped() -> float:
        nonlocal state
        value, state = step(*state)
        return float(value)

    return stepped


def _on_torch(model: Any, x: Any, y: Any) -> Callable[[], float]:
    import torch

    def step() -> float:
        model.zero_grad()
        value = model.loss(y, model(x, training=True))
        value.backward()
        with torch.no_grad():
            weights = model.trainable_variables
            model.optimizer.apply([weight.value.grad for weight in weights], weights)
        return float(value)

    return step
