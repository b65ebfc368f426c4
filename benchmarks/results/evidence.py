"""The figures of all cells, gathered from their folders, and the file that keeps them.

The file is JSON with a seal, so that a figure that was edited by hand is told from one that was
measured.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.results.cells import Cell, in_folder
from benchmarks.results.cost import Cost, Spent
from estimators import compared_runs
from estimators.metrics_json import BaselineMetrics, Metrics
from estimators.posterior.measured import measured_posterior
from estimators.reach import leading
from estimators.uncertainty import LEVELS, name_of
from lensing_tfds import strict_json
from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_names
from lensing_tfds.records.storage import replacing
from lensing_tfds.versions import VERSIONS
from trainer.networks import iterated
from trainer.runs.run import Run

QE, QE_ALL, ITERATED = "QE", "QE, all modes", "iterated"
"""References: the quadratic estimator of ordinary modes and of all, and the iterated estimator."""

BAND_SIGMAS = 3.0
"""Of a difference in a band: one of 20 bands is that far off by chance in one of 20 comparisons."""

_DIGITS = 6
_SEAL = "sha256"


class Difference(NamedTuple):
    """A difference of map-level correlations on the same examples, with the error of pairs."""

    value: float
    error: float


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Correlations of an estimate with κ.

    Attributes:
      rho: of maps; rho_error: its standard error, as of the next.
      rho_ell: in each band; of a forecast errors are 0.
    """

    rho: float
    rho_error: float
    rho_ell: tuple[float, ...]
    rho_ell_error: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Posterior:
    """The maximum a posteriori, of other and fewer examples."""

    rho: float
    rho_error: float
    num_examples: int


@dataclasses.dataclass(frozen=True)
class Made:
    """A cell that was trained and judged.

    Attributes:
      model: the network's name.
      column: of `Cell.column`.
      command: that makes it.
      minutes: that it was given; None if it is fitted.
      seed: of weights, order and augmentation.
      examples: seen in training, each as often as it was.
      steps: of the optimizer; None if it is fitted.
      parameters: that are trained or fitted; None if nobody counted.
      training: what each session of training spent.
      judging: what judging spent; None where that is not known, of a run that another command made.
      estimate: how it did.
      above_iterated: its ρ less the iterated estimator's; None without that.
      above_quadratic: bands where it is above every quadratic estimator by `BAND_SIGMAS`; None
        where that is not known.
      below_quadratic: bands where it is below one of them by as much, by their place.
      coverage: share of modes within the intervals of 68 and 95 % that it gives, in each band, by
        "68" and "95"; None if it gives none.
    """

    model: str
    column: str
    command: str
    minutes: float | None
    seed: int
    examples: int
    steps: int | None
    parameters: int | None
    training: tuple[Spent, ...]
    judging: Spent | None
    estimate: Estimate
    above_iterated: Difference | None
    above_quadratic: int | None
    below_quadratic: tuple[int, ...] | None
    coverage: Mapping[str, tuple[float, ...]] | None


@dataclasses.dataclass(frozen=True)
class Failed:
    """A cell that has no figures, and the line that says why."""

    model: str
    column: str
    command: str
    line: str


@dataclasses.dataclass(frozen=True)
class OfVersion:
    """All that is known of a version.

    Attributes:
      version: its name.
      num_examples: of the test split, that all were judged on.
      ell_edges: of the judge's bands.
      references: what needs no network, by name.
      forecast: of the iterated estimator; None where theory does not hold.
      posterior: the maximum a posteriori; None where nobody measured it.
      made: the cells.
      failed: those without figures.
    """

    version: str
    num_examples: int
    ell_edges: tuple[float, ...]
    references: Mapping[str, Estimate]
    forecast: Estimate | None
    posterior: Posterior | None
    made: tuple[Made, ...]
    failed: tuple[Failed, ...]

    @property
    def cells(self) -> tuple[Made | Failed, ...]:
        """All, those without figures last."""
        return (*self.made, *self.failed)


def band_names(version: OfVersion) -> list[str]:
    """Names the judge's bands of a version by their edges: "40–80"."""
    edges = [f"{edge:.0f}" for edge in version.ell_edges]
    return [f"{low}–{high}" for low, high in zip(edges[:-1], edges[1:], strict=True)]


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
    references = {name: references[name] for name in (QE, QE_ALL, ITERATED) if name in references}
    posterior = measured_posterior(VERSIONS[version])
    return OfVersion(
        version,
        number,
        edges,
        references,
        forecast,
        None
        if posterior is None
        else Posterior(
            _round(posterior.map_correlation.value),
            _round(posterior.map_correlation.error),
            posterior.num_examples,
        ),
        made,
        tuple(failed),
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


def write(evidence: Sequence[OfVersion], path: Path) -> None:
    """Writes the file of figures, whole or not at all."""
    values = {one.version: dataclasses.asdict(one) for one in evidence}
    with replacing(path) as temporary:
        text = json.dumps({"versions": values, _SEAL: _seal(values)}, indent=1)
        temporary.write_text(f"{text}\n", encoding="utf-8")


def read(path: Path) -> tuple[OfVersion, ...]:
    """Reads a file of figures.

    Raises:
      LensingError: it cannot be read, was edited, or is of another release.
    """
    values = strict_json.read(str(path))
    found = values.get("versions")
    if not isinstance(found, dict) or values.get(_SEAL) != _seal(found):
        raise LensingError(
            f"{path} is not as it was measured: write it again, with python -m benchmarks.results "
            f"--page {path.with_suffix('.md')}"
        )
    return tuple(_version_of(one) for one in found.values())


def _seal(values: Any) -> str:
    text = json.dumps(json.loads(json.dumps(values)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _version_of(values: Mapping[str, Any]) -> OfVersion:
    check_names(OfVersion, values, "figures of a version")
    posterior = values["posterior"]
    return OfVersion(
        **{
            **values,
            "ell_edges": tuple(values["ell_edges"]),
            "references": {n: _estimate_of(e) for n, e in values["references"].items()},
            "forecast": values["forecast"] and _estimate_of(values["forecast"]),
            "posterior": posterior and Posterior(**posterior),
            "made": tuple(map(_made_of, values["made"])),
            "failed": tuple(Failed(**one) for one in values["failed"]),
        }
    )


def _estimate_of(values: Mapping[str, Any]) -> Estimate:
    check_names(Estimate, values, "figures of an estimate")
    whole, bands = (values[n] for n in ("rho", "rho_error")), ("rho_ell", "rho_ell_error")
    return Estimate(*whole, *(tuple(values[name]) for name in bands))


def _made_of(values: Mapping[str, Any]) -> Made:
    check_names(Made, values, "figures of a cell")
    above, below, coverage = (values[n] for n in ("above_iterated", "below_quadratic", "coverage"))
    return Made(
        **{
            **values,
            "training": tuple(Spent(**spent) for spent in values["training"]),
            "judging": values["judging"] and Spent(**values["judging"]),
            "estimate": _estimate_of(values["estimate"]),
            "above_iterated": above and Difference(*above),
            "below_quadratic": None if below is None else tuple(below),
            "coverage": coverage and {level: tuple(shares) for level, shares in coverage.items()},
        }
    )
