"""The figures of a report. Colours are told apart by colour-blind eyes and in a grey print."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from numpy.typing import NDArray

from estimators.judge import Evaluation
from estimators.resampling import Measured
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power

# Okabe & Ito's palette.
_TRUE = "#0072B2"
_ESTIMATE = "#D55E00"
_RESIDUAL = "#6E6E6E"
_THEORY = "black"

# Diverging, light at zero: Brewer's, safe for colour-blind eyes.
_TEMPERATURE_MAP = "RdBu_r"
_KAPPA_MAP = "PuOr_r"

# The palette but yellow, too light for a line; markers tell the colours apart in grey.
_SERIES = (
    (_ESTIMATE, "s"),
    (_TRUE, "o"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#56B4E9", "v"),
    ("#E69F00", "P"),
    (_THEORY, "X"),
)

# The rest of the palette, for estimators beside the first; markers tell them apart in grey.
_OTHERS = (("#0072B2", "o"), ("#009E73", "^"), ("#CC79A7", "D"), ("#56B4E9", "v"))

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "errorbar.capsize": 2.5,
    "svg.hashsalt": "lensing-tfds",  # the same figure, the same bytes
}

_SMALL = (5.6, 3.9)  # inches
_WIDE = (11.4, 4.4)


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Lets a function draw in the style of all the project's reports."""

    @functools.wraps(draw)
    def wrapper(*args: Any) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*args)

    return wrapper


@styled
def maps(evaluation: Evaluation, lensing: LensingConfig) -> Figure:
    """Input (its first channel), true κ, estimated κ and residual, one example a row."""
    gallery = evaluation.gallery
    rows = len(gallery.index)
    figure = Figure(figsize=(11.4, 2.62 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, 4, sharex=True, sharey=True, squeeze=False)
    channel = lensing.channels[0]
    shown = "temperature" if channel == "T" else channel
    titles = (f"Lensed {shown}: input", "True κ", "Estimated κ", "Estimate − truth")
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontweight="bold", pad=16)
    for axes in grid[-1]:
        axes.set_xlabel("degrees")
    for row, index in enumerate(gallery.index):
        kappa, estimate = gallery.kappa[row], gallery.estimate[row]
        lensed = grid[row, 0]
        image = _show(lensed, gallery.lensed[row], lensing, _TEMPERATURE_MAP)
        _colour_bar(lensed, image, f"{channel}, µK")
        limit = _limit(kappa)
        for axes, values in zip(grid[row, 1:], (kappa, estimate, estimate - kappa), strict=True):
            image = _show(axes, values, lensing, _KAPPA_MAP, limit)
        _colour_bar(grid[row, 3], image, "κ")
        rho = np.corrcoef(kappa.ravel(), estimate.ravel())[0, 1] if estimate.std() > 0 else 0.0
        corner = {"transform": grid[row, 2].transAxes, "ha": "right", "va": "bottom"}
        grid[row, 2].text(1, 1.015, f"ρ = {rho:.2f}", fontsize=9, **corner)
        lensed.set_ylabel(f"example {index}\ndegrees")
    return figure


def _show(
    axes: Axes,
    values: NDArray[np.float32],
    lensing: LensingConfig,
    colours: str,
    limit: float | None = None,
) -> Any:
    """Draws a map, zero in the middle of the colours."""
    limit = limit or _limit(values)
    side = math.degrees(lensing.side)
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    return axes.imshow(
        values,
        cmap=colours,
        vmin=-limit,
        vmax=limit,
        origin="lower",
        extent=(0, side, 0, side),
        interpolation="nearest",
    )


def _colour_bar(axes: Axes, image: Any, label: str) -> None:
    """Draws a colour bar beside a map, exactly as high."""
    axes.figure.colorbar(image, cax=axes.inset_axes((1.04, 0, 0.05, 1)), label=label)


def _limit(values: NDArray[np.float32]) -> float:
    return float(np.percentile(np.abs(values), 99.7)) or 1.0


@styled
def spectra(evaluation: Evaluation, lensing: LensingConfig) -> Figure:
    """Mean spectra of true and estimated κ and of the residual, and what κ was drawn from."""
    figure, axes = _single()
    skill = evaluation.skill
    edges = skill.bands.edges
    ell = np.geomspace(edges[0], edges[-1], 300)
    theory = kappa_power(lensing, evaluation.theory, ell)
    axes.plot(ell[theory > 0], theory[theory > 0], color=_THEORY, lw=1.2, label="input spectrum")
    for values, colour, marker, label in (
        (skill.true_cl, _TRUE, "o", "true κ"),
        (skill.estimate_cl, _ESTIMATE, "s", "estimated κ"),
        (skill.residual_cl, _RESIDUAL, "^", "residual"),
    ):
        _points(axes, skill.bands.ell, values, colour, marker, label)
    axes.set(yscale="log", ylabel=r"$C_L^{\kappa\kappa}$")
    # An estimate without power at high L would squeeze everything else to a line.
    axes.set_ylim(bottom=max(axes.get_ylim()[0], 1e-4 * skill.true_cl.value.min()))
    multipoles(axes)
    axes.legend()
    return figure


@styled
def correlation(evaluation: Evaluation) -> Figure:
    """ρ_L."""
    figure, axes = _single()
    skill = evaluation.skill
    _points(axes, skill.bands.ell, skill.rho_ell, _TRUE, "o", None)
    axes.axhline(1, color=_THEORY, lw=0.8)
    low = min(0.0, float(skill.rho_ell.value.min()) - 0.05)
    axes.set(ylim=(low, 1.05), ylabel=r"$\rho_L$")
    multipoles(axes)
    return figure


@styled
def transfer(evaluation: Evaluation) -> Figure:
    """T_L beside ρ_L², which a posterior mean has."""
    figure, axes = _single()
    skill = evaluation.skill
    rho, error = skill.rho_ell
    ell = skill.bands.ell
    _points(axes, ell, Measured(rho**2, 2 * np.abs(rho) * error), _RESIDUAL, "^", r"$\rho_L^2$")
    _points(axes, ell, skill.transfer_ell, _ESTIMATE, "s", "transfer function")
    axes.axhline(1, color=_THEORY, lw=0.8)
    axes.set(ylabel=r"$T_L$")
    multipoles(axes)
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), max(1.05, axes.get_ylim()[1]))
    axes.legend()
    return figure


@styled
def correlations(evaluation: Evaluation) -> Figure:
    """ρ_L of every estimator."""
    figure, axes = _compared(evaluation, "rho_ell")
    axes.axhline(1, color=_THEORY, lw=0.8)
    axes.set(ylabel=r"$\rho_L$", ylim=(min(-0.02, axes.get_ylim()[0]), 1.05))
    return figure


@styled
def responses(evaluation: Evaluation) -> Figure:
    """R_L of every estimator."""
    figure, axes = _compared(evaluation, "transfer_ell")
    axes.axhline(1, color=_THEORY, lw=0.8)
    # An estimate of nothing but noise would squeeze everything else to a line.
    axes.set(ylabel=r"$R_L$", ylim=(max(-0.5, axes.get_ylim()[0]), min(2.0, axes.get_ylim()[1])))
    return figure


@styled
def noises(evaluation: Evaluation) -> Figure:
    """N_L of every estimator, and the spectrum of true κ."""
    figure, axes = _compared(evaluation, "noise_ell")
    skill = evaluation.skill
    axes.plot(skill.bands.ell, skill.true_cl.value, color=_THEORY, lw=1.2)
    axes.set(yscale="log", ylabel=r"$N_L$")
    return figure


def _compared(evaluation: Evaluation, name: str) -> tuple[Figure, Axes]:
    """One measured value of every estimator but zero; of one colour what is made of one another."""
    figure = Figure(figsize=_WIDE, layout="constrained")
    axes = figure.subplots()
    bands = evaluation.skill.bands
    shown = [judged for judged in evaluation.judged if judged.estimator.name != "zero"]
    spread = np.linspace(-0.012, 0.012, len(shown))  # so that error bars do not hide one another
    families: list[str] = []
    for shift, judged in zip(spread, shown, strict=True):
        estimator = judged.estimator
        filtered = estimator.name.endswith("_wiener")
        family = estimator.name.removesuffix("_wiener")
        if judged is evaluation.judged[0]:
            colour, marker = _ESTIMATE, "s"
        else:
            families += [family] * (family not in families)
            colour, marker = _OTHERS[families.index(family) % len(_OTHERS)]
        measured = getattr(judged.skill, name)
        axes.errorbar(
            bands.ell * np.exp(shift),
            measured.value,
            measured.error,
            fmt=f"{marker}{'--' if filtered else '-'}",
            color=colour,
            mfc="white" if filtered else colour,
            lw=1,
            label=estimator.label,
        )
    multipoles(axes)
    figure.legend(loc="outside right upper")
    return figure, axes


class Curve(NamedTuple):
    """A measured value at multipoles ell, and whose it is; NaN is not drawn."""

    label: str
    ell: NDArray[np.float64]
    measured: Measured


@styled
def overlay(curves: Sequence[Curve], ylabel: str, logarithmic: bool = False) -> Figure:
    """The same measured value of several runs."""
    figure = Figure(figsize=_WIDE, layout="constrained")
    axes = figure.subplots()
    for number, (label, ell, measured) in enumerate(curves):
        colour, marker = _SERIES[number % len(_SERIES)]
        style = ("-", "--", ":")[number // len(_SERIES) % 3]
        axes.errorbar(
            ell,
            *measured,
            fmt=f"{marker}{style}",
            color=colour,
            lw=1,
            label=label.replace("$", r"\$"),
        )
    axes.set(ylabel=ylabel, yscale="log" if logarithmic else "linear")
    multipoles(axes)
    figure.legend(loc="outside right upper")
    return figure


@styled
def pixels(evaluation: Evaluation) -> Figure:
    """True against estimated κ in all pixels, with the mean truth at each estimate."""
    figure, axes = _single()
    edges, counts = evaluation.histogram.edges, evaluation.histogram.counts
    centres = evaluation.histogram.centres
    shown = np.ma.masked_equal(counts, 0)
    image = axes.pcolormesh(
        edges, edges, shown, cmap="Blues", norm=LogNorm(vmin=0.5), rasterized=True
    )
    figure.colorbar(image, ax=axes, label="pixels", pad=0.02)
    axes.plot(edges[[0, -1]], edges[[0, -1]], color=_THEORY, lw=1, label="truth = estimate")
    enough = counts.sum(axis=0) > 1e-4 * counts.sum()
    mean_truth = centres @ counts[:, enough] / counts[:, enough].sum(axis=0)
    axes.plot(centres[enough], mean_truth, "s", color=_ESTIMATE, ms=3.2, label="mean truth")
    axes.set(xlabel="estimated κ", ylabel="true κ", aspect="equal")
    axes.legend(loc="upper left")
    return figure


@styled
def history(columns: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Loss and map-level correlation, epoch by epoch."""
    figure = Figure(figsize=_SMALL, layout="constrained")
    loss, correlated = figure.subplots(2, 1, sharex=True)
    epochs = columns["epoch"]
    for axes, name in ((loss, "loss"), (correlated, "map_correlation")):
        axes.plot(epochs, columns[name], "o-", color=_TRUE, ms=3.5, label="training")
        axes.plot(
            epochs, columns[f"val_{name}"], "s--", color=_ESTIMATE, ms=3.5, label="validation"
        )
    best = int(np.argmin(columns["val_loss"]))
    for axes in (loss, correlated):
        axes.axvline(epochs[best], color=_RESIDUAL, lw=0.8, ls=":")
    loss.set(ylabel="loss")
    loss.legend()
    correlated.set(ylabel="map-level ρ", xlabel="epoch")
    correlated.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _single() -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SMALL, layout="constrained")
    return figure, figure.subplots()


def multipoles(axes: Axes) -> None:
    """Makes the x axis one of multipoles."""
    axes.set(xscale="log", xlabel="multipole L")
    axes.xaxis.set_major_formatter(LogFormatter(minor_thresholds=(2, 0.5)))  # 20, not 2 x 10^1
    axes.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    axes.xaxis.set_tick_params(which="minor", labelsize=8)


def _points(
    axes: Axes,
    ell: NDArray[np.float64],
    measured: Measured,
    colour: str,
    marker: str,
    label: str | None,
) -> None:
    axes.errorbar(
        ell, measured.value, measured.error, fmt=f"{marker}-", color=colour, lw=1, label=label
    )
