"""The figures of all cells, gathered from their folders."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results.cells import Cell, in_folder
from benchmarks.results.cost import Cost, Spent
from benchmarks.results.figures import (
    BAND_SIGMAS,
    ITERATED,
    QE,
    QE_ALL,
    REFERENCES,
    Difference,
    Estimate,
    Failed,
    Made,
    OfVersion,
    Posterior,
)
from estimators import compared_runs
from estimators.metrics_json import Metrics
from estimators.metrics_scores import BaselineMetrics
from estimators.posterior.measured import measured_posterior
from estimators.reach import leading
from estimators.uncertainty import LEVELS, name_of
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS
from trainer.networks import iterated
from trainer.runs.checkpoints import BEST
from trainer.runs.run import Run

_DIGITS = 6


def gather(results: Path) -> tuple[OfVersion, ...]:
    """Reads all cells in a folder; what cannot be read, or compared, is a failed cell.

    Versions of which nothing is finished are left out.
    """
    by_version: dict[str, list[Cell]] = {}
    for cell in in_folder(results):
        by_version.setdefault(cell.version, []).append(cell)
    versions = (_of_version(v, found, results) for v, found in by_version.items())
    return tuple(version for version in versions if version.cells)


def _of_version(version: str, cells: Sequence[Cell], results: Path) -> OfVersion:
    judged: dict[Cell, tuple[Run, Metrics]] = {}
    costs: dict[Cell, Cost] = {}
    failed = []
    for cell in cells:
        try:
            found = cell.judged(results)
            if found is not None:
                costs[cell] = Cost.read(results / cell.name)
                judged[cell] = found
            elif failure := cell.failure(results):
                failed.append(_failed(cell, *failure))
        except LensingError as error:
            failed.append(_failed(cell, str(error)))
    judged = dict(sorted(judged.items(), key=lambda pair: -pair[1][1].num_examples))
    for cell in list(judged)[1:]:
        try:
            compared_runs.read([results / next(iter(judged)).name, results / cell.name])
        except LensingError as error:
            failed.append(_failed(cell, str(error)))
            del judged[cell]
    made = tuple(_made(c, *judged[c], costs[c]) for c in cells if c in judged)
    references: dict[str, Estimate] = {}
    forecast, number = None, 0
    edges: tuple[float, ...] = ()
    for _, metrics in judged.values():
        number, edges = metrics.num_examples, _rounded(metrics.ell_edges)
        for name, other in _leading(metrics).items():
            references.setdefault(name, _estimate(other))
        if metrics.forecast is not None:
            reach, zeros = metrics.forecast.iterated, np.zeros(len(metrics.ell))
            forecast = Estimate(
                _round(reach.map_correlation), 0.0, _rounded(reach.rho_ell), _rounded(zeros)
            )
    for one in made:
        if one.model == iterated.NAME:  # which is not judged beside itself
            references.setdefault(ITERATED, one.estimate)
    references = {name: references[name] for name in REFERENCES if name in references}
    return OfVersion(
        version,
        number,
        edges,
        references,
        forecast,
        posterior_of(version),
        made,
        tuple(failed),
    )


def posterior_of(version: str) -> Posterior | None:
    """Returns the maximum a posteriori of a version; None where nobody measured it."""
    found = measured_posterior(VERSIONS[version])
    if found is None:
        return None
    return Posterior(
        _round(found.map_correlation.value),
        _round(found.map_correlation.error),
        found.num_examples,
    )


def _failed(cell: Cell, line: str, minutes: float | None = None) -> Failed:
    return Failed(cell.model, cell.column, cell.command(minutes), line)


def _made(cell: Cell, run: Run, metrics: Metrics, cost: Cost) -> Made:
    config, plan = run.config, run.plan
    fitted = "minutes" not in config.taken
    in_a_pass = run.lensing.number_of_first("train", config.max_examples)
    steps, examples = None, in_a_pass
    if not fitted and plan is not None:
        steps = int(max(run.history["epoch"], default=0)) * plan.steps_per_epoch
        whole = math.ceil(in_a_pass / config.batch_size)  # the last batch of a pass is smaller
        examples = round(in_a_pass * steps / whole)
    elif not fitted:
        assert config.epochs is not None, "one of the two is given"
        steps = config.epochs * math.ceil(in_a_pass / config.batch_size)
        examples = config.epochs * in_a_pass
    reference = _leading(metrics).get(ITERATED)
    above = None
    if reference is not None:
        above = Difference(*map(_round, reference.difference))
    elif cell.model == iterated.NAME:
        above = Difference(0.0, 0.0)
    minutes = None if fitted else config.minutes
    over, under = _beside_quadratic(metrics)
    return Made(
        model=cell.model,
        column=cell.column,
        command=cell.command(minutes, metrics.num_examples),
        minutes=minutes,
        seed=config.seed,
        examples=examples,
        steps=steps,
        parameters=cost.parameters,
        training=tuple(map(_rounded_spent, cost.training)),
        judging=None if cost.judging is None else _rounded_spent(cost.judging),
        estimate=_estimate(metrics),
        above_iterated=above,
        above_quadratic=over,
        below_quadratic=under,
        coverage=_coverage(metrics),
        fingerprint=(metrics.fingerprint or {}).get(BEST),
    )


def _leading(metrics: Metrics) -> dict[str, BaselineMetrics]:
    """The references among what a network was judged beside."""
    normalised = {name: one for name, one in metrics.estimators.items() if one.is_normalised}
    found = {}
    for group, name in leading(normalised).items():
        kind, _, modes = group.partition("_")
        column = ITERATED if kind == "iterated" else QE_ALL if modes == "all" else QE
        found[column] = normalised[name]
    return found


def _beside_quadratic(metrics: Metrics) -> tuple[int | None, tuple[int, ...] | None]:
    """Counts the bands above all quadratic estimators, and names those below one of them."""
    above = np.ones(len(metrics.ell), bool)
    below = np.zeros(len(metrics.ell), bool)
    for name, other in metrics.estimators.items():
        if not name.endswith("_wiener") or "iterated" in name or not other.is_normalised:
            continue
        if other.difference_ell is None:  # judged by an earlier release
            return None, None
        value, error = other.difference_ell
        above &= value > BAND_SIGMAS * error
        below |= value < -BAND_SIGMAS * error
    return int(above.sum()), tuple(map(int, np.flatnonzero(below)))


def _coverage(metrics: Metrics) -> dict[str, tuple[float, ...]] | None:
    if metrics.uncertainty is None:
        return None
    shares = {level: metrics.uncertainty[f"coverage_{level}"] for level in map(name_of, LEVELS)}
    return {level: _rounded(measured.value) for level, measured in shares.items()}


def _estimate(judged: Metrics | BaselineMetrics) -> Estimate:
    rho, rho_error = map(_round, judged.measured["map_correlation"])
    return Estimate(rho, rho_error, *map(_rounded, judged.measured["rho_ell"]))


def _round(number: Any) -> float:
    return float(f"{float(number):.{_DIGITS}g}")


def _rounded(numbers: Any) -> tuple[float, ...]:
    return tuple(map(_round, numbers))


def _rounded_spent(spent: Spent) -> Spent:
    return dataclasses.replace(
        spent,
        seconds=_round(spent.seconds),
        cpu_seconds=_round(spent.cpu_seconds),
        peak_gib=_round(spent.peak_gib),
    )
