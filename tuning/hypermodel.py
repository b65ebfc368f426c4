"""The trainer's networks and its training, as Keras Tuner asks for them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from lensing_tfds.command_line import Suspended, Terminated
from lensing_tfds.configs import LensingConfig
from lensing_tfds.records.datasets import open_dataset
from trainer.data import sources
from trainer.data.measured import measured_statistics, training_sample
from trainer.data.source import Source
from trainer.loop.memory import refuse_too_large
from trainer.networks import families
from trainer.networks.sample import Sample
from trainer.networks.space import Choice, Dimension
from trainer.networks.statistics import Statistics
from trainer.runs.run import Run
from trainer.settings.config import TrainerConfig
from trainer.train import train
from tuning.config import SearchConfig


class LensingHyperModel(keras_tuner.HyperModel):
    """A point of a search's space -> a network, built and trained as `python -m trainer` does.

    Args:
      config: the search.
      lensing: the dataset's own config.
      live: whether to show the running epoch on standard output.
    """

    def __init__(self, config: SearchConfig, lensing: LensingConfig, live: bool = False):
        super().__init__()
        self.config = config
        self.lensing = lensing
        self.live = live
        self._statistics: Statistics | None = None  # the same for all trials

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        config = self.trainer_config(hp)
        refuse_too_large(config, self.lensing)
        source, sample = self._examples
        with source.running():
            if self._statistics is None:
                self._statistics = measured_statistics(source)
            return families.build(
                *(config.model, source.task, self._statistics, config.seed, config.precision),
                sample,
            )

    @functools.cached_property
    def _examples(self) -> tuple[Source, Sample]:
        """The first examples, and what is measured on them, which are the same for all trials."""
        stored = open_dataset(self.lensing, self.config.data_dir)
        source = sources.source_of(self.config.default_settings(self.lensing), stored, None)
        return source, training_sample(source, stored.spectra)

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        workdir: str | Path,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> Run:
        """Trains as the trainer does, in a run's folder; goes on where that stopped.

        Args:
          hp: a point of the space, with the epochs that Hyperband set, if it did.
          model: what `build` built.
          workdir: the run's folder.
          callbacks: more of them.

        Raises:
          LensingError: as `trainer.train.train`.
        """
        try:
            return train(self.trainer_config(hp), workdir, _nobody, self.live, model, callbacks)
        except Suspended as error:  # of a trial: the search says how it ended itself
            raise Terminated from error

    def trainer_config(self, hp: keras_tuner.HyperParameters) -> TrainerConfig:
        """The settings of one trial.

        Args:
          hp: a point of the space; dimensions that it does not know yet are declared.

        Raises:
          LensingError: they are impossible.
        """
        dimensions = self.config.space.dimensions()
        point = {name: _value(hp, name, dimension) for name, dimension in dimensions.items()}
        epochs = hp.values.get("tuner/epochs", self.config.max_epochs)
        return self.config.trainer_config(self.lensing, point, epochs)


def _value(hp: keras_tuner.HyperParameters, name: str, dimension: Dimension) -> Any:
    if not isinstance(dimension, Choice):
        return hp.Float(name, dimension.low, dimension.high, sampling="log")
    if len(dimension.values) == 1:
        return hp.Fixed(name, dimension.values[0])
    if isinstance(dimension.values[0], bool):  # Keras Tuner's protocol makes a bool of a Choice 0.0
        return hp.Boolean(name)
    return hp.Choice(name, list(dimension.values))


def _nobody(line: str) -> None:
    """Drops a run's lines: a search prints one a trial."""
