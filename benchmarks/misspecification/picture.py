"""The picture: bias and excess of each estimator on each version's skies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.misspecification.made import Made
from benchmarks.misspecification.measured import OnSkies
from estimators.reports import style
from estimators.resampling import Measured
from lensing_tfds.configs import LensingConfig

_LARGE, _LINEAR = 0.3, 0.03
"""Beyond the first the axis is logarithmic, but for values within the second."""

_TITLES = {"bias": "bias of C^κ̂κ", "excess": "excess of C^κ̂κ̂ / C^κκ"}


@style.styled
def draw(
    found: Mapping[tuple[str, str], OnSkies],
    estimators: Sequence[Made],
    skies: Sequence[LensingConfig],
    edges: Sequence[float],
) -> Figure:
    """Draws a row of panels a version, but for the first, which the others are compared with.

    Args:
      found: as of `measure`.
      estimators: as given to it.
      skies: the versions.
      edges: of the bands of L.
    """
    figure = Figure(figsize=(11.4, 3.4 * (len(skies) - 1) + 0.9), layout="constrained")
    middles = np.sqrt(np.multiply(edges[:-1], edges[1:]))
    looks = {made.estimator.name: style.series(i) for i, made in enumerate(estimators)}
    panels = figure.subplots(len(skies) - 1, len(_TITLES), squeeze=False)
    for row, one in zip(panels, skies[1:], strict=True):
        for axes, (name, title) in zip(row, _TITLES.items(), strict=True):
            axes.axhline(0, color=style.BLACK, lw=0.8)
            for made, shift in zip(estimators, style.spread(len(estimators)), strict=True):
                scores: Measured = getattr(found[one.name, made.estimator.name], name)
                look = looks[made.estimator.name]
                label = style.literal(f"{made.estimator.label}, made for {made.home.name}")
                style.points(axes, look, middles * shift, scores.value, scores.error, label)
            if max(map(abs, axes.get_ylim())) > _LARGE:
                axes.set_yscale("symlog", linthresh=_LINEAR)
            axes.set_title(f"on {one.name}: {title}", loc="left")
            style.multipoles(axes)
    handles: dict[str, Any] = {}
    for axes in panels.flat:
        found_handles, labels = axes.get_legend_handles_labels()
        handles |= dict(zip(labels, found_handles, strict=True))
    figure.legend(
        handles=list(handles.values()), labels=list(handles), loc="outside lower center", ncols=3
    )
    return figure
