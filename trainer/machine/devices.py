"""The devices of this host, of which a run trains on one.

`tf.distribute.MirroredStrategy` gives the same losses on two devices as on one, to 1e-6, but only
where gradients are not clipped: Keras 3 clips each device's share of a batch before the shares are
added up. All recipes clip, and would train otherwise than they say.
"""

from __future__ import annotations

import os

import keras


def cores() -> int:
    """Counts the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def accelerators() -> int:
    """Counts the GPUs and the like that the backend sees."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return 0 if jax.default_backend() == "cpu" else jax.local_device_count()
    if backend == "torch":
        import torch

        return torch.cuda.device_count()
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def has_accelerator() -> bool:
    """Says whether the backend computes on a GPU or the like."""
    return accelerators() > 0


def unused() -> str:
    """Says which GPUs are left alone, in one line; nothing where there are none."""
    gpus = accelerators()
    if gpus < 2:
        return ""
    return (
        f"this host has {gpus} GPUs, of which one trains: gradients of batches that are shared "
        "would be clipped share by share; CUDA_VISIBLE_DEVICES chooses it, and gives runs beside "
        "each other one each"
    )
