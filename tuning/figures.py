"""The figures of a search's report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tuning.config import OBJECTIVES
from tuning.trials import Trial, ranked

_SIZE = (5.6, 3.9)  # inches, as the trainer's
_HIGHLIGHTED = 5
# Okabe & Ito's palette, without its yellow.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
_OTHERS = "#C8CDD3"


def curves(trials: Sequence[Trial], objective: str, column: str) -> Figure:
    """A validation metric epoch by epoch: the best trials in colour, all others grey.

    Args:
      trials: all of a search.
      objective: by which the best are chosen.
      column: "val_loss" or "val_map_correlation".
    """
    figure, axes = _axes()
    best = ranked(list(trials), objective)[:_HIGHLIGHTED]
    shown = {trial.number for trial in best}
    for trial in trials:
        if trial.number not in shown:
            _curve(axes, trial, column, color=_OTHERS, lw=0.8, zorder=1)
    for trial, colour in zip(best, _COLOURS, strict=False):
        label = f"{trial.number} {trial.settings.model}"
        _curve(axes, trial, column, color=colour, lw=1.6, label=label)
    axes.set(xlabel="epoch", ylabel=column)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    values = [row[column] for trial in trials for row in trial.history]
    if column == "val_loss" and values:  # a trial that went wrong must not flatten all others
        axes.set_ylim(min(values) * 0.98, min(max(values), 1.3 * float(np.median(values))))
    if best:
        axes.legend(fontsize=8, frameon=False)
    return figure


def progress(trials: Sequence[Trial], objective: str) -> Figure:
    """Each completed trial's objective, in the order of the trials, and the best so far."""
    figure, axes = _axes()
    done = [(int(t.number), t.best(objective)) for t in trials if t.status == "COMPLETED"]
    points = [(number, row[objective]) for number, row in done if row is not None]
    if points:
        numbers, values = np.array(points).T
        best = np.minimum if OBJECTIVES[objective] == "min" else np.maximum
        axes.plot(numbers, values, "o", color=_COLOURS[0], ms=4, label="trial")
        axes.step(numbers, best.accumulate(values), where="post", color=_COLOURS[1], label="best")
        axes.legend(fontsize=8, frameon=False)
    axes.set(xlabel="trial", ylabel=objective)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E4E4E4", lw=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _curve(axes: Axes, trial: Trial, column: str, **style: Any) -> None:
    epochs = [row["epoch"] for row in trial.history]
    axes.plot(epochs, [row[column] for row in trial.history], "o-", ms=2.5, **style)
