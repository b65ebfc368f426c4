"""Loss, metric and optimizer of a network: all that it takes to be fitted."""

from __future__ import annotations

import keras

from trainer.loop.losses import StandardisedError, judged
from trainer.loop.metrics import MapCorrelation
from trainer.loop.optimizers import build_optimizer
from trainer.machine import devices
from trainer.networks.physical import scaling_of, task_of
from trainer.settings.config import TrainerConfig


def compile_network(model: keras.Model, config: TrainerConfig, steps: int) -> None:
    """Makes a network ready to fit.

    Args:
      model: as `families.build` builds it.
      config: how to train.
      steps: of the whole run, for its schedule.
    """
    counted = judged(task_of(model).lensing)
    model.compile(
        optimizer=build_optimizer(config, steps),
        loss=StandardisedError(scaling_of(model).label_std, counted),
        metrics=[MapCorrelation(counted)],
        jit_compile=_jit_compile(),
    )


def _jit_compile() -> bool | str:
    """XLA, except with TensorFlow on a CPU, where it is slower for these convolutions."""
    on_cpu = keras.backend.backend() == "tensorflow" and not devices.has_accelerator()
    return False if on_cpu else "auto"
