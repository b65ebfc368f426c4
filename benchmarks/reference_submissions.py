"""Submissions of this package's own estimators and networks, for the benchmark's leaderboard.

    python -m benchmarks.reference_submissions --versions v11 v12 --output docs/submissions
    python -m benchmarks.reference_submissions --runs runs/v11-unrolled --output docs/submissions

Each is judged as another group's would be, by the protocol of docs/benchmark.md; intervals are
measured on validation examples, as a run's are. The maximum a posteriori (`map`) takes seconds an
example: judge fewer of them, by --max_examples.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.benchmark import scoring
from estimators.benchmark.protocol import protocol
from estimators.benchmark.submission import Description
from estimators.dataset import Dataset
from estimators.estimator import Estimator, Observed, zero
from estimators.fingerprints import Fingerprint
from estimators.posterior.maximum_a_posteriori import MaximumAPosteriori
from estimators.references import iterated, quadratic_references
from estimators.subject import SubjectDescription
from estimators.uncertainty import measured_uncertainty
from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.configs import KAPPA, LENSED
from lensing_tfds.records.datasets import absolute_data_dir
from lensing_tfds.records.storage import make_folder
from lensing_tfds.versions import VERSIONS
from trainer.runs.run import Run, load_run

_MEASURED = 200  # validation examples of which the errors of intervals are measured

_OURS = "the authors of this package"
_DESCRIPTIONS = {
    "zero": Description("zero", _OURS, None, None, "nothing: κ = 0 everywhere"),
    "quadratic": Description(
        "quadratic estimator",
        "Hu & Okamoto 2002, as of this package",
        "https://arxiv.org/abs/astro-ph/0111606",
        None,
        "nothing: weights, normalisation and Wiener filter are theory's",
    ),
    "iterated": Description(
        "iterated estimator", _OURS, None, None, "gains of its stages, fitted on training examples"
    ),
    "map": Description(
        "maximum a posteriori",
        "Carron & Lewis 2017, as of this package",
        "https://arxiv.org/abs/1704.08230",
        None,
        "nothing: the posterior of κ is theory's",
    ),
}


@dataclasses.dataclass(frozen=True, eq=False)
class ReferenceSubject:
    """An estimator as the judge takes it, a `subject.Subject`.

    Attributes:
      workdir: of its description.
      name: the estimator's.
      dataset: whose κ it estimates.
      chosen: the estimator.
    """

    workdir: Path
    name: str
    dataset: Dataset
    chosen: Estimator

    split = None
    caution = ""

    @property
    def estimates_any_map(self) -> bool:
        """Says whether other skies are estimated too: not by a posterior, which takes long."""
        return self.name != "map"

    @property
    def fingerprint(self) -> Fingerprint:
        """Nothing: there are no files that it is read from."""
        return {}

    def estimator(self, split: str, num_examples: int) -> Estimator:
        """Returns the estimator, whatever is asked for."""
        del split, num_examples
        return self.chosen

    def describe(self) -> SubjectDescription:
        """Refuses: no report is written."""
        raise NotImplementedError


def quadratic(dataset: Dataset) -> Estimator:
    """Returns the Wiener-filtered quadratic estimator of all pairs."""
    found = quadratic_references(dataset.ensemble, lambda: (), "")
    return next(e for e in found if e.name.endswith("_wiener"))


def pretrained_iterated(dataset: Dataset) -> Estimator:
    """Returns the iterated estimator that comes with the package."""
    from trainer import pretrained

    network = pretrained(dataset.name)
    basis = f"gains fitted on {network.max_examples} training examples"
    estimator = iterated(dataset.config, network.staged, basis)
    return dataclasses.replace(estimator, uncertainty=network.uncertainty)


def maximum_a_posteriori(dataset: Dataset) -> Estimator:
    """Returns the maximum a posteriori, which keeps what it has estimated."""
    config = dataset.config
    posterior = MaximumAPosteriori(config, dataset.ensemble.theory)
    kept: dict[int, NDArray[np.floating]] = {}

    def predict(batch: Observed) -> NDArray[np.floating]:
        for index, lensed in zip(batch["index"].tolist(), batch[LENSED], strict=True):
            if index not in kept:
                kept[index] = config.sky.to_map(posterior.ascend(lensed).kappa)
        return np.stack([kept[index] for index in batch["index"].tolist()])[..., None]

    return Estimator("map", "maximum a posteriori", predict)


ESTIMATORS: Mapping[str, Callable[[Dataset], Estimator]] = {
    "zero": lambda dataset: zero(),
    "quadratic": quadratic,
    "iterated": pretrained_iterated,
    "map": maximum_a_posteriori,
}


def with_uncertainty(estimator: Estimator, dataset: Dataset) -> Estimator:
    """Returns an estimator with its errors, measured on validation examples if it has none."""
    if estimator.uncertainty is not None or estimator.name in ("zero", "map"):
        return estimator

    def pair(batch: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        return batch[KAPPA][..., 0], estimator.kappa(batch[LENSED], batch["index"])

    pairs = map(pair, dataset.batches("validation", _MEASURED))
    errors = measured_uncertainty(pairs, dataset.ensemble.bands, dataset.ensemble.window)
    return dataclasses.replace(estimator, uncertainty=errors)


def submit(name: str, dataset: Dataset, folder: Path, max_examples: int | None) -> Path:
    """Judges an estimator, and writes its submission.

    Args:
      name: one of `ESTIMATORS`.
      dataset: which it is judged on.
      folder: that the JSON goes to.
      max_examples: judge on the first so many; None for all.

    Returns:
      The JSON's path.
    """
    estimator = with_uncertainty(ESTIMATORS[name](dataset), dataset)
    subject = ReferenceSubject(folder, name, dataset, estimator)
    description = _DESCRIPTIONS[name]
    if name == "iterated":
        description = dataclasses.replace(description, training=estimator.basis)
    return scoring.write(scoring.score(subject, description, None, max_examples), folder)


def submit_run(workdir: str, folder: Path, max_examples: int | None) -> Path:
    """Judges a trained network, and writes its submission, as `submit` does."""
    run = load_run(workdir)
    scored = scoring.score(run, description_of(run), None, max_examples)
    return scoring.write(scored, folder)


def description_of(run: Run) -> Description:
    """Says of a run what it was trained on, and for how long."""
    config, history = run.config, run.history
    number = config.max_examples or run.lensing.num_examples["train"]
    pool = "fresh skies" if config.fresh else f"the {number:,} training examples"
    epochs = int(history["epoch"].max())
    length = f"{epochs} passes through {pool}"
    if run.plan is not None:
        steps = epochs * run.plan.steps_per_epoch
        length = f"{steps:,} steps of {config.batch_size} of {pool}"
    minutes = float(np.nansum(history["seconds"])) / 60
    return Description(
        f"{run.name} network", _OURS, None, None, f"{length}, in {minutes:.0f} minutes"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the submissions that are asked for."""
    parser = CommandParser("benchmarks.reference_submissions", str(main.__doc__))
    parser.add_argument("--versions", nargs="+", default=[], choices=[*protocol().splits])
    parser.add_argument(
        "--estimators", nargs="+", choices=[*ESTIMATORS], default=["zero", "quadratic", "iterated"]
    )
    parser.add_argument("--runs", nargs="+", default=[], help="folders of trained networks")
    parser.add_shared("--data_dir")
    parser.add_shared("--max_examples", otherwise="all")
    parser.add_shared("--output", type=Path, default=Path("docs/submissions"))
    flags = parser.parse_args(argv)
    if not flags.versions and not flags.runs:
        parser.error("give --versions or --runs")
    with command(flags.verbose, extra="trainer"):
        make_folder(flags.output)
        for workdir in flags.runs:
            print(submit_run(workdir, flags.output, flags.max_examples), flush=True)
        for version in flags.versions:
            data_dir = absolute_data_dir(flags.data_dir)
            dataset = Dataset.open(VERSIONS[version], data_dir, None, "the version")
            for name in flags.estimators:
                began = time.process_time()
                path = submit(name, dataset, flags.output, flags.max_examples)
                print(f"{path} ({time.process_time() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
