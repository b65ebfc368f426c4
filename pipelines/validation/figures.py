"""The figures of a validation's report, in the style of the trainer's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from estimators.reports.figures import multipoles, styled
from pipelines.validation.outcome import Curve, Response

# Okabe & Ito's palette, without its yellow; markers tell the curves apart in a grey print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
_MARKERS = "os^Dv*"
_THEORY = "#6E6E6E"
_SIZE = (5.6, 4.6)  # inches
_SIGMAS = 4.0  # that the residuals' axis shows at least


@styled
def powers(curves: Sequence[Curve]) -> Figure:
    """Auto-spectra over their theory, residuals in σ below."""
    figure, (above, below) = _two_panels()
    for number, curve in enumerate(curves):
        colour, marker = _COLOURS[number % 6], _MARKERS[number % 6]
        shown = curve.tested
        to_d = (curve.ell * (curve.ell + 1) / (2 * np.pi))[shown]
        if curve.spectrum.first.feature == "kappa":
            to_d = np.ones_like(to_d)
        theory = "--" if not curve.compared else "-"
        above.plot(curve.ell[shown], to_d * curve.expected[shown], theory, color=colour, lw=1)
        above.errorbar(
            curve.ell[shown],
            to_d * curve.measured[shown],
            to_d * curve.error[shown],
            fmt=marker,
            color=colour,
            ms=4,
            label=curve.spectrum.name,
        )
        if curve.compared:
            below.plot(curve.ell[shown], curve.sigmas[shown], marker, color=colour, ms=4)
    kappa = curves[0].spectrum.first.feature == "kappa"
    above.set(yscale="log", ylabel=r"$C_\ell$" if kappa else r"$\ell(\ell+1)C_\ell/2\pi$  [µK²]")
    above.legend(fontsize=8)
    _finish(below, curves)
    return figure


@styled
def crosses(curves: Sequence[Curve]) -> Figure:
    """Cross-spectra as correlations, residuals in σ below."""
    figure, (above, below) = _two_panels()
    for number, curve in enumerate(curves):
        colour, marker = _COLOURS[number % 6], _MARKERS[number % 6]
        shown = curve.tested
        ell, scale = curve.ell[shown], curve.scale[shown]
        # Side by side, where they would hide each other.
        ell = ell * (1 + 0.008 * (number - (len(curves) - 1) / 2))
        above.plot(curve.ell[shown], curve.expected[shown] / scale, "-", color=colour, lw=1)
        above.errorbar(
            ell,
            curve.measured[shown] / scale,
            curve.error[shown] / scale,
            fmt=marker,
            color=colour,
            ms=4,
            label=curve.spectrum.name,
        )
        if curve.compared:
            below.plot(ell, curve.sigmas[shown], marker, color=colour, ms=4)
    above.set(ylabel=r"correlation  $C^{XY}_\ell/\sqrt{C^{XX}_\ell C^{YY}_\ell}$")
    above.legend(fontsize=8)
    _finish(below, curves)
    return figure


@styled
def deviations(curves: Sequence[Curve]) -> Figure:
    """The relative deviation, measured / expected − 1, of auto-spectra, per cent."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    for number, curve in enumerate(curves):
        shown = curve.tested
        ell = curve.ell[shown] * (1 + 0.008 * (number - (len(curves) - 1) / 2))
        axes.errorbar(
            ell,
            100 * curve.deviation[shown],
            100 * (curve.error / np.where(curve.scale > 0, curve.scale, 1))[shown],
            fmt=_MARKERS[number % 6],
            color=_COLOURS[number % 6],
            ms=4,
            label=curve.spectrum.name,
        )
    axes.axhline(0, color=_THEORY, lw=0.8)
    axes.set(ylabel="measured / theory − 1  [%]")
    multipoles(axes)
    axes.legend(fontsize=8)
    return figure


@styled
def nyquist(curves: Sequence[Curve]) -> Figure:
    """Power on the Nyquist row and column, relative to theory."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    for number, curve in enumerate(curves):
        ratio = curve.measured / curve.expected
        error = curve.error / curve.expected
        for offset, line, marker in ((-0.12, 0, "o"), (0.12, 1, "s")):
            axes.errorbar(
                number + offset,
                ratio[line],
                error[line],
                fmt=marker,
                color=_COLOURS[line],
                mfc=_COLOURS[line] if curve.compared else "white",
                label=("row", "column")[line] if number == 0 else None,
            )
    axes.axhline(1, color=_THEORY, lw=0.8)
    names = [curve.spectrum.name.removesuffix(", Nyquist") for curve in curves]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set(ylabel="measured / theory")
    axes.legend(fontsize=8)
    return figure


@styled
def responses(found: Sequence[Response], tolerance: float) -> Figure:
    """Response of the quadratic estimates to κ, with what is tolerated."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.axhspan(1 - tolerance, 1 + tolerance, color="#EAF2F8", zorder=0)
    axes.axhline(1, color=_THEORY, lw=0.8)
    for number, response in enumerate(found):
        low, high = response.limits
        middle = np.sqrt(low * high)
        axes.errorbar(
            middle * (1 + 0.03 * number),
            response.value,
            response.error,
            xerr=[middle - low, high - middle],
            fmt=_MARKERS[number],
            color=_COLOURS[number],
            label=response.pair,
        )
    axes.set(ylabel=r"$\langle\hat\kappa\kappa^*\rangle / \langle|\kappa|^2\rangle$")
    multipoles(axes)
    axes.legend()
    return figure


@styled
def overview(curves: Sequence[Curve]) -> Figure:
    """Every spectrum's residuals in one picture: a row each, colours from −4 σ to 4 σ."""
    curves = [c for c in curves if not c.spectrum.nyquist and c.compared and c.tested.any()]
    table = np.full((len(curves), max(len(c.ell) for c in curves)), np.nan)
    for row, curve in enumerate(curves):
        table[row, : len(curve.ell)] = np.where(curve.tested, curve.sigmas, np.nan)
    figure = Figure(figsize=(11.4, 1.6 + 0.27 * len(curves)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(table, cmap="PuOr_r", vmin=-_SIGMAS, vmax=_SIGMAS, aspect="auto")
    axes.grid(visible=False)
    axes.set_facecolor("#D8D8D8")
    axes.set_yticks(range(len(curves)), [c.spectrum.name for c in curves])
    shown = range(0, table.shape[1], 2)
    axes.set_xticks(shown, [f"{curves[0].ell[number]:.0f}" for number in shown])
    axes.set(xlabel="mean multipole of the bin")
    figure.colorbar(image, ax=axes, label="(measured − theory) / σ", pad=0.01)
    return figure


def _two_panels() -> tuple[Figure, tuple[Axes, Axes]]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1))
    return figure, (above, below)


def _finish(residuals: Axes, curves: Sequence[Curve]) -> None:
    residuals.axhspan(-1, 1, color="#EEEEEE", zorder=0)
    residuals.axhline(0, color=_THEORY, lw=0.8)
    largest = max(
        (float(np.abs(c.sigmas[c.tested]).max()) for c in curves if c.compared and c.tested.any()),
        default=0,
    )
    limit = max(_SIGMAS, 1.1 * largest)
    residuals.set(ylabel="residual  [σ]", ylim=(-limit, limit))
    multipoles(residuals)
