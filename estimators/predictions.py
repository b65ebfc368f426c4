"""Folders of predictions as subjects of the judge."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from pathlib import Path

from estimators.dataset import Dataset
from estimators.ensemble import SkyEnsemble, bands_of
from estimators.estimator import Estimator
from estimators.fingerprints import Fingerprint, fingerprint
from estimators.kappa_files import KappaMaps, open_kappa_maps
from estimators.reports.page import Html
from estimators.sealed_predictions import DESCRIPTION, PredictionDescription, read_description
from estimators.subject import SubjectDescription
from estimators.uncertainty import Uncertainty
from lensing_tfds import strict_json
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.datasets import absolute_data_dir, find_config
from lensing_tfds.records.storage import is_remote

UNCERTAINTY = "uncertainty.json"
"""The file in which another group says how large its maps' errors are: `Uncertainty.to_json`."""

_LEAD = (
    "Estimates, from files, of the convergence κ: the projected matter that lensed a map of the "
    "cosmic microwave background. Here they meet the truth."
)


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """A folder of predictions as the judge takes it, a `subject.Subject`.

    Attributes:
      workdir: the folder, which metrics and report go to.
      name: the network's name; of another group's predictions, that of their folder.
      config: of the dataset that they are of.
      data_dir: the absolute folder that holds the folder `lensing`.
      maps: κ.
      description: what they were made from; None where nothing in the folder says so.
      uncertainty: how far from the truth they are, by whoever made them; None where it is not said.
    """

    workdir: Path
    name: str
    config: LensingConfig
    data_dir: str
    maps: KappaMaps
    description: PredictionDescription | None
    uncertainty: Uncertainty | None = None

    estimates_any_map = False

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The dataset that they are of, opened.

        Raises:
          LensingError: it cannot be opened, or is not the one that they were made from.
        """
        version = None if self.description is None else self.description.dataset_version
        known_as = "what the predictions were made from"
        return Dataset.open(self.config, self.data_dir, version, known_as)

    @property
    def split(self) -> str | None:
        """The split that they are of, where they have a description."""
        return None if self.description is None else self.description.split

    @property
    def fingerprint(self) -> Fingerprint:
        """Hashes of the files of κ and of their indices; reads all of them."""
        return fingerprint(self.workdir, sorted(p.name for f in self.maps.files for p in f.paths))

    @property
    def ensemble(self) -> SkyEnsemble:
        """The ensemble of their skies; the dataset must be there for a cosmology of its own.

        Raises:
          LensingError: as of `dataset`.
        """
        known = self.config.cosmology is None
        return SkyEnsemble.of(self.config) if known else self.dataset.ensemble

    def split_asked(self, asked: str | None) -> str:
        """Returns the split that they are of; what is asked for, or test, where nothing says so.

        Raises:
          LensingError: another one is asked for.
        """
        split = self.split or asked or "test"
        if asked not in (None, split):
            raise LensingError(f"{self.workdir} holds predictions of {split}, not of {asked}")
        return split

    def estimator(self, split: str, num_examples: int) -> Estimator:
        """Returns an estimator that looks the predictions of a batch up, by its indices.

        Args:
          split: the one that is judged.
          num_examples: how many of its examples are, the first ones.

        Raises:
          LensingError: the predictions are not those of these examples.
        """
        self.maps.refuse_unfit(self.config, split, num_examples)
        label = f"{'estimate in' if self.description is None else 'network'} {self.name}"
        return Estimator(
            "predictions",
            label,
            lambda batch: self.maps.estimate(batch["index"]),
            uncertainty=self.uncertainty,
        )

    def describe(self) -> SubjectDescription:
        """Returns their presentation for the report."""
        lead = _LEAD
        if self.description is None:
            lead += f" {self.caution}"
        quoted = [shlex.quote(str(self.workdir)), self.dataset.name, shlex.quote(self.data_dir)]
        option = "--predictions {} --dataset {} --data_dir {}".format(*quoted)
        return SubjectDescription(lead, (), Html(), {}, (), option)

    @property
    def caution(self) -> str:
        """A warning to the reader of the scores where the maps have no description."""
        if self.description is not None:
            return ""
        return (
            f"Nothing in their folder says what they were estimated from: they are taken to be of "
            f"lensing/{self.config.name} because whoever judged them said so."
        )


def open_predictions(
    folder: str | Path, dataset: str | None = None, data_dir: str | None = None
) -> Predictions:
    """Opens a folder of predictions, and reads all of it where it is sealed.

    Args:
      folder: in the format of docs/predictions.md.
      dataset: "lensing/<name>"; None if the predictions say so themselves.
      data_dir: the folder that holds the folder `lensing`; None is what the predictions say, or
        else TFDS's own default.

    Raises:
      LensingError: there are no predictions, they are not in the format or not what their
        description says, their dataset is not known, or they are of another one.
    """
    if is_remote(str(folder)):
        raise LensingError(f"{folder}: predictions are read from a disk: copy them there")
    folder = Path(folder)
    maps = open_kappa_maps(folder)
    if not (folder / DESCRIPTION).exists():
        if dataset is None:
            raise LensingError(
                f"{folder} has no {DESCRIPTION} that says what it holds: give --dataset lensing/..."
            )
        data_dir = absolute_data_dir(data_dir)
        config = find_config(dataset, data_dir)
        errors = _read_uncertainty(folder, config)
        return Predictions(folder, folder.absolute().name, config, data_dir, maps, None, errors)
    described = read_description(str(folder / DESCRIPTION))
    if dataset not in (None, described.dataset):
        raise LensingError(f"{folder} holds predictions of {described.dataset}, not of {dataset}")
    described.refuse_unless_sealed(maps)
    data_dir = absolute_data_dir(data_dir or described.data_dir)
    return Predictions(folder, described.model, described.config, data_dir, maps, described)


def _read_uncertainty(folder: Path, config: LensingConfig) -> Uncertainty | None:
    """Reads the errors that a group gives its maps; None if it gives none.

    Raises:
      LensingError: they are not in the format, or not of all modes that are judged.
    """
    path = folder / UNCERTAINTY
    if not path.exists():
        return None
    values = strict_json.read(str(path))
    patch = tuple(values.get(name) for name in ("npix", "side"))
    if None not in patch and patch != (config.npix, config.sky.side):  # before arrays of its size
        raise LensingError(
            f"{path}: the errors are of a patch of {patch[0]!r} pixels a side, {patch[1]!r} rad "
            f"long: {config.name} has {config.npix}, {config.sky.side!r} rad"
        )
    try:
        errors = Uncertainty.from_json(values)
    except LensingError as error:
        raise LensingError(f"{path}: {error}; docs/benchmark.md has the format") from error
    if not errors.covers(bands_of(config)):
        raise LensingError(f"{path}: the errors are not of the bands of {config.name}")
    return errors
