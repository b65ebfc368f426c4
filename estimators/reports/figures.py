"""The figures of a judged run, and of several side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from estimators.reports import style
from estimators.reports.style import Series, points
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power

if TYPE_CHECKING:  # they measure spectra with NaMaster, which a drawing needs not
    from estimators.judge import Evaluation, Judged
    from estimators.resampling import Measured

_TRUE = Series(style.BLUE, "o")
_ESTIMATE = Series(style.VERMILION, "s")
_RESIDUAL = Series(style.GREY, "^")
_REFERENCE: dict[str, Any] = {"color": style.BLACK, "lw": 0.8}

GROUPS = {"_ordinary": "ordinary modes", "_all": "all modes"}
"""The modes that a quadratic estimator uses, by how its name ends: see `estimators.references`."""


@style.styled
def maps(evaluation: Evaluation, lensing: LensingConfig) -> Figure:
    """Input (its first channel), true κ, estimated κ and residual, one example a row."""
    gallery = evaluation.gallery
    rows = len(gallery.index)
    figure = Figure(figsize=(11.4, 2.62 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, 4, sharex=True, sharey=True, squeeze=False)
    channel, side = lensing.channels[0], math.degrees(lensing.side)
    shown = "temperature" if channel == "T" else channel
    titles = (f"Lensed {shown}: input, µK", "True κ", "Estimated κ", "Estimate − truth")
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontweight="bold", pad=16)
    for axes in grid[-1]:
        axes.set_xlabel("degrees")
    for row, index in enumerate(gallery.index):
        lensed, kappa, estimate = gallery.lensed[row], gallery.kappa[row], gallery.estimate[row]
        limit = style.colour_limit(lensed)
        image = style.show_map(grid[row, 0], lensed, side, style.TEMPERATURE_MAP, limit)
        style.colour_bar(grid[row, 0], image)  # a label would read as that of the next panel's axis
        limit = style.colour_limit(kappa)
        for axes, values in zip(grid[row, 1:], (kappa, estimate, estimate - kappa), strict=True):
            image = style.show_map(axes, values, side, style.KAPPA_MAP, limit)
        style.colour_bar(grid[row, 3], image, label="κ")
        rho = np.corrcoef(kappa.ravel(), estimate.ravel())[0, 1]
        text = f"ρ = {rho if np.isfinite(rho) else 0.0:.2f}"
        corner = {"xycoords": "axes fraction", "ha": "right", "va": "bottom"}
        grid[row, 2].annotate(text, (1, 1.015), fontsize=9, **corner)
        grid[row, 0].set_ylabel(f"example {index}\ndegrees")
    return figure


@style.styled
def spectra(evaluation: Evaluation, lensing: LensingConfig) -> Figure:
    """Mean spectra of true and estimated κ and of the residual, and what κ was drawn from."""
    figure, axes = style.single()
    skill = evaluation.skill
    ell = np.geomspace(skill.bands.edges[0], skill.bands.edges[-1], 300)
    theory = kappa_power(lensing, evaluation.theory, ell)
    axes.plot(
        *(style.finite(values[theory > 0]) for values in (ell, theory)),
        color=style.BLACK,
        lw=1.2,
        label="input spectrum",
    )
    for measured, look, label in (
        (skill.true_cl, _TRUE, "true κ"),
        (skill.estimate_cl, _ESTIMATE, "estimated κ"),
        (skill.residual_cl, _RESIDUAL, "residual"),
    ):
        points(axes, look, skill.bands.ell, *measured, label)
    axes.set(ylabel=r"$C_L^{\kappa\kappa}$")
    style.logarithmic(axes)
    true = style.finite(skill.true_cl.value)
    if (true > 0).any():
        # An estimate without power at high L would squeeze everything else to a line.
        low, high = axes.get_ylim()
        axes.set_ylim(bottom=min(max(low, 1e-4 * true[true > 0].min()), 0.1 * high))
    style.legend(axes)
    style.multipoles(axes)
    return figure


@style.styled
def correlation(evaluation: Evaluation) -> Figure:
    """ρ_L."""
    figure, axes = style.single()
    points(axes, _TRUE, evaluation.skill.bands.ell, *evaluation.skill.rho_ell)
    axes.axhline(1, **_REFERENCE)
    axes.set(ylabel=r"$\rho_L$")
    style.bounded(axes, (-1.05, 0.0), (1.05, 1.05))
    style.multipoles(axes)
    return figure


@style.styled
def transfer(evaluation: Evaluation) -> Figure:
    """T_L beside ρ_L², which a posterior mean has."""
    figure, axes = style.single()
    skill = evaluation.skill
    rho, error = map(style.finite, skill.rho_ell)
    points(axes, _RESIDUAL, skill.bands.ell, rho**2, 2 * np.abs(rho) * error, r"$\rho_L^2$")
    points(axes, _ESTIMATE, skill.bands.ell, *skill.transfer_ell, "transfer function")
    axes.axhline(1, **_REFERENCE)
    axes.set(ylabel=r"$T_L$")
    style.bounded(axes, (-math.inf, 0.0), (1.05, math.inf))
    style.legend(axes)
    style.multipoles(axes)
    return figure


@style.styled
def correlations(evaluation: Evaluation) -> Figure:
    """ρ_L of every estimator."""

    def finish(axes: Axes) -> None:
        axes.axhline(1, **_REFERENCE)
        style.bounded(axes, (-1.05, -0.02), (1.05, 1.05))

    return _compared(evaluation, "rho_ell", r"$\rho_L$", finish, once=True)


@style.styled
def responses(evaluation: Evaluation) -> Figure:
    """R_L of every estimator."""

    def finish(axes: Axes) -> None:
        axes.axhline(1, **_REFERENCE)
        # An estimate of nothing but noise would squeeze everything else to a line.
        style.bounded(axes, (-0.5, -0.02), (1.05, 2.0))

    return _compared(evaluation, "transfer_ell", r"$R_L$", finish)


@style.styled
def noises(evaluation: Evaluation) -> Figure:
    """N_L of every estimator, and the spectrum of true κ."""
    skill = evaluation.skill

    def finish(axes: Axes) -> None:
        true = Series(style.BLACK, "")
        points(axes, true, skill.bands.ell, skill.true_cl.value, None, "true κ, $C_L$", lw=1.4)
        style.logarithmic(axes)

    return _compared(evaluation, "noise_ell", r"$N_L$", finish, once=True)


def _compared(
    evaluation: Evaluation,
    name: str,
    ylabel: str,
    finish: Callable[[Axes], None],
    once: bool = False,
) -> Figure:
    """One measured value of every estimator but zero, a panel for each group of modes.

    The estimator in question is in every panel. Colour and marker tell pairs of fields apart,
    dashes and open markers what is Wiener-filtered. What could not be normalised is zero by default
    and is not drawn. What a filter does not change is drawn once,
    of the filtered estimate.
    """
    first, *others = (j for j in evaluation.judged if j.estimator.name != "zero")
    others = [judged for judged in others if judged.estimator.is_normalised]
    groups: dict[str, dict[str, list[Judged]]] = {}
    for judged in others:
        family = judged.estimator.name.removesuffix("_wiener")
        group = next((ending for ending in GROUPS if family.endswith(ending)), "")
        pairs = groups.setdefault(group, {}).setdefault(family.removesuffix(group), [])
        pairs.append(judged)
    families = list(dict.fromkeys(name for pairs in groups.values() for name in pairs))
    figure = Figure(figsize=style.WIDE, layout="constrained")
    panels = figure.subplots(1, max(1, len(groups)), sharey=True, squeeze=False)[0]
    ell = evaluation.skill.bands.ell
    entries: dict[str, Any] = {}
    for axes, group in zip(panels, groups or [""], strict=True):
        shown = [(first, style.series(0))] + [
            (judged, _look(families.index(family), judged, once))
            for family, members in groups.get(group, {}).items()
            for judged in members[-1 if once else 0 :]
        ]
        for shift, (judged, look) in zip(style.spread(len(shown)), shown, strict=True):
            label = judged.estimator.label.replace(f", {GROUPS.get(group)}", "")
            value, error = getattr(judged.skill, name)
            points(axes, look, ell * shift, value, error, style.literal(label))
        finish(axes)
        axes.set_title(GROUPS.get(group, "").capitalize())
        style.multipoles(axes)
        handles, texts = axes.get_legend_handles_labels()
        entries |= dict(zip(texts, handles, strict=True))
    panels[0].set_ylabel(ylabel)
    figure.legend(entries.values(), entries.keys(), loc="outside right upper")
    return figure


def _look(family: int, judged: Judged, once: bool) -> Series:
    look = style.series(1 + family)
    if once or not judged.estimator.name.endswith("_wiener"):
        return look
    return look._replace(line="--", filled=False)


@style.styled
def overlay(
    names: Sequence[str],
    ell: NDArray[np.float64],
    values: Iterable[Measured],
    ylabel: str,
    logarithmic: bool = False,
) -> Figure:
    """The same measured value of several runs.

    Args:
      names: whose it is.
      ell: multipoles of the bands.
      values: one of each; NaN is not drawn.
      ylabel: its name.
      logarithmic: draw it so.
    """
    # The legend is below: beside the axes it would be off a small screen.
    figure = Figure(figsize=(style.SMALL[0], style.SMALL[1] + 0.05 + 0.215 * len(names)))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    looks, shifts = map(style.series, range(len(names))), style.spread(len(names))
    for label, value, look, shift in zip(style.labels(names), values, looks, shifts, strict=True):
        points(axes, look, ell * shift, *value, label)
    axes.set(ylabel=ylabel)
    if logarithmic:
        style.logarithmic(axes)
    style.multipoles(axes)
    figure.legend(loc="outside lower left")
    return figure


@style.styled
def pixels(evaluation: Evaluation) -> Figure:
    """True against estimated κ in all pixels, with the mean truth at each estimate."""
    figure, axes = style.single()
    edges, counts = map(style.finite, (evaluation.histogram.edges, evaluation.histogram.counts))
    counts = np.nan_to_num(counts)
    axes.set(xlabel="estimated κ", ylabel="true κ")
    if not (np.diff(edges) > 0).all() or not counts.sum() > 0:
        style.nothing(axes)
        return figure
    centres = evaluation.histogram.centres
    shown = np.ma.masked_equal(counts, 0)
    norm = LogNorm(vmin=0.5, vmax=max(1.0, counts.max()))
    image = axes.pcolormesh(edges, edges, shown, cmap="Blues", norm=norm, rasterized=True)
    figure.colorbar(image, ax=axes, label="pixels", pad=0.02)
    axes.plot(edges[[0, -1]], edges[[0, -1]], color=style.BLACK, lw=1, label="truth = estimate")
    enough = counts.sum(axis=0) > 1e-4 * counts.sum()
    mean_truth = centres @ counts[:, enough] / counts[:, enough].sum(axis=0)
    look = Series(style.VERMILION, "s", "")
    points(axes, look, centres[enough], mean_truth, None, "mean truth", ms=3.2)
    axes.set(aspect="equal")
    style.legend(axes, loc="upper left")
    return figure


@style.styled
def history(columns: Mapping[str, NDArray[np.float64]], judged: float) -> Figure:
    """Loss and map-level correlation, epoch by epoch.

    Args:
      columns: of history.csv.
      judged: the epoch whose network is judged, marked by a dotted line.
    """
    figure = Figure(figsize=style.SMALL, layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    epochs = columns["epoch"]
    for axes, name, ylabel in zip(
        panels, ("loss", "map_correlation"), ("loss", "map-level ρ"), strict=True
    ):
        for prefix, look, label in (
            ("", _TRUE, "training"),
            ("val_", _ESTIMATE._replace(line="--"), "validation"),
        ):
            points(axes, look, epochs, columns[prefix + name], None, label, ms=3.5, lw=1.8)
        axes.axvline(judged, color=style.GREY, lw=0.8, ls=":")
        axes.set(ylabel=ylabel)
    style.legend(panels[0])
    panels[1].set_xlabel("epoch")
    style.whole_numbers(panels[1])
    return figure
