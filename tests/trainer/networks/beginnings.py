"""Claims of every network that begins as an estimator."""

import keras
import numpy as np


def check_mixed_precision(network, task, measured, inputs, kappa):
    """A network of mixed precision begins as the one of single precision, and can be trained.

    Args:
      network: started.
      task: of it.
      measured: statistics of its training maps.
      inputs: standardised maps.
      kappa: their labels.
    """
    expected = network.build(task, measured, 0)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network.build(task, measured, 0)
    finally:
        keras.config.set_dtype_policy(policy)
    assert {layer.compute_dtype for layer in model.layers} == {"float32", "bfloat16"}
    np.testing.assert_array_equal(model(inputs), expected(inputs))
    model.compile(keras.optimizers.Adam(1e-3), loss="mse", run_eagerly=True)
    model.train_on_batch(inputs, kappa)
    assert np.isfinite(model(inputs)).all()
