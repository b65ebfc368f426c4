"""A Markdown table of what is reached on each version, from the metrics of judged runs.

    python -m benchmarks.results_table runs/v1 runs/v2 runs/v11 runs/v11-longer

Map-level ρ over all modes, on the test split. Of several runs on a version, judged on the same
examples, the best is shown; a run of `--model iterated` is the iterated estimator. With `--bars`
it is a table of the estimators that need no network alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from estimators.compared_runs import judged_metrics, read
from estimators.metrics_json import BaselineMetrics, Metrics
from estimators.reach import leading
from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.versions import VERSIONS, dataset_name
from trainer.networks import iterated

_ANY, _QE_ALL = "", "QE, all modes"

HEADS = ("version", "QE", _QE_ALL, "iterated", "forecast", "network", "which")


def table(runs: Sequence[Path], networks: bool = True) -> str:
    """Returns the table and, in a line below it, the largest error in it.

    Args:
      runs: folders of judged runs.
      networks: show theirs too.

    Raises:
      LensingError: one was not judged, or has changed since, or not on the same examples as
        another of its dataset.
    """
    by_dataset: dict[str, list[Path]] = {}
    for run in runs:
        by_dataset.setdefault(judged_metrics(run).dataset, []).append(run)
    order = {f"lensing/{name}": number for number, name in enumerate(VERSIONS)}
    heads = HEADS if networks else HEADS[: HEADS.index("network")]
    rows, errors = [], [0.0]
    for dataset in sorted(by_dataset, key=lambda name: order.get(name, len(order))):
        read(by_dataset[dataset])  # refuses what cannot be compared
        best = _best(list(map(judged_metrics, by_dataset[dataset])))
        rows.append([_cell(column, best) for column in heads])
        errors += [float(one.measured["map_correlation"].error) for one in best.values()]
    lines = [heads, ("---",) * len(heads), *rows]
    shown = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"{shown}\n\nStandard errors are at most {max(errors):.3f}."


def _cell(column: str, best: Mapping[str, Metrics | BaselineMetrics]) -> str:
    first, found = best[_ANY], best.get(column)
    assert isinstance(first, Metrics)
    if column == "version":
        return dataset_name(first.dataset)
    if column == "forecast" and first.forecast is not None:
        return f"{first.forecast.iterated.map_correlation:.3f}"
    if column == "which":
        network = best.get("network")
        return f"`{network.model}`" if isinstance(network, Metrics) else ""
    return "" if found is None else f"{_rho(found):.3f}"


def _best(judged: Sequence[Metrics]) -> dict[str, Metrics | BaselineMetrics]:
    """The best of each column, of runs on the same examples, and under `_ANY` one of the runs."""
    best: dict[str, Metrics | BaselineMetrics] = {_ANY: judged[0]}
    for metrics in judged:
        found: list[tuple[str, Metrics | BaselineMetrics]] = []
        found.append(("iterated" if metrics.model == iterated.NAME else "network", metrics))
        normalised = {name: e for name, e in metrics.estimators.items() if e.is_normalised}
        for group, name in leading(normalised).items():
            kind, _, modes = group.partition("_")
            column = kind if kind == "iterated" else _QE_ALL if modes == "all" else "QE"
            found.append((column, normalised[name]))
        for column, one in found:
            best[column] = max(one, best.get(column, one), key=_rho)
    return best


def _rho(judged: Metrics | BaselineMetrics) -> float:
    return float(judged.measured["map_correlation"].value)


def main(arguments: Sequence[str]) -> None:
    """Prints the table."""
    parser = CommandParser("benchmarks.results_table", "Print what judged runs reach, as a table.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of judged runs")
    parser.add_argument("--bars", action="store_true", help="without the networks")
    flags = parser.parse_args(arguments)
    with command(flags.verbose):
        print(table(flags.runs, networks=not flags.bars))


if __name__ == "__main__":
    main(sys.argv[1:])
