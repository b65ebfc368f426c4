"""The examples of a run: those that it trains on, and those that it is validated by."""

from __future__ import annotations

import dataclasses

from lensing_tfds.records.stored_dataset import StoredDataset
from trainer.data.batches import Batches
from trainer.data.source import Source, steps_per_pass
from trainer.data.stream import training_batches, validation_batches
from trainer.settings.config import TrainerConfig


@dataclasses.dataclass(frozen=True)
class RunData:
    """The examples of a run, in batches.

    Attributes:
      source: of the training examples, which is running.
      stored: the dataset, whose validation split is read.
      config: of the run.
    """

    source: Source
    stored: StoredDataset
    config: TrainerConfig

    @property
    def steps_per_pass(self) -> int:
        """Steps that take each training example once."""
        return steps_per_pass(self.source, self.config.batch_size)

    def examples_of(self, steps: int) -> float:
        """Returns the examples that so many steps take, in the mean of a pass."""
        return self.source.examples_per_epoch * steps / self.steps_per_pass

    def training(self, steps: range) -> Batches:
        """Streams the batches of a range of the run's steps; see `stream.training_batches`."""
        return training_batches(self.source, self.config, steps)

    def validation(self) -> Batches:
        """Streams the validation split; see `stream.validation_batches`."""
        return validation_batches(self.stored, self.config.batch_size)
