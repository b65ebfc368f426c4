"""Figures of a judged estimate beside the bars and the forecast: its curves, its maps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from estimators.posterior.measured import measured_posterior
from estimators.reach import bars, forecasts_of, short
from estimators.reports import style
from estimators.reports.style import Series, points
from lensing_tfds.sky.flat_sky import FlatSky

if TYPE_CHECKING:  # it measures spectra with NaMaster, which a drawing needs not
    from estimators.ensemble import SkyEnsemble
    from estimators.judge import Evaluation

_LARGE = 1000.0  # multipole below which polarization at low noise shows single structures
_FEWEST_WAVES = 8  # fundamental multipoles below it, for a picture to be seen


@style.styled
def large_scales(evaluation: Evaluation) -> Figure:
    """The first example at large scales: true κ, the bars' estimates, this one and its residual."""
    gallery, ensemble = evaluation.gallery, evaluation.ensemble
    first = evaluation.judged[0].estimator
    panels = {"True κ": gallery.kappa[0]}
    for other in bars(evaluation):
        panels[short(other)] = gallery.others[other.estimator.name][0]
    panels[first.label] = gallery.estimate[0]
    panels[f"Residual of the {first.label}"] = gallery.estimate[0] - gallery.kappa[0]
    rows = math.ceil(len(panels) / 2)
    figure = Figure(figsize=(style.SMALL[0], 2.5 * rows + 1.0), layout="constrained")
    grid = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False)
    cut, side = large_scale_limit(ensemble), math.degrees(ensemble.config.side)
    shown = {label: _below(values, cut, ensemble.config.sky) for label, values in panels.items()}
    limit = style.colour_limit(shown["True κ"])
    for axes, (label, values) in zip(grid.flat, shown.items(), strict=False):
        image = style.show_map(axes, values, side, style.KAPPA_MAP, limit)
        axes.set_title(style.literal(label[:1].upper() + label[1:]), fontweight="bold")
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("degrees")
    for axes in grid[-1]:
        axes.set_xlabel("degrees")
    figure.colorbar(
        image, ax=grid, location="bottom", shrink=0.7, aspect=35, pad=0.02, label=f"κ{_said(cut)}"
    )
    return figure


def large_scale_limit(ensemble: SkyEnsemble) -> float:
    """The multipole below which `large_scales` shows κ; infinite where that would be too little."""
    edges = ensemble.bands.edges
    enough = _FEWEST_WAVES * ensemble.config.sky.fundamental <= _LARGE < edges[-1]
    return _LARGE if enough else math.inf


def _said(cut: float) -> str:
    return "" if math.isinf(cut) else f" at L < {cut:,.0f}"


def _below(values: NDArray[np.float32], cut: float, sky: FlatSky) -> NDArray[np.floating]:
    modes = sky.to_modes(np.ascontiguousarray(style.finite(values)))
    return sky.to_map(modes * (sky.ell < cut))


@style.styled
def reach(evaluation: Evaluation) -> Figure:
    """ρ_L of this estimate and of the bars beside the forecast, and what they are below it."""
    forecasts = forecasts_of(evaluation.ensemble)
    skill = evaluation.skill
    judged = [evaluation.judged[0], *bars(evaluation)]
    figure = Figure(
        figsize=(style.SMALL[0], style.SMALL[1] + (2.6 if forecasts else 0.6)), layout="constrained"
    )
    count = 2 if forecasts else 1
    panels = figure.subplots(count, 1, sharex=True, squeeze=False, height_ratios=(3, 2)[:count])
    above, *below = panels[:, 0]
    ell = skill.bands.ell
    shifts = style.spread(len(judged))
    for number, (one, shift) in enumerate(zip(judged, shifts, strict=True)):
        look, (value, error) = style.series(number), one.skill.rho_ell
        points(above, look, ell * shift, value, error, style.literal(short(one)))
        if forecasts:
            left = forecasts.iterated.rho_ell - value
            points(below[0], look, ell * shift, left, error)
    if posterior := measured_posterior(evaluation.ensemble.config):
        look = style.series(len(judged))._replace(line="")  # its bands are wide
        label = f"MAP, {posterior.num_examples} skies"
        points(above, look, posterior.ell, *posterior.rho_ell, label)
        value, error = posterior.rho_ell
        for axes in below:
            points(axes, look, posterior.ell, posterior.forecast - value, error)
    if forecasts:
        lines = {forecasts.quadratic: ("forecast, QE", ":"), forecasts.iterated: ("forecast", "-")}
        for line, (label, dashes) in lines.items():
            points(above, Series(style.BLACK, "", dashes), ell, line.rho_ell, None, label, lw=1.2)
        below[0].axhline(0, color=style.BLACK, lw=1.2)
        below[0].set_ylabel(r"forecast − $\rho_L$")
    above.set_ylabel(r"$\rho_L$")
    style.bounded(above, (-1.05, -0.02), (1.02, 1.05))
    style.multipoles(panels[-1, 0])
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure
