"""Scores of several runs that were judged on the same examples, read from their metrics.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from estimators.estimator import NETWORK
from estimators.fingerprints import changed
from estimators.metrics_json import Metrics, file_name
from estimators.resampling import Measured
from lensing_tfds.errors import LensingError

_SAME_BANDS = 1e-9  # their mean multipoles are sums of the same numbers
_SAME_KAPPA = 1e-4  # of power: examples are equal to 1e-5 on processors of different types


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """The scores of a run, or of an estimator that runs were judged beside.

    Attributes:
      label: whose they are.
      basis: the network's name; what its normalisation rests on for another estimator.
      measured: map_correlation, rho_ell, ... by their names in metrics.json.
      other_skies: map-level ρ off the training distribution, by the skies' name; empty if the
        checks were not made.
      is_normalised: whether it could be; else it is zero by default, and its scores mean nothing.
      uncertainty: coverage_68, interval_score_68, ... by their names in metrics.json; empty if it
        gives no errors.
    """

    label: str
    basis: str
    measured: Mapping[str, Measured]
    other_skies: Mapping[str, Measured]
    is_normalised: bool = True
    uncertainty: Mapping[str, Measured] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class ComparedRuns:
    """Scores on the same examples.

    Attributes:
      dataset: "lensing/<name>".
      split: "train", "validation" or "test".
      num_examples: how many of its examples.
      ell: mean multipoles of the bands, (num_bands,).
      scores: the runs' in the order given, then those of the Wiener-filtered estimators that they
        were judged beside.
      notes: what the reader has to know of these scores.
    """

    dataset: str
    split: str
    num_examples: int
    ell: NDArray[np.float64]
    scores: tuple[Scores, ...]
    notes: tuple[str, ...] = ()


def read(runs: Sequence[str | Path], split: str = "test") -> ComparedRuns:
    """Reads the scores of runs.

    Args:
      runs: folders of judged runs.
      split: which examples they were judged on.

    Raises:
      LensingError: a run was not judged, or has changed since, its metrics cannot be read, or the
        runs were judged on different examples.
    """
    metrics = [judged_metrics(Path(run), split) for run in runs]
    first = metrics[0]
    for run, other in zip(runs[1:], metrics[1:], strict=True):
        _refuse_other_examples(run, other, runs[0], first)
    labels = [Path(run).resolve().name for run in runs]
    if len(set(labels)) < len(labels):
        labels = [str(run) for run in runs]
    scores = [
        Scores(label, m.model, m.measured, m.other_skies(NETWORK), True, m.uncertainty or {})
        for label, m in zip(labels, metrics, strict=True)
    ]
    # The estimators that need no training have the same scores in every run judged beside them.
    beside = next((m.estimators for m in metrics if m.estimators), {})
    for name, estimator in beside.items():
        if name.endswith("_wiener"):
            skies = next((s for m in metrics if (s := m.other_skies(name))), {})
            scores.append(
                Scores(
                    estimator.label,
                    estimator.basis,
                    estimator.measured,
                    skies,
                    estimator.is_normalised,
                )
            )
    notes = tuple(
        f"{label}: its {file_name(split)} is of an earlier release and does not say which files "
        "were judged; if they have changed since, judge again"
        for label, m in zip(labels, metrics, strict=True)
        if m.fingerprint is None
    )
    return ComparedRuns(
        first.dataset, first.split, first.num_examples, first.ell, tuple(scores), notes
    )


def _refuse_other_examples(
    run: str | Path, metrics: Metrics, first_run: str | Path, first: Metrics
) -> None:
    for name in ("dataset", "split", "num_examples", "ell_edges"):
        value, expected = getattr(metrics, name), getattr(first, name)
        if not np.array_equal(value, expected):
            difference = "other bands" if name == "ell_edges" else f"{name} {value}, not {expected}"
            raise LensingError(
                f"{run} was judged with {difference} as {first_run}: only scores on the same "
                "examples compare"
            )
    for name in ("ell", "num_modes"):
        if not np.allclose(getattr(metrics, name), getattr(first, name), rtol=_SAME_BANDS, atol=0):
            raise LensingError(
                f"{run} and {first_run} have other {name!r} in the same bands: one of their "
                "metrics was edited; judge both again"
            )
    # Another seed, cosmology or version of the data may hide under one name.
    kappa, expected = (
        np.append(m.measured["true_cl"].value, m.measured["zero_mse"].value)
        for m in (metrics, first)
    )
    if not np.allclose(kappa, expected, rtol=_SAME_KAPPA, atol=0):
        raise LensingError(
            f"{run} was judged on other examples than {first_run}: their true κ has another "
            "spectrum; judge both again, on the same data"
        )


def judged_metrics(run: Path, split: str = "test") -> Metrics:
    """Reads the metrics of a judged run.

    Args:
      run: its folder.
      split: which examples it was judged on.

    Raises:
      LensingError: it was not judged, or has changed since, or its metrics cannot be read.
    """
    path = run / file_name(split)
    option = "--predictions" if any(run.glob("kappa*")) else "--workdir"
    command = f"python -m trainer.evaluate {option} {run}"
    if split != "test":
        command += f" --split {split}"
    if not path.exists():
        raise LensingError(f"{run} has no {path.name}: judge it first, with {command}")
    try:
        metrics = Metrics.read(path)
    except LensingError as error:
        raise LensingError(f"{error}; judge again, with {command}") from error
    if name := changed(run, metrics.fingerprint or {}):
        raise LensingError(
            f"{path} holds the scores of another {name} than is there now; judge again, with "
            f"{command}"
        )
    return metrics
