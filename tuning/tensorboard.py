"""TensorBoard's HParams tab: each trial's settings beside its validation metrics."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf
from tensorboard.plugins.hparams import api

from trainer.networks.space import Choice, Space
from trainer.settings.config import TrainerConfig

_METRICS = (("epoch_loss", "val_loss"), ("epoch_map_correlation", "val_map_correlation"))
_SETTINGS = ("model", "optimizer", "learning_rate", "batch_size", "augment")


def write_experiment(folder: Path, space: Space) -> None:
    """Declares the settings and metrics of a search's trials, once.

    Args:
      folder: the one that holds the trials.
      space: what is searched.
    """
    dimensions = space.dimensions()
    hparams = [api.HParam("model")]
    for name in _SETTINGS[1:]:
        dimension = dimensions[name]
        hparams.append(
            api.HParam(name, api.Discrete(list(dimension.values)))
            if isinstance(dimension, Choice)
            else api.HParam(name, api.RealInterval(dimension.low, dimension.high))
        )
    with tf.summary.create_file_writer(str(folder)).as_default():
        api.hparams_config(
            hparams=hparams,
            metrics=[
                api.Metric(tag, group="validation", display_name=name) for tag, name in _METRICS
            ],
        )


def hparams_callback(
    workdir: Path, settings: TrainerConfig, trial: str
) -> keras.callbacks.Callback:
    """Records a trial's settings beside what the trainer itself writes for TensorBoard.

    Args:
      workdir: the trial's run.
      settings: the trainer's.
      trial: its number.
    """
    values = {name: getattr(settings, name) for name in _SETTINGS}
    return api.KerasCallback(str(workdir / "tensorboard"), values, trial_id=trial)
