"""Predictions with the dataset that they are of: what is judged where there is no run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from estimators.estimator import Estimator
from estimators.predictions import DESCRIPTION, Predictions, open_predictions
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.datasets import (
    absolute_data_dir,
    find_config,
    open_dataset,
    refuse_another,
)
from trainer.run import Run

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


@dataclasses.dataclass(frozen=True)
class PredictedConfig:
    """What is said of predictions; the fields of `TrainerConfig` that are known of them too.

    Attributes:
      dataset: "lensing/<name>".
      data_dir: the absolute folder that holds the folder `lensing`.
      model: the network's name; of another group's predictions, that of their folder.
    """

    dataset: str
    data_dir: str
    model: str


@dataclasses.dataclass(frozen=True)
class Predicted:
    """What `evaluation` judges like a `Run`.

    Attributes:
      workdir: the folder of the predictions, which the report goes to.
      config: what is said of them.
      lensing: the config of the dataset.
      dataset_version: the version of its data that they are of; None where nobody has said so.
      split: the one that they are of, if they say so.
      maps: the predictions.
    """

    workdir: Path
    config: PredictedConfig
    lensing: LensingConfig
    dataset_version: str | None
    split: str | None
    maps: Predictions

    def builder(self) -> tfds.core.DatasetBuilder:
        """Opens the dataset, building a missing version.

        Raises:
          LensingError: it cannot be opened, or is not the one that the predictions are of.
        """
        builder = open_dataset(self.lensing, self.config.data_dir)
        version = self.dataset_version or str(builder.version)
        refuse_another(builder, self.lensing, version, "what the predictions were made from")
        return builder

    def estimator(self, split: str, count: int) -> Estimator:
        """Returns what gives the predictions of a batch, by its indices.

        Args:
          split: the one that is judged.
          count: how many of its examples are, the first ones.

        Raises:
          LensingError: the predictions are not those of these examples.
        """
        self.maps.refuse_unfit(self.lensing, split, count)
        label = f"{'network' if self.maps.description else 'estimate in'} {self.config.model}"
        return Estimator("predictions", label, lambda batch: self.maps.estimate(batch["index"]))


Subject = Run | Predicted
"""What can be judged."""


def load_predicted(
    folder: str | Path, dataset: str | None = None, data_dir: str | None = None
) -> Predicted:
    """Opens a folder of predictions.

    Args:
      folder: in the format of docs/predictions.md.
      dataset: "lensing/<name>"; None if the predictions say so themselves.
      data_dir: the folder that holds the folder `lensing`; None is what the predictions say, or
        else TFDS's own default.

    Raises:
      LensingError: there are no predictions, they are not in the format, their dataset is not
        known, or they are of another one.
    """
    folder = Path(folder)
    maps = open_predictions(folder)
    said = maps.description
    if not said:
        if dataset is None:
            raise LensingError(
                f"{folder} has no {DESCRIPTION} that says what it holds: give --dataset lensing/..."
            )
        data_dir = absolute_data_dir(data_dir)
        config = PredictedConfig(dataset, data_dir, folder.absolute().name)
        return Predicted(folder, config, find_config(dataset, data_dir), None, None, maps)
    if dataset not in (None, said["dataset"]):
        raise LensingError(f"{folder} holds predictions of {said['dataset']}, not of {dataset}")
    config = PredictedConfig(
        said["dataset"], absolute_data_dir(data_dir or said["data_dir"]), said["model"]
    )
    lensing = LensingConfig.from_json(said["config"])
    return Predicted(folder, config, lensing, said["dataset_version"], said["split"], maps)
