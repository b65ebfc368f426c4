"""Operations that give the same bits each time, for a run of the setting `deterministic`."""

from __future__ import annotations

import os

import keras

from lensing_tfds.errors import LensingError

_JAX = "--xla_gpu_deterministic_ops=true"


def use_deterministic_operations() -> None:
    """Has the backend take its deterministic kernels, for the rest of the process.

    On a GPU the others add in any order, so that two runs drift apart; on a CPU the network's
    operations are deterministic as they are.

    Raises:
      LensingError: the backend is JAX, which reads its own flag when it starts.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif backend == "torch":
        import torch

        torch.use_deterministic_algorithms(True)
    elif _JAX not in os.environ.get("XLA_FLAGS", ""):
        raise LensingError(f"deterministic: with {backend}, set XLA_FLAGS={_JAX} first")
