"""A run's folder: what was trained, on what, how it went, and what it predicts.

The folder holds

    config.json    TrainerConfig, with the dataset's own config under "lensing" and "scaling"
    history.csv    one row an epoch, see `trainer.history.COLUMNS`
    best.keras     the model of the epoch with the lowest validation loss
    last.keras     the model and its optimizer after the last finished epoch
    tensorboard/   the same losses for TensorBoard
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing
from lensing_tfds.task import Task
from trainer.config import TrainerConfig
from trainer.data.scaling import Scaling
from trainer.history import as_columns, read_history
from trainer.networks import families
from trainer.networks.memory import MemoryEstimate

if TYPE_CHECKING:
    import keras
    import tensorflow_datasets as tfds


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What config.json holds: all that decides what a run computes.

    Attributes:
      trainer: the settings.
      lensing: the config of the dataset.
      dataset_version: the version of its data: another one holds other examples.
      scaling: mean and standard deviation of the maps, as the network sees them.
    """

    trainer: TrainerConfig
    lensing: LensingConfig
    dataset_version: str
    scaling: Scaling

    def to_json(self) -> dict[str, Any]:
        """The trainer's fields, and what is known of the dataset and "scaling" beside them."""
        return self.trainer.to_json() | {
            "lensing": self.lensing.to_json(),
            "dataset_version": self.dataset_version,
            "scaling": dataclasses.asdict(self.scaling),
        }


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished or unfinished training run.

    Attributes:
      workdir: the run's folder.
      config: the trainer's settings.
      lensing: the config of the dataset that it was trained on.
      dataset_version: the version of that dataset's data.
      scaling: mean and standard deviation of the maps, as the network sees them.
      history: one array a column of history.csv ("epoch" counts from 1).
    """

    workdir: Path
    config: TrainerConfig
    lensing: LensingConfig
    dataset_version: str
    scaling: Scaling
    history: dict[str, np.ndarray]

    @functools.cached_property
    def model(self) -> keras.Model:
        """The best epoch's network, from standardised maps to standardised κ.

        Raises:
          LensingError: no epoch is finished yet, or the file is damaged.
        """
        path = self.workdir / "best.keras"
        if not path.exists():
            raise LensingError(f"the run in {self.workdir} has no finished epoch yet")
        return load_model(path, compile=False)

    def best_epoch(self, objective: str = "val_loss") -> dict[str, float]:
        """The row of history.csv with the lowest loss, or the highest correlation.

        Args:
          objective: a column of history.csv.

        Raises:
          LensingError: no epoch is finished yet.
        """
        values = self.history[objective]
        if len(values) == 0:
            raise LensingError(f"the run in {self.workdir} has no finished epoch yet")
        best = int(np.argmin(values) if objective.endswith("loss") else np.argmax(values))
        return {name: float(column[best]) for name, column in self.history.items()}

    @property
    def memory(self) -> MemoryEstimate:
        """What a training step needs."""
        config, task = self.config, Task(self.lensing, self.dataset_version)
        return families.memory(config.model, task, config.batch_size, config.optimizer)

    def builder(self) -> tfds.core.DatasetBuilder:
        """Opens the dataset that the run was trained on, building a missing version.

        Raises:
          LensingError: it cannot be opened, or is another one now.
        """
        from lensing_tfds.records.datasets import open_dataset, refuse_another

        builder = open_dataset(self.lensing, self.config.data_dir)
        refuse_another(builder, self.lensing, self.dataset_version)
        return builder

    def predict(self, lensed: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """Estimates κ from lensed maps.

        Args:
          lensed: (n, npix, npix, channels) float32, µK.
          batch_size: maps that go through the network at once.

        Returns:
          (n, npix, npix, 1) float32, dimensionless κ as the dataset stores it.

        Raises:
          LensingError: no epoch is finished yet.
        """
        kappa = np.empty((*lensed.shape[:3], 1), np.float32)
        for start in range(0, len(lensed), batch_size):
            batch = slice(start, start + batch_size)
            scaled = self.model.predict_on_batch(self.scaling.scale_lensed(lensed[batch]))
            kappa[batch] = self.scaling.unscale_kappa(np.asarray(scaled))
        return kappa


def load_model(path: Path, compile: bool = True) -> keras.Model:
    """Reads a checkpoint.

    Args:
      path: a `.keras` file that exists.
      compile: whether its optimizer is wanted too.

    Raises:
      LensingError: the file is damaged.
    """
    import keras

    try:
        return keras.saving.load_model(path, compile=compile)
    except (ValueError, OSError, KeyError) as error:
        raise LensingError(
            f"{path} is damaged: delete {path.parent} and train again, or restore the file"
        ) from error


def load_run(workdir: str | Path) -> Run:
    """Opens a run's folder.

    Raises:
      LensingError: the folder holds no run, or its config.json is not one.
    """
    workdir = Path(workdir)
    config = read_config(workdir)
    if config is None:
        raise LensingError(
            f"{workdir} holds no run (no config.json): train one with python -m trainer"
        )
    history = as_columns(read_history(workdir / "history.csv"))
    return Run(
        workdir, config.trainer, config.lensing, config.dataset_version, config.scaling, history
    )


def read_config(workdir: Path) -> RunConfig | None:
    """Reads config.json; None where there is none.

    Raises:
      LensingError: the file is not a run's config.
    """
    path = workdir / "config.json"
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text())
        lensing = LensingConfig.from_json(values.pop("lensing"))
        scaling = Scaling(**values.pop("scaling"))
        version = values.pop("dataset_version")
        return RunConfig(TrainerConfig.from_json(values), lensing, version, scaling)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LensingError(f"{path} is not a run's config: {error}") from error


def write_config(workdir: Path, config: RunConfig) -> None:
    """Writes config.json.

    Raises:
      LensingError: it cannot be written.
    """
    with replacing(workdir / "config.json") as temporary:
        temporary.write_text(json.dumps(config.to_json(), indent=2) + "\n")
