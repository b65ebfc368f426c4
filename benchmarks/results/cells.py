"""Cells of the evidence: a network on a version, its folder, its settings and its command."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from estimators.compared_runs import judged_metrics
from estimators.metrics_json import Metrics, file_name
from lensing_tfds import strict_json
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing
from lensing_tfds.versions import VERSIONS
from trainer.networks import families
from trainer.networks.stacks import StackSpace
from trainer.runs.run import Run, load_run
from trainer.settings.config import TrainerConfig, resolve
from trainer.settings.recipes import RECIPES

STACK = StackSpace.family
"""In place of a model's name: the first stack that the version's study trained."""

_CHEAP_FIRST = ("iterated", "unrolled", "qe_unet", "unet")  # the study's stacks come last

MODELS = (
    *(name for name in _CHEAP_FIRST if name in families.FAMILIES),
    *(name for name in families.FAMILIES if name not in (*_CHEAP_FIRST, STACK)),
    STACK,
)
"""One network of each family, the cheapest evidence first."""

IMPORTANT = (
    *("v11", "v12", "v10", "v9", "v13", "v15", "v14", "v16", "v17"),
    *("v8", "v4", "v7", "v6", "v5", "v3", "v2", "v1"),
)
"""The versions, real skies first."""

_FAILURE = "failure.json"


@dataclasses.dataclass(frozen=True)
class Cell:
    """A network on a version.

    Attributes:
      version: "v1" ... "v12".
      model: the network's name.
    """

    version: str
    model: str

    @property
    def name(self) -> str:
        """That of its folder."""
        return f"{self.version}-{self.model}"

    @property
    def column(self) -> str:
        """Its column in a table of all versions: the study's stacks are one column."""
        return STACK if families.family_of(self.model) == STACK else self.model

    def config(self, data_dir: str, minutes: float) -> TrainerConfig:
        """Returns its settings: the recipe's, with these minutes if it is trained, and errors.

        Raises:
          LensingError: the minutes are impossible.
        """
        length = None if families.is_fitted(self.model) else minutes
        return resolve(
            f"lensing/{self.version}",
            data_dir,
            VERSIONS[self.version],
            model=self.model,
            minutes=length,
            uncertainty=True,
        )

    def command(self, minutes: float | None, num_examples: int | None = None) -> str:
        """Returns the command line that makes this cell, and no other.

        Args:
          minutes: of training; None if that is not said.
          num_examples: that it is judged on; None for all.
        """
        line = f"python -m benchmarks.results --versions {self.version} --models {self.model}"
        if minutes is not None:
            line += f" --minutes {minutes:g}"
        if num_examples not in (None, VERSIONS[self.version].num_examples["test"]):
            line += f" --max_examples {num_examples}"
        return line

    def fail(self, results: Path, line: str, minutes: float | None) -> None:
        """Keeps in its folder the line by which it failed, and the minutes that it was given."""
        with replacing(results / self.name / _FAILURE) as temporary:
            temporary.write_text(json.dumps({"line": line, "minutes": minutes}), encoding="utf-8")

    def succeed(self, results: Path) -> None:
        """Forgets that it failed once."""
        (results / self.name / _FAILURE).unlink(missing_ok=True)

    def failure(self, results: Path) -> tuple[str, float | None] | None:
        """Returns the line by which it failed last, and its minutes; None if it did not."""
        path = results / self.name / _FAILURE
        if not path.exists():
            return None
        values = strict_json.read(str(path))
        return str(values.get("line")), values.get("minutes")

    def judged(self, results: Path) -> tuple[Run, Metrics] | None:
        """Returns its run and metrics; None where it was not judged.

        Raises:
          LensingError: a file is damaged, or the network has changed since it was judged, or is to
            be trained further.
        """
        folder = results / self.name
        if not (folder / file_name("test")).exists():
            return None
        run, metrics = load_run(folder), judged_metrics(folder)
        if (metrics.dataset, run.name) != (f"lensing/{self.version}", self.model):
            raise LensingError(f"{folder} holds {run.name} on {metrics.dataset}, not {self.name}")
        # Stopped before an epoch was better: the network is that of fewer minutes still.
        if not run.is_finished:
            raise LensingError(
                f"{folder} was judged, and then stopped in training for longer: the command that "
                "trained it goes on"
            )
        return run, metrics

    def is_as_asked(self, results: Path, config: TrainerConfig, max_examples: int | None) -> bool:
        """Says whether it was trained with these settings, and judged on as many examples."""
        try:
            found = self.judged(results)
        except LensingError:  # which is said when it is made again
            return False
        if found is None:
            return False
        run, metrics = found
        data_dir = {"data_dir": run.config.data_dir}  # data move
        same = run.config.taken == config.taken | data_dir
        number = VERSIONS[self.version].number_of_first("test", max_examples)
        return same and metrics.num_examples == number


def cells(versions: Sequence[str], models: Sequence[str]) -> list[Cell]:
    """Returns the cells of networks on versions, network by network, each once.

    Args:
      versions: names of versions.
      models: names of networks, or `STACK`.

    Raises:
      LensingError: there is no such version, or the name is in no family's grammar.
    """
    for version in versions:
        if version not in VERSIONS:
            raise LensingError(f"unknown version {version!r}: expected {', '.join(VERSIONS)}")
    found = [Cell(v, _model(model, v)) for model in models for v in versions]
    for cell in found:
        families.parse(cell.model)
    return list(dict.fromkeys(found))


def _model(name: str, version: str) -> str:
    if name != STACK:
        return name
    return next(r.model for r in RECIPES[version] if families.family_of(r.model) == STACK)


def in_folder(results: Path) -> Iterator[Cell]:
    """Yields the cells that were begun in a folder, by version and the order of `MODELS`."""
    found = []
    for path in results.iterdir() if results.is_dir() else ():
        version, _, model = path.name.partition("-")
        cell = Cell(version, model)
        try:
            order = (list(VERSIONS).index(version), rank(cell.column), model)
        except ValueError:  # some other folder
            continue
        found.append((order, cell))
    yield from (cell for _, cell in sorted(found, key=lambda pair: pair[0]))


def rank(column: str) -> int:
    """Returns the place of a column in a table."""
    return MODELS.index(column) if column in MODELS else len(MODELS)
