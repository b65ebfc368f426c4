"""The section of a judged estimate's report on its errors: do they hold the truth, and how wide?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from estimators.reports import page, style
from estimators.reports.page import Html, element
from estimators.reports.style import points
from estimators.resampling import Measured
from estimators.uncertainty import LEVELS, MEASURED_ON, name_of

if TYPE_CHECKING:  # the judge measures spectra with NaMaster, which a drawing needs not
    from estimators.coverage import LevelCoverage
    from estimators.judge import Evaluation

_GOAL = 0.01  # of the difference of a coverage and its level
_LEAST_SHOWN = 0.025  # on either side of the level

COVERAGE = (
    "The share of all modes of κ, each real and imaginary part on its own, that lies inside its "
    "interval. On the line the errors are right; below it they are too small, above it too large; "
    "grey is within 1 %."
)
SCORE = (
    " Below: the intervals' width, with what the truths outside of them cost (interval score), "
    "relative to the best intervals of who has seen no map; smaller is better, 1 says that nothing "
    "was learned."
)
_HOW = (
    "The errors are the spectrum of estimate − truth, ring by ring, on validation examples, and "
    "how far an interval reaches is a quantile on the same examples, band by band. They are the "
    "same for all skies, and those of pixels the same everywhere on a patch."
)
_MASKED = " All of this is of the inside of the mask."
_HELD_OUT = "Judged here are examples that they were not measured on."
_CIRCULAR = (
    "These are the examples that the errors were measured on: they fit by construction, and only "
    "the test split says whether they are right."
)


def sentence(coverage: Sequence[LevelCoverage], split: str) -> str:
    """Says how often intervals hold the truth, and what that says.

    Args:
      coverage: level by level.
      split: that was judged.
    """
    parts = []
    for number, of in enumerate(coverage):
        low, high = of.modes.value.min(), of.modes.value.max()
        begin = "those" if number else "Intervals"
        hold = "" if number else " hold the truth"
        parts.append(
            f"{begin} of {name_of(of.level)} %{hold} in {_percent(of.pixels)} of all pixels and, "
            f"band by band, in {100 * low:.1f} to {100 * high:.1f} % of the modes"
        )
    return f"{'; '.join(parts)}. {examples_sentence(split)}"


def examples_sentence(split: str) -> str:
    """Says what coverage on a split is worth."""
    return _CIRCULAR if split == MEASURED_ON else _HELD_OUT


def section(evaluation: Evaluation, drawn: Figure) -> Html:
    """Returns the section.

    Args:
      evaluation: of an estimate with errors.
      drawn: what `figure` drew.
    """
    errors = evaluation.judged[0].estimator.uncertainty
    assert errors is not None and evaluation.coverage is not None, "there is nothing to show"
    widths = " or ".join(
        f"± {errors.pixel_half_width(of.level):.3g} ({name_of(of.level)} %)"
        for of in evaluation.coverage
    )
    where = "" if evaluation.ensemble.window is None else _MASKED
    return page.section(
        "The estimate's errors",
        page.beside(
            page.figure("Coverage", drawn, COVERAGE + SCORE),
            page.card(
                element("h3", "Do they hold the truth?"),
                element("p", sentence(evaluation.coverage, evaluation.split)),
                element("p", f"In a pixel κ is the estimate {widths}. {_HOW}{where}"),
                _table(evaluation),
            ),
        ),
    )


@style.styled
def figure(evaluation: Evaluation) -> Figure:
    """Coverage of each level, and the interval scores, over L.

    Args:
      evaluation: of an estimate with errors.
    """
    assert evaluation.coverage is not None, "there is nothing to draw"
    levels = sorted(evaluation.coverage, key=lambda of: -of.level)
    drawn = Figure(figsize=(style.SMALL[0], style.SMALL[1] + 2.4), layout="constrained")
    *above, below = drawn.subplots(len(levels) + 1, 1, sharex=True)
    ell = evaluation.skill.bands.ell
    for number, (axes, of, shift) in enumerate(
        zip(above, levels, style.spread(len(levels)), strict=True)
    ):
        look = style.series(number)
        points(axes, look, ell, *of.modes)
        points(below, look, ell * shift, *of.score)
        _beside_level(axes, of.level, [of.modes])
        axes.set_title(f"{name_of(of.level)} % intervals", loc="left", color=look.colour)
    _finish_scores(below)
    return drawn


@style.styled
def overlay(
    names: Sequence[str],
    ell: NDArray[np.float64],
    uncertainties: Sequence[Mapping[str, Measured]],
) -> Figure:
    """Coverage of each level, and the interval scores of the lowest one, of several estimates.

    Args:
      names: whose they are.
      ell: multipoles of the bands.
      uncertainties: one of each, as of `estimators.metrics_json.Metrics`.
    """
    levels = sorted(LEVELS, reverse=True)
    height = style.SMALL[1] + 2.4 + 0.05 + 0.215 * len(names)  # with the legend, which is below
    drawn = Figure(figsize=(style.SMALL[0], height), layout="constrained")
    *above, below = drawn.subplots(len(levels) + 1, 1, sharex=True)
    looks, shifts = map(style.series, range(len(names))), style.spread(len(names))
    score = f"interval_score_{name_of(levels[-1])}"
    for label, look, shift, values in zip(
        style.labels(names), looks, shifts, uncertainties, strict=True
    ):
        for axes, level in zip(above, levels, strict=True):
            points(axes, look, ell * shift, *values[f"coverage_{name_of(level)}"])
        points(below, look, ell * shift, *values[score], label)
    for axes, level in zip(above, levels, strict=True):
        _beside_level(axes, level, [v[f"coverage_{name_of(level)}"] for v in uncertainties])
        axes.set_title(f"{name_of(level)} % intervals", loc="left")
    below.set_title(f"{name_of(levels[-1])} % intervals", loc="left")
    _finish_scores(below)
    drawn.legend(loc="outside lower left")
    return drawn


def _beside_level(axes: Axes, level: float, coverages: Iterable[Measured]) -> None:
    """Draws the level that coverages should have, and makes room for them beside it."""
    axes.axhline(level, color=style.BLACK, lw=0.8)
    axes.axhspan(level - _GOAL, level + _GOAL, color=style.PALE, alpha=0.6, lw=0)
    off = [style.finite(np.abs(one.value - level) + one.error) for one in coverages]
    shown = max(_LEAST_SHOWN, 1.1 * float(np.nanmax(np.concatenate([*off, [0.0]]))))
    axes.set_ylim(max(-0.02, level - shown), min(1.02, level + shown))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylabel("coverage")


def _finish_scores(axes: Axes) -> None:
    axes.set_ylabel("interval score")
    style.bounded(axes, (0.0, 0.0), (1.05, 2.0))
    style.multipoles(axes)


def _table(evaluation: Evaluation) -> Html:
    assert evaluation.coverage is not None, "there is nothing to show"
    bands = evaluation.skill.bands
    edges = zip(bands.edges[:-1], bands.edges[1:], strict=True)
    columns = [map(_percent, map(Measured, *of.modes)) for of in evaluation.coverage]
    heads = ("band", *(f"{name_of(of.level)} %" for of in evaluation.coverage))
    rows = zip((f"{low:.0f}–{high:.0f}" for low, high in edges), *columns, strict=True)
    return page.grid(heads, rows, text=())


def _percent(measured: Measured) -> str:
    return f"{100 * float(measured.value):.2f} ± {100 * float(measured.error):.2f} %"
