"""The leaderboard of a search, at any time: `python -m tuning.report --workdir RUN`.

Prints the table and writes `report.html` (one file, learning curves inside) into the search's
folder. A search that is running is not disturbed.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path

from estimators.reports import page
from lensing_tfds.command_line import one_line_errors
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing
from tuning import figures, leaderboard
from tuning.trials import SearchRecord, Trial, load_search, ranked, read_trials

_LEAD = (
    "Networks and settings that were tried, each trained on the training split and compared on the "
    "validation split. The test split plays no part."
)
_CURVES = (
    "In colour the best five trials, in grey all others. A trial that Hyperband promoted has the "
    "epochs that it took over from the trial before it."
)


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tuning.report",
        description="Show the trials of a search, running or ended, best first.",
        allow_abbrev=False,
    )
    parser.add_argument("--workdir", required=True, help="the search's folder")
    parser.add_argument("--rows", type=int, help="print only the first so many [all]")
    parser.add_argument("--verbose", action="store_true", help="tracebacks of errors")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input."""
    arguments = parse_arguments(argv)
    with one_line_errors(arguments.verbose):
        if arguments.rows is not None and arguments.rows < 1:
            raise LensingError(f"rows is {arguments.rows}: must be at least 1")
        workdir = Path(arguments.workdir)
        record = load_search(workdir)
        trials = read_trials(workdir, record)
        path = write(workdir, record, trials)
    print(f"{record.config.dataset}, {record.config.tuner}, best {record.config.objective} first")
    print(leaderboard.table(trials, record.config.objective, arguments.rows))
    for trial in trials:
        if trial.status == "FAILED":
            print(f"trial {trial.number} failed: {trial.failure}")
    print(f"report: {path}")


def write(workdir: Path, record: SearchRecord, trials: Sequence[Trial]) -> Path:
    """Writes report.html.

    Returns:
      Its path.

    Raises:
      LensingError: it cannot be written.
    """
    path = workdir / "report.html"
    html = render(workdir, record, trials)
    with replacing(path) as temporary:
        temporary.write_text(html)
    return path


def render(workdir: Path, record: SearchRecord, trials: Sequence[Trial]) -> str:
    """Draws a search as an HTML page.

    Args:
      workdir: the search's folder.
      record: its settings.
      trials: all of them.
    """
    config = record.config
    objective = config.objective
    best = ranked(list(trials), objective)
    tiles = [
        (f"{len(best)}", f"completed trials of {len(trials)}"),
        (f"{sum(t.own_epochs for t in trials):,}", "epochs trained in all"),
        (leaderboard.duration(sum(t.seconds for t in trials)), "of training, all workers together"),
    ]
    if best and (row := best[0].best(objective)) is not None:
        tiles.insert(0, (f"{row[objective]:.4f}", f"best {objective}: trial {best[0].number}"))
    drawn = (
        ("Validation loss", figures.curves(trials, objective, "val_loss"), _CURVES),
        (
            "Validation correlation",
            figures.curves(trials, objective, "val_map_correlation"),
            "Map-level, over all pixels of the validation split.",
        ),
        (
            "The search",
            figures.progress(trials, objective),
            "Each completed trial's best epoch, in the order of the trials.",
        ),
    )
    title = f"A search on {escape(config.dataset)}"
    folder = shlex.quote(str(workdir))
    use = (
        f"python -m trainer --hparams {folder}/best_hyperparameters.json "
        f"--data_dir {shlex.quote(config.data_dir)}\ntensorboard --logdir {folder}/trials"
    )
    body = f"""<h1>{title}</h1>
<p class="lead">{_LEAD}</p>
<div class="tiles">{"".join(page.tile(*tile) for tile in tiles)}</div>
<h2>Leaderboard</h2>
<div class="card">{_table(best, objective)}<p>{escape(leaderboard.counts(trials))}</p></div>
{_failures(trials)}
<h2>Learning curves</h2>
<div class="pair">{"".join(page.svg_figure(*figure) for figure in drawn)}</div>
<h2>What was searched</h2>
<div class="card">{page.table(_rows(record))}</div>
<h2>Use it</h2>
<pre>{escape(use)}</pre>"""
    return page.document(title, body)


def _table(trials: Sequence[Trial], objective: str) -> str:
    head = "".join(f"<th>{name}</th>" for name in leaderboard.HEAD)
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in leaderboard.cells(trial, objective))
        + "</tr>"
        for trial in trials
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _failures(trials: Sequence[Trial]) -> str:
    failed = [
        (f"trial {t.number}", f"{t.title}: {t.failure}") for t in trials if t.status == "FAILED"
    ]
    if not failed:
        return ""
    return f'<h2>Failed</h2><div class="card">{page.table(failed)}</div>'


def _rows(record: SearchRecord) -> list[tuple[str, object]]:
    values = record.config.to_json()
    space = values.pop("space")
    return [*values.items(), *((f"space: {name}", str(value)) for name, value in space.items())]


if __name__ == "__main__":
    main()
