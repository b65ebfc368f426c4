"""Trials as text: a line for one that ended, and the table of all."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.runs.plan import duration
from tuning.trials import Trial, ranked

HEAD = ("trial", "val_loss", "val_map_correlation", "epoch", "time", "settings")


def trial_line(trial: Trial, objective: str, best: Trial | None) -> str:
    """One line about a trial that ended.

    Args:
      trial: it.
      objective: by which trials are compared.
      best: the best trial so far, if any was completed.
    """
    if trial.status == "FAILED":
        result = f"failed: {trial.failure}"
    else:
        row = trial.best(objective)
        assert row is not None, "a completed trial has an epoch"
        result = (
            f"val_loss {row['val_loss']:.4f}  correlation {row['val_map_correlation']:.3f}"
            f"  epoch {row['epoch']:.0f}/{trial.settings.epochs}"
        )
    line = f"trial {trial.number}  {trial.title}  {result}  {duration(trial.seconds)}"
    if best is not None and (row := best.best(objective)) is not None:
        line += f"  best {objective} {row[objective]:.4f} ({best.number})"
    return line


def table(trials: Sequence[Trial], objective: str, limit: int | None = None) -> str:
    """The leaderboard: completed trials, best first, and how many others there are.

    Args:
      trials: all of a search.
      objective: by which they are compared.
      limit: rows to show; None shows all.
    """
    best = ranked(list(trials), objective)
    rows = [HEAD, *(cells(trial, objective) for trial in best[:limit])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, counts(trials)])


def cells(trial: Trial, objective: str) -> tuple[str, ...]:
    """A trial's row of the table."""
    row = trial.best(objective)
    if row is None:
        return (trial.number, "", "", "", duration(trial.seconds), trial.title)
    return (
        trial.number,
        f"{row['val_loss']:.4f}",
        f"{row['val_map_correlation']:.4f}",
        f"{row['epoch']:.0f}/{trial.settings.epochs}",
        duration(trial.seconds),
        trial.title,
    )


def counts(trials: Sequence[Trial]) -> str:
    """Counts trials by how they ended, and their epochs and time."""
    kinds = [(trial.status, trial) for trial in trials]
    named = (("COMPLETED", "completed"), ("FAILED", "failed"), ("RUNNING", "unfinished"))
    numbers = ", ".join(
        f"{sum(kind == status for kind, _ in kinds)} {word}" for status, word in named
    )
    epochs = sum(trial.own_epochs for trial in trials)
    seconds = sum(trial.seconds for trial in trials)
    return f"{len(trials)} trials ({numbers}), {epochs} epochs, {duration(seconds)} of training"
