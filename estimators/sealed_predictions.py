"""Seals that tie κ maps in files to the dataset, split and network that they were made from.

`pipelines.predict` writes beside each file of κ a seal: its checksum, and a hash of all that the
maps are a function of. `predictions.json` says the same in words, and every seal is checked
against it when it is read, so that neither the maps nor their description can be exchanged
unnoticed. A folder of another group's maps has no `predictions.json`: which dataset they are of is
then taken from the command line.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from estimators.kappa_files import KappaMaps
from lensing_tfds import strict_json
from lensing_tfds.configs import DATASET_VERSION, SPLITS, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.shard_plans import ShardSpec, SplitPlan
from lensing_tfds.records.shard_seals import damage
from lensing_tfds.release import unstamped

DESCRIPTION = "predictions.json"
"""The file that says what the predictions are of, and what made them; another group's has none."""

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class PredictionShard:
    """The files of one shard of predictions: κ, its indices, and a seal of κ.

    Attributes:
      spec: the examples; its path is `<folder>/kappa-00000-of-00005`, which gets an ending here.
      network_sha256: hash of the network that estimates.
    """

    spec: ShardSpec
    network_sha256: str

    @property
    def path(self) -> str:
        """The file of κ, (n, npix, npix) float32."""
        return f"{self.spec.path}.npy"

    @property
    def index_path(self) -> str:
        """The file of the indices, (n,) int64."""
        folder, _, name = self.path.rpartition("/")
        return f"{folder}/{name.replace('kappa', 'index', 1)}"

    @property
    def seal_path(self) -> str:
        """The file that holds the checksum of κ."""
        return f"{self.path}.crc32c"

    @property
    def fingerprint(self) -> str:
        """Hash of all that the estimates are a function of, and of nothing else."""
        content = f"{self.spec.fingerprint} {self.network_sha256}"
        return hashlib.sha256(content.encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class PredictionDescription:
    """The content of `predictions.json`, which names the release that wrote it too.

    Attributes:
      dataset: "lensing/<name>".
      config: the dataset's own.
      dataset_version: the version of its data.
      split: which examples were estimated, all of them.
      num_examples: how many.
      num_shards: files of κ.
      model: the network's name.
      network_sha256: hash of its weights, and of what standardises its maps.
      workdir: the run's folder, where it was.
      data_dir: the folder that held the folder `lensing`.
    """

    dataset: str
    config: LensingConfig
    dataset_version: str
    split: str
    num_examples: int
    num_shards: int
    model: str
    network_sha256: str
    workdir: str
    data_dir: str

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PredictionDescription:
        """Reads what `to_json` gave.

        Raises:
          LensingError: a field is missing, unknown, of another kind, or contradicts another.
        """
        fields = {field.name: str(field.type) for field in dataclasses.fields(cls)}
        kinds = {"str": str, "int": int, "LensingConfig": dict}
        for name in sorted(fields.keys() ^ values.keys()):
            raise LensingError(f"{name!r} is {'missing' if name in fields else 'unknown'}")
        for name, kind in fields.items():
            if type(values[name]) is not kinds[kind]:
                raise LensingError(
                    f"{name} is {values[name]!r}, not of type {kinds[kind].__name__}"
                )
        description = cls(**{**values, "config": LensingConfig.from_json(values["config"])})
        description._refuse_contradictions()
        return description

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types."""
        return {**vars(self), "config": self.config.to_json()}

    def _refuse_contradictions(self) -> None:
        if self.split not in SPLITS:
            raise LensingError(f"split is {self.split!r}: must be one of {', '.join(SPLITS)}")
        expected = {
            "dataset": f"lensing/{self.config.name}",
            "num_examples": self.config.num_examples[self.split],
        }
        for name, value in expected.items():
            if getattr(self, name) != value:
                raise LensingError(f"{name} is {getattr(self, name)!r}, its config says {value!r}")
        if not 1 <= self.num_shards <= self.num_examples:
            raise LensingError(f"num_shards is {self.num_shards}: must be 1 to {self.num_examples}")
        if not _SHA256.fullmatch(self.network_sha256):
            raise LensingError(f"network_sha256 is {self.network_sha256!r}: not a SHA-256 hash")

    def refuse_unless_sealed(self, maps: KappaMaps) -> None:
        """Refuses maps that are not the ones described; reads all of them.

        Raises:
          LensingError: a file is damaged, missing, of other examples or another network, or none of
            those described; or the maps were made from another version of the data.
        """
        what = f"{self.dataset} {self.split} by network {self.network_sha256[:12]}"
        if self.dataset_version != DATASET_VERSION:
            raise LensingError(
                f"{maps.folder} holds predictions from data version {self.dataset_version}, which "
                f"is {DATASET_VERSION} now: predict again"
            )
        plan = SplitPlan(self.config, self.split, self.num_shards, f"{maps.folder}/kappa")
        files = {str(file.path): file for file in maps.files}
        for spec in plan.shards():
            shard = PredictionShard(spec, self.network_sha256)
            wrong = damage(shard)
            file = files.pop(shard.path, None)
            if wrong is None and file is not None:
                expected = np.arange(spec.start, spec.stop)
                wrong = None if np.array_equal(file.index, expected) else "has other indices"
            if wrong is not None:
                raise LensingError(
                    f"{shard.path} {wrong}: {DESCRIPTION} says that it holds examples {spec.start} "
                    f"to {spec.stop - 1} of {what}; predict again"
                )
        if files:
            raise LensingError(f"{min(files)} is not one of the {self.num_shards} files of {what}")


def read_description(path: str) -> PredictionDescription:
    """Reads a `predictions.json`.

    Raises:
      LensingError: it cannot be read, or is not one; the message begins with the path.
    """
    values = strict_json.read(path)
    try:
        return PredictionDescription.from_json(unstamped(values))
    except LensingError as error:
        raise LensingError(f"{path} is not a description of predictions: {error}") from error
