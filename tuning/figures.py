"""The figures of a search's report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from estimators.reports import style
from estimators.reports.style import Series, points
from tuning.config import OBJECTIVES
from tuning.trials import Trial, ranked

_HIGHLIGHTED = 5
_OTHERS = Series("#C8CDD3", "o")
_NAMES = {"val_loss": "validation loss", "val_map_correlation": "validation map-level ρ"}


@style.styled
def curves(trials: Sequence[Trial], objective: str, column: str) -> Figure:
    """A validation metric epoch by epoch: the best trials in colour, all others grey.

    Args:
      trials: all of a search.
      objective: by which the best are chosen.
      column: "val_loss" or "val_map_correlation".
    """
    figure = Figure(figsize=style.SMALL, layout="constrained")
    axes = figure.subplots()
    best = ranked(list(trials), objective)[:_HIGHLIGHTED]
    looks = {trial.number: style.series(place) for place, trial in enumerate(best)}
    values = style.finite([row[column] for trial in trials for row in trial.history])
    values = values[np.isfinite(values)]
    for trial in (*(t for t in trials if t.number not in looks), *best):
        shown = trial.number in looks
        points(
            axes,
            looks.get(trial.number, _OTHERS),
            [row["epoch"] for row in trial.history],
            [row[column] for row in trial.history],
            label=style.literal(f"{trial.number} {trial.settings.model}") if shown else "",
            lw=1.6 if shown else 0.8,
            ms=4 if shown else 2.5,
        )
    if not values.size:
        style.nothing(axes)
    elif column == "val_loss" and values.min() < (usual := max(1.1, 1.3 * np.median(values))):
        # A trial that went wrong must not flatten all others; 1 is as good as estimating zero.
        axes.set_ylim(top=min(usual, axes.get_ylim()[1]))
    axes.set(xlabel="epoch", ylabel=_NAMES[column])
    style.whole_numbers(axes)
    style.legend(axes, fontsize=8)
    return figure


@style.styled
def progress(trials: Sequence[Trial], objective: str) -> Figure:
    """Each completed trial's objective, in the order of the trials, and the best so far."""
    figure = Figure(figsize=style.SMALL, layout="constrained")
    axes = figure.subplots()
    done = [(n, t.best(objective)) for n, t in enumerate(trials) if t.status == "COMPLETED"]
    found = [(number, row[objective]) for number, row in done if row is not None]
    if found:
        numbers, values = style.finite(found).T
        best = np.fmin if OBJECTIVES[objective] == "min" else np.fmax
        points(axes, Series(style.BLUE, "o", ""), numbers, values, label="trial", ms=4)
        so_far, colour = best.accumulate(values), style.VERMILION
        axes.step(numbers, so_far, "-", where="post", color=colour, label="best so far")
        style.legend(axes, fontsize=8)
    else:
        style.nothing(axes)
    axes.set(xlabel="trial", ylabel=_NAMES[objective])
    style.whole_numbers(axes)
    return figure
