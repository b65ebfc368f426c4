"""The picture of the evidence: ρ of each network beside its references, a panel a version."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.results.cells import STACK
from benchmarks.results.figures import QE, QE_ALL, OfVersion
from benchmarks.results.verdicts import best, default_of
from estimators.reports import style

DEFAULT_MARK = "◆"

_IN_A_ROW = 2  # more would be too small for a phone
_WIDTH = 6.4  # inches
_ROOM = 1.05  # of the x axis beyond the largest ρ

_LOOKS = {
    QE: (style.BLACK, "--"),
    QE_ALL: (style.PURPLE, (0, (1, 1))),
    "forecast": (style.GREEN, "-"),
    "MAP": (style.ORANGE, "-."),
}


@style.styled
def draw(found: Sequence[OfVersion]) -> Figure:
    """Draws a panel a version: a bar a network, a line for what needs none.

    Args:
      found: the figures; versions without a judged network are left out.
    """
    shown = [version for version in found if version.made]
    rows = max(1, math.ceil(len(shown) / _IN_A_ROW))
    most = max((len(version.made) for version in shown), default=1)
    height = rows * (0.75 + 0.26 * most) + 0.6
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    for place, version in enumerate(shown, start=1):
        axes = figure.add_subplot(rows, _IN_A_ROW, place)
        _panel(axes, version, most)
        if place > len(shown) - _IN_A_ROW:
            axes.set_xlabel("map-level correlation ρ")
    handles = [Line2D([], [], color=c, ls=line, label=n) for n, (c, line) in _LOOKS.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def png(found: Sequence[OfVersion]) -> bytes:
    """Returns the picture as a file."""
    return style.save(draw(found), "png")


def _panel(axes: Axes, version: OfVersion, most: int) -> None:
    winner, default = best(version.made), default_of(version)
    for place, made in enumerate(version.made):
        rho = made.estimate.rho
        colour = style.BLUE if made is winner else style.SKY_BLUE
        axes.barh(place, max(rho, 0.0), xerr=made.estimate.rho_error, color=colour, height=0.7)
        axes.text(
            1.02,
            place,
            f"{rho:.3f}",
            transform=axes.get_yaxis_transform(),  # beside the panel, where no line crosses it
            va="center",
            fontweight="bold" if made is winner else "normal",
        )
    names = [
        ("study's CNN" if made.column == STACK else made.model)
        + (f" {DEFAULT_MARK}" if made is default else "")
        for made in version.made
    ]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(most - 0.4, -0.6)
    lines = {name: version.references.get(name) for name in (QE, QE_ALL)}
    heights = {name: one.rho for name, one in lines.items() if one is not None}
    if version.forecast is not None:
        heights["forecast"] = version.forecast.rho
    if version.posterior is not None:
        heights["MAP"] = version.posterior.rho
    for name, rho in heights.items():
        colour, line = _LOOKS[name]
        axes.axvline(rho, color=colour, ls=line, lw=1.4)
    largest = max([*heights.values(), *(made.estimate.rho for made in version.made), 0.05])
    axes.set_xlim(0, _ROOM * largest)
    axes.grid(visible=False)
    axes.set_title(version.version, loc="left", fontweight="bold")
