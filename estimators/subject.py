"""Subjects of the judge: a trained network's run, a folder of predictions, any estimate of κ."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from estimators.estimator import Estimator
from estimators.fingerprints import Fingerprint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from estimators.dataset import Dataset
    from estimators.reports.page import Html


@dataclasses.dataclass(frozen=True, eq=False)
class SubjectDescription:
    """A subject as its report presents it, beside the scores.

    Attributes:
      lead: the first paragraph.
      tiles: numbers that stand out, each with its caption.
      section: HTML on how it was made; empty if nobody knows.
      figures: those of the section, by name.
      commands: command lines that make it; empty likewise.
      option: of `trainer.evaluate`, that names it: "--workdir runs/v8".
    """

    lead: str
    tiles: tuple[tuple[str, str], ...]
    section: Html
    figures: Mapping[str, Figure]
    commands: tuple[str, ...]
    option: str


class Subject(Protocol):
    """Something that estimates κ of a dataset's examples, and is judged by it."""

    @property
    def name(self) -> str:
        """The network's name, or that of a folder of predictions."""

    @property
    def workdir(self) -> Path:
        """The folder that metrics and report go to."""

    @property
    def dataset(self) -> Dataset:
        """The dataset whose κ it estimates; opened when first asked for, and once.

        Raises:
          LensingError: it is not there, or holds other examples.
        """

    @property
    def split(self) -> str | None:
        """The only split that it can be judged on; None if there is no such limit."""

    @property
    def estimates_any_map(self) -> bool:
        """Says whether `estimator` takes maps that are not the dataset's, as the checks have to."""

    @property
    def caution(self) -> str:
        """A warning to the reader of the scores; empty if there is none."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Hashes of the files in `workdir` that its estimates depend on; empty if there are none.

        Raises:
          LensingError: one cannot be read.
        """

    def estimator(self, split: str, num_examples: int) -> Estimator:
        """Returns the estimator.

        Args:
          split: the one that is judged.
          num_examples: how many of its examples are, the first ones.

        Raises:
          LensingError: there is none for these examples.
        """

    def describe(self) -> SubjectDescription:
        """Returns its presentation for the report."""
