"""Folders of judged cells, made without training: their files say what a test wants."""

import dataclasses
from pathlib import Path

import numpy as np

from benchmarks.results.cells import Cell
from benchmarks.results.cost import Cost, Spent
from estimators.metrics_json import Metrics
from estimators.resampling import Measured
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.versions import VERSIONS
from tests.estimators import skies
from tests.estimators.test_reach import estimator, judged
from trainer.networks import families
from trainer.runs.history import COLUMNS, HISTORY, write_history
from trainer.runs.plan import Plan
from trainer.runs.run_config import RunConfig, write_config

QUADRATIC, ITERATED = "qe_tt_wiener", "qe_iterated_wiener"


def some_metrics(n: int = 4) -> Metrics:
    """Metrics of a network on v11 and of two estimators beside it."""
    rng = np.random.default_rng(0)
    names = ("network", QUADRATIC, ITERATED, "zero")
    evaluation = judged(skies.CONFIG, [estimator(name, name, 1, rng) for name in names], n=n)
    return Metrics.of("lensing/v11", "unet", evaluation)


def with_rho(one, rho, error=0.001):
    """The same, with this map-level correlation."""
    found = Measured(np.array(rho), np.array(error))
    return dataclasses.replace(one, measured={**one.measured, "map_correlation": found})


def beside(metrics: Metrics, name: str, rho: float, above: float, error: float) -> Metrics:
    """The same, with an estimator of this ρ beside it that it is above by so much."""
    other = dataclasses.replace(
        with_rho(metrics.estimators[name], rho),
        difference=Measured(np.array(above), np.array(error)),
    )
    return dataclasses.replace(metrics, estimators={**metrics.estimators, name: other})


def put(
    results: Path,
    cell: Cell,
    metrics: Metrics,
    rho: float,
    above: float = 0.0,
    error: float = 0.0001,
) -> None:
    """Makes a cell's folder: judged, with ρ, so much above the iterated estimator's."""
    folder = results / cell.name
    folder.mkdir(parents=True, exist_ok=True)
    trained = not families.is_fitted(cell.model)
    config = cell.config("/data", 10.0)
    plan = Plan(4, 25) if trained else None
    write_config(folder, RunConfig(config, VERSIONS[cell.version], DATASET_VERSION, plan))
    rows = [dict.fromkeys(COLUMNS, 0.5) | {"epoch": float(epoch)} for epoch in range(1, 5)]
    write_history(folder / HISTORY, rows)
    metrics = beside(with_rho(metrics, rho), ITERATED, rho - above, above, error)
    if not trained:  # it is not judged beside itself
        others = {name: one for name, one in metrics.estimators.items() if name != ITERATED}
        metrics = dataclasses.replace(metrics, estimators=others)
    metrics = dataclasses.replace(metrics, dataset=f"lensing/{cell.version}", model=cell.model)
    (folder / "metrics.json").write_text(metrics.to_text())
    spent = Spent(600.0, 480.0, 2, "a processor", 1.5, "2026-11-27", "0.1.0")
    Cost((spent,), dataclasses.replace(spent, seconds=60.0), 12_345).write(folder)
