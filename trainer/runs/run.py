"""A run's folder: what was trained, on what, how it went, and what it predicts.

The folder holds

    config.json    TrainerConfig, with the dataset's own config under "lensing", and the release
                   that wrote it
    history.csv    one row an epoch, see `trainer.runs.history.COLUMNS`
    best.keras     the model and its optimizer after the epoch with the lowest validation loss; with
                   the averages for its weights, where there are any (see `trainer.runs.averages`)
    last.keras     the same after the last finished epoch, with the weights that it goes on from
    running.keras  the same at a step of the epoch after that, while it is trained
    tensorboard/   the same losses for TensorBoard, maps of a few examples and their ρ_L

The checkpoints carry the first two, see `trainer.runs.checkpoints`: two runs that are mixed in a
folder are told apart, and a file that was lost is written again when the run goes on.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from estimators.estimator import Estimator, network
from estimators.fingerprints import Fingerprint, fingerprint
from estimators.references import ITERATED
from lensing_tfds.config_differences import differences
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from trainer.networks import families, iterated
from trainer.networks.family import FittedNetwork
from trainer.networks.maps import checked_maps
from trainer.networks.memory import MemoryEstimate
from trainer.runs import checkpoints
from trainer.runs.history import as_columns, ended_early, last_epoch
from trainer.runs.plan import Plan
from trainer.runs.run_config import CONFIG, TRAIN_AGAIN, read_config, settings_changed
from trainer.settings.config import TrainerConfig

if TYPE_CHECKING:
    import keras

    from estimators.dataset import Dataset
    from estimators.subject import SubjectDescription
    from estimators.uncertainty import Uncertainty


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished or unfinished training run.

    Attributes:
      workdir: the run's folder.
      config: the trainer's settings.
      lensing: the config of the dataset that it was trained on.
      dataset_version: the version of that dataset's data.
      history: one array a column of history.csv, see `trainer.runs.history`.
      plan: the steps that its minutes were found to hold; None where epochs decide.
    """

    workdir: Path
    config: TrainerConfig
    lensing: LensingConfig
    dataset_version: str
    history: dict[str, np.ndarray]
    plan: Plan | None = None

    @property
    def task(self) -> Task:
        """The maps that go into the network, and those that come out."""
        return Task(self.lensing, self.dataset_version)

    @functools.cached_property
    def model(self) -> keras.Model:
        """The best epoch's network, from maps in µK to κ.

        Raises:
          LensingError: no epoch is finished yet, or the file is damaged or of another dataset.
        """
        path = self._best_path()
        from trainer.networks.physical import task_of

        model = checkpoints.load(path, compile=False)
        if changed := differences(self.task.to_json(), task_of(model).to_json()):
            raise LensingError(f"{path} is not of the dataset that its run is of: {changed}")
        return model

    @property
    def fingerprint(self) -> Fingerprint:
        """Hash of the best epoch's network, as it is on the disk now.

        Raises:
          LensingError: no epoch is finished yet, or the file is gone.
        """
        return fingerprint(self.workdir, [self._best_path().name])

    def _best_path(self) -> Path:
        path = self.workdir / checkpoints.BEST
        if not path.exists():
            if len(self.history["epoch"]) == 0:
                raise self._unstarted()
            raise LensingError(f"{path} is missing: {TRAIN_AGAIN}")
        return path

    def _unstarted(self) -> LensingError:
        return LensingError(f"the run in {self.workdir} has no finished epoch yet")

    def best_epoch(self, objective: str = "val_loss") -> dict[str, float]:
        """The row of history.csv with the lowest loss, or the highest correlation.

        By "val_loss" it is the epoch of best.keras: where the network of the very lowest loss was
        lost, another one has taken its place.

        Args:
          objective: a column of history.csv.

        Raises:
          LensingError: no epoch is finished yet.
        """
        values = self.history[objective]
        if len(values) == 0:
            raise self._unstarted()
        if objective == "val_loss" and self._kept_best is not None:
            return dict(self._kept_best.history[-1])
        best = int(np.nanargmin(values) if objective.endswith("loss") else np.nanargmax(values))
        return {name: float(column[best]) for name, column in self.history.items()}

    @functools.cached_property
    def _kept_best(self) -> checkpoints.Record | None:
        """The record of best.keras when it is first asked for: a training may replace the file."""
        record = checkpoints.read_whole_record(self.workdir / checkpoints.BEST)
        return record if record is not None and record.history else None

    @property
    def is_finished(self) -> bool:
        """Says whether the command that trains it has no epoch left to train."""
        network = families.parse(self.config.model)
        if isinstance(network, FittedNetwork):
            return network.is_fitted(self.history["map_correlation"].tolist(), self.lensing)
        rows = [
            dict(zip(self.history, row, strict=True))
            for row in zip(*self.history.values(), strict=True)
        ]
        epochs = self.config.epochs if self.plan is None else self.plan.epochs
        assert epochs is not None, "minutes have a plan"
        return last_epoch(rows) >= epochs or ended_early(rows, self.config.patience)

    @functools.cached_property
    def uncertainty(self) -> Uncertainty | None:
        """Errors of the best epoch's estimates; None if they were not measured.

        Raises:
          LensingError: no epoch is finished yet, or the file is damaged.
        """
        from estimators.uncertainty import Uncertainty

        path = self._best_path()
        record = checkpoints.read_record(path)
        if record is None or record.uncertainty is None:
            return None
        try:
            return Uncertainty.from_json(record.uncertainty)
        except LensingError as error:
            raise LensingError(f"{path}: {error}") from error

    @property
    def memory(self) -> MemoryEstimate:
        """Memory that a training step needs."""
        return self.config.memory(self.task)

    @property
    def name(self) -> str:
        """The network's name."""
        return self.config.model

    split = None  # it can be judged on any, and on any map: see `estimators.subject.Subject`
    estimates_any_map = True
    caution = ""

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The dataset that the run was trained on, opened; a missing version is built.

        Raises:
          LensingError: it cannot be opened, or is another one now.
        """
        from estimators.dataset import Dataset

        known_as = "what the run was trained on"
        return Dataset.open(self.lensing, self.config.data_dir, self.dataset_version, known_as)

    def estimator(self, split: str, num_examples: int) -> Estimator:
        """Returns the network as the judge takes it, the same for all examples.

        Raises:
          LensingError: no epoch is finished yet.
        """
        self.best_epoch()  # that is judged
        label = ITERATED if self.name == iterated.NAME else f"network {self.name}"
        return dataclasses.replace(network(self.predict, label), uncertainty=self.uncertainty)

    def describe(self) -> SubjectDescription:
        """Returns the run's presentation for the report."""
        from trainer.runs import training_section

        return training_section.describe(
            self.workdir,
            self.config,
            self.plan,
            self.history,
            int(self.best_epoch()["epoch"]),
            sum(math.prod(weights.shape) for weights in self.model.trainable_weights),
            self.memory,
        )

    def predict(self, lensed: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """Estimates κ from lensed maps.

        Args:
          lensed: (n, npix, npix, channels), of the network's own dataset, µK.
          batch_size: maps that go through the network at once.

        Returns:
          (n, npix, npix, 1) float32, dimensionless κ as the dataset stores it.

        Raises:
          LensingError: no epoch is finished yet; or the maps have another shape than the network
            takes, are masked arrays or not finite, or are of another mask or order of channels; or
            no finite estimate comes of them.

        Warns:
          UserWarning: once a run, where a map's rms is more than 30 times off the training maps',
            as in other units.
        """
        from trainer.networks.physical import warn_of_scale
        from trainer.networks.settings import keras_settings

        lensed = checked_maps(lensed, self.task)
        warn_of_scale(self.model, lensed)
        kappa = np.empty((len(lensed), *self.task.label_shape), np.float32)
        with keras_settings():
            for start in range(0, len(lensed), batch_size):
                batch = slice(start, start + batch_size)
                kappa[batch] = np.asarray(self.model.predict_on_batch(lensed[batch]))
        return kappa

    def intervals(self, lensed: np.ndarray, level: float = 0.68) -> tuple[np.ndarray, np.ndarray]:
        """Estimates between which values the κ of each pixel is.

        Args:
          lensed: maps, as of `predict`.
          level: the share of pixels whose κ is there: 0.68 or 0.95.

        Returns:
          The lower and the upper ends, each (n, npix, npix, 1) float32.

        Raises:
          LensingError: the errors were not measured; the level is another; or as of `predict`.
        """
        if self.uncertainty is None:
            raise LensingError(
                f"the errors of the run in {self.workdir} were not measured: run the command that "
                "trained it again with --uncertainty"
            )
        return self.uncertainty.intervals(self.predict(lensed), level)


def load_run(workdir: str | Path) -> Run:
    """Opens a run's folder.

    Raises:
      LensingError: the folder holds no run, a file is damaged, or they are of different runs.
    """
    workdir = Path(workdir)
    config, epochs = read_config(workdir), checkpoints.read_epochs(workdir)
    path = workdir / CONFIG
    if config is None and epochs:
        raise LensingError(f"{path} is missing: {TRAIN_AGAIN}")
    if config is None:
        raise LensingError(
            f"{workdir} holds no run (no {CONFIG}): train one with python -m trainer"
        )
    records = checkpoints.read_whole_records(workdir)
    for name, record in records.items():
        if changed := settings_changed(record.config, config.to_json()):
            raise LensingError(
                f"{workdir / name} and {path} are of different runs ({changed}): {TRAIN_AGAIN}"
            )
    checkpoints.refuse_other_epochs(workdir, records)
    return Run(
        workdir,
        config.trainer,
        config.lensing,
        config.dataset_version,
        as_columns(epochs),
        config.plan,
    )
