"""A built dataset as the judge uses it: opened once, with the ensemble that its skies are from."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from lensing_tfds.configs import LensingConfig
from lensing_tfds.records.datasets import open_dataset, refuse_another
from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.records.stored_dataset import StoredDataset

_BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """An opened dataset.

    Attributes:
      config: its own.
      stored: its files.
    """

    config: LensingConfig
    stored: StoredDataset

    @classmethod
    def open(
        cls, config: LensingConfig, data_dir: str, version: str | None, known_as: str
    ) -> Dataset:
        """Opens a dataset, building one of the versions if it is not there.

        Args:
          config: the dataset's own.
          data_dir: the folder that holds the folder `lensing`.
          version: of its data; None takes any.
          known_as: how the message calls the right dataset.

        Raises:
          LensingError: it cannot be opened, or holds other examples.
        """
        stored = open_dataset(config, data_dir)
        refuse_another(stored, config, version or stored.version, known_as)
        return cls(config, stored)

    @property
    def name(self) -> str:
        """As on the command line: "lensing/v8"."""
        return f"lensing/{self.config.name}"

    @property
    def data_dir(self) -> str:
        """The folder that holds the folder `lensing`."""
        return self.stored.data_dir

    @functools.cached_property
    def ensemble(self) -> SkyEnsemble:
        """The ensemble that its skies are drawn from.

        Raises:
          LensingError: the table of the config's own cosmology is not in the dataset's folder.
        """
        return SkyEnsemble.of(self.config, self.stored.data_path)

    def num_examples(self, split: str) -> int:
        """Counts the examples of a split.

        Raises:
          LensingError: there is no such split.
        """
        return self.stored.plan(split).num_examples

    def batches(self, split: str, num_examples: int) -> Iterator[dict[str, NDArray]]:
        """Reads the first examples of a split; see `reading.evaluation_batches`.

        Raises:
          LensingError: a shard is damaged, or cannot be read.
        """
        return evaluation_batches(self.stored, f"{split}[:{num_examples}]", _BATCH_SIZE)
