"""A search as one self-contained page: leaderboard, learning curves and how to use the best."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from estimators.reports import page
from estimators.reports.page import element
from lensing_tfds.records.storage import replacing
from trainer.runs.plan import duration
from tuning import figures, leaderboard
from tuning.trials import SearchRecord, Trial, ranked

_LEAD = (
    "Networks and settings that were tried, each trained on the training split and compared on the "
    "validation split. The test split plays no part."
)
_CURVES = (
    "In colour the best five trials, in grey all others. A trial that Hyperband continued starts "
    "with the epochs of the trial before it."
)
_CORRELATION = "Map-level correlation of true and estimated κ, over the validation split."
_PROGRESS = "Each completed trial's best epoch, in the order of the trials."
_USE = (
    "python -m trainer --hparams {0}/best_hyperparameters.json --data_dir {1}\n"
    "tensorboard --logdir {0}/trials"
)


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
        temporary.write_text(html, "utf-8")
    return path


def render(workdir: Path, record: SearchRecord, trials: Sequence[Trial]) -> str:
    """Draws a search as an HTML page.

    Args:
      workdir: the search's folder.
      record: its settings.
      trials: all of them.
    """
    config, objective = record.config, record.config.objective
    best = ranked(list(trials), objective)
    tiles = [
        (f"{len(best)}", f"completed trials of {len(trials)}"),
        (f"{sum(t.own_epochs for t in trials):,}", "epochs trained in all"),
        (duration(sum(t.seconds for t in trials)), "of training, all workers together"),
    ]
    if best and (row := best[0].best(objective)) is not None:
        tiles.insert(0, (f"{row[objective]:.4f}", f"best {objective}: trial {best[0].number}"))
    failed = [
        (f"trial {t.number}", f"{t.title}: {t.failure}") for t in trials if t.status == "FAILED"
    ]
    table = page.grid(
        leaderboard.HEAD, [leaderboard.cells(trial, objective) for trial in best], text=(0, 5)
    )
    title, folder = f"A search on {config.dataset}", shlex.quote(str(workdir))
    drawn = (
        ("Validation loss", figures.curves(trials, objective, "val_loss"), _CURVES),
        ("Validation ρ", figures.curves(trials, objective, "val_map_correlation"), _CORRELATION),
        ("The search", figures.progress(trials, objective), _PROGRESS),
    )
    return page.document(
        title,
        page.head(title, _LEAD),
        page.tiles(tiles),
        page.section("Leaderboard", page.card(table, element("p", leaderboard.counts(trials)))),
        page.section("Failed", page.card(page.settings(failed))),
        page.section("Learning curves", page.beside(*(page.figure(*each) for each in drawn))),
        page.section("What was searched", page.card(page.settings(_rows(record)))),
        page.section("Use it", element("pre", _USE.format(folder, shlex.quote(config.data_dir)))),
    )


def _rows(record: SearchRecord) -> list[tuple[str, object]]:
    values = record.config.to_json()
    space = values.pop("space")
    return [*values.items(), *((f"space: {name}", value) for name, value in space.items())]
