"""What is reached on each version, as a Markdown table, from the metrics of judged runs.

    python -m benchmarks.results_table runs/v1 runs/v2 runs/v11 runs/v11-longer

Map-level ρ over all modes, on the test split. Of several runs on a version, judged on the same
examples, the best is shown; which network it is stands beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from estimators.compared_runs import judged_metrics, read
from estimators.metrics_json import BaselineMetrics, Metrics
from estimators.reach import leading
from lensing_tfds.command_line import command
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS, dataset_name

_QE_ALL = "QE, all modes"

HEADS = ("version", "QE", _QE_ALL, "iterated", "forecast", "network", "which")


def table(runs: Sequence[Path]) -> str:
    """Returns the table and, in a line below it, the largest error in it.

    Args:
      runs: folders of judged runs.

    Raises:
      LensingError: one was not judged, or has changed since, or not on the same examples as
        another of its dataset.
    """
    by_dataset: dict[str, list[Path]] = {}
    for run in runs:
        by_dataset.setdefault(judged_metrics(run).dataset, []).append(run)
    order = {f"lensing/{name}": number for number, name in enumerate(VERSIONS)}
    rows, errors = [], []
    for dataset in sorted(by_dataset, key=lambda name: order.get(name, len(order))):
        read(by_dataset[dataset])  # refuses what cannot be compared
        best = max(map(judged_metrics, by_dataset[dataset]), key=_rho)
        rows.append(_row(best))
        errors += [float(best.measured["map_correlation"].error)]
        errors += [float(bar.measured["map_correlation"].error) for bar in _bars(best).values()]
    lines = [HEADS, ("---",) * len(HEADS), *rows]
    shown = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"{shown}\n\nStandard errors are at most {max(errors):.3f}."


def _row(metrics: Metrics) -> tuple[str, ...]:
    bars = _bars(metrics)
    rho = {column: f"{_rho(bars[column]):.3f}" if column in bars else "" for column in HEADS}
    rho["version"] = dataset_name(metrics.dataset)
    rho["network"], rho["which"] = f"{_rho(metrics):.3f}", f"`{metrics.model}`"
    if metrics.forecast is not None:
        rho["forecast"] = f"{metrics.forecast.iterated.map_correlation:.3f}"
    return tuple(rho.values())


def _bars(metrics: Metrics) -> dict[str, BaselineMetrics]:
    """The leading estimators, by their columns; of iterated ones the best."""
    normalised = {name: e for name, e in metrics.estimators.items() if e.is_normalised}
    bars: dict[str, BaselineMetrics] = {}
    for group, name in leading(normalised).items():
        kind, _, modes = group.partition("_")
        column = "iterated" if kind == "iterated" else _QE_ALL if modes == "all" else "QE"
        bars[column] = max(normalised[name], bars.get(column, normalised[name]), key=_rho)
    return bars


def _rho(judged: Metrics | BaselineMetrics) -> float:
    return float(judged.measured["map_correlation"].value)


def main(runs: Iterable[str]) -> None:
    """Prints the table."""
    folders = list(map(Path, runs))
    with command(verbose=False):
        if not folders:
            raise LensingError("name judged runs: python -m benchmarks.results_table runs/v1 ...")
        print(table(folders))


if __name__ == "__main__":
    main(sys.argv[1:])
