"""The figures of a validation's page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from estimators.reports import style
from estimators.reports.style import Series, points
from pipelines.validation.outcome import Curve, Response

_SIZE = (5.6, 4.6)  # inches
_SIGMAS = 4.0  # that the residuals' axis shows at least


def powers(curves: Sequence[Curve]) -> Figure:
    """Auto-spectra over their theory, residuals in σ below."""
    return powers_in_columns([curves], _SIZE)


@style.styled
def powers_in_columns(columns: Sequence[Sequence[Curve]], size: tuple[float, float]) -> Figure:
    """The same, some of them in each column; size in inches."""
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(2, len(columns), sharex="col", squeeze=False, height_ratios=(2.4, 1))
    for above, below, curves in zip(*panels, columns, strict=True):
        kappa = all(curve.spectrum.first.feature == "kappa" for curve in curves)
        for curve, look, _ in _shown(curves):
            ell, measured, error, expected, sigmas = _tested(curve)
            factor = 1.0 if kappa else ell * (ell + 1) / (2 * np.pi)
            theory = Series(look.colour, "", "-" if curve.compared else "--")
            points(above, theory, ell, factor * expected)
            points(above, look, ell, factor * measured, factor * error, curve.spectrum.name, ms=4)
            if curve.compared:
                points(below, look, ell, sigmas, ms=4)
        above.set_ylabel(r"$C_\ell$" if kappa else r"$\ell(\ell+1)C_\ell/2\pi$  [µK²]")
        style.logarithmic(above)
        _finish(above, below, curves)
    return figure


@style.styled
def crosses(curves: Sequence[Curve]) -> Figure:
    """Cross-spectra as correlations, residuals in σ below."""
    figure, above, below = _two_panels()
    for curve, look, shift in _shown(curves):
        ell, measured, error, expected, sigmas = _tested(curve)
        scale = curve.scale[curve.tested]
        points(above, Series(look.colour, "", "-"), ell, expected / scale)
        points(above, look, ell * shift, measured / scale, error / scale, curve.spectrum.name, ms=4)
        if curve.compared:
            points(below, look, ell * shift, sigmas, ms=4)
    above.set_ylabel(r"correlation  $C^{XY}_\ell/\sqrt{C^{XX}_\ell C^{YY}_\ell}$")
    _finish(above, below, curves)
    return figure


@style.styled
def deviations(curves: Sequence[Curve]) -> Figure:
    """The relative deviation, measured / expected − 1, of auto-spectra, per cent."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    for curve, look, shift in _shown(curves):
        ell, _, error, _, _ = _tested(curve)
        relative, bars = curve.deviation[curve.tested], error / curve.scale[curve.tested]
        points(axes, look, ell * shift, 100 * relative, 100 * bars, curve.spectrum.name, ms=4)
    axes.axhline(0, color=style.GREY, lw=0.8)
    axes.set(ylabel="measured / theory − 1  [%]")
    style.legend(axes, fontsize=8)
    style.multipoles(axes, "ℓ")
    return figure


@style.styled
def nyquist(curves: Sequence[Curve]) -> Figure:
    """Power on the Nyquist row and column, relative to theory."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    for number, curve in enumerate(curves):
        ratio, error = (values / curve.expected for values in (curve.measured, curve.error))
        for offset, line, name in ((-0.12, 0, "row"), (0.12, 1, "column")):
            look = style.series(line)._replace(line="", filled=curve.compared)
            label = name if number == 0 else ""
            points(axes, look, [number + offset], ratio[[line]], error[[line]], label)
    axes.axhline(1, color=style.GREY, lw=0.8)
    names = [curve.spectrum.name.removesuffix(", Nyquist") for curve in curves]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set(ylabel="measured / theory")
    style.legend(axes, fontsize=8)
    return figure


@style.styled
def responses(found: Sequence[Response], tolerance: float) -> Figure:
    """Response of the quadratic estimates to κ, with what is tolerated."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.axhspan(1 - tolerance, 1 + tolerance, color="#EAF2F8", zorder=0)
    axes.axhline(1, color=style.GREY, lw=0.8)
    for number, response in enumerate(found):
        low, high = response.limits
        middle = np.sqrt(low * high)
        points(
            axes,
            style.series(number)._replace(line=""),
            middle * (1 + 0.03 * number),
            response.value,
            response.error,
            response.pair,
            xerr=[middle - low, high - middle],
        )
    axes.set(ylabel=r"$\langle\hat\kappa\kappa^*\rangle / \langle|\kappa|^2\rangle$")
    style.legend(axes)
    style.multipoles(axes)
    return figure


@style.styled
def overview(curves: Sequence[Curve]) -> Figure:
    """Every spectrum's residuals in one picture: a row each, colours from −4 σ to 4 σ."""
    curves = [c for c in curves if not c.spectrum.nyquist and c.compared and c.tested.any()]
    figure = Figure(figsize=(11.4, 1.6 + 0.27 * len(curves)), layout="constrained")
    axes = figure.subplots()
    if not curves:
        style.nothing(axes)
        return figure
    longest = max(curves, key=lambda curve: len(curve.ell))
    table = np.full((len(curves), len(longest.ell)), np.nan)
    for row, curve in enumerate(curves):
        table[row, : len(curve.ell)] = np.where(curve.tested, style.finite(curve.sigmas), np.nan)
    image = axes.imshow(table, cmap=style.KAPPA_MAP, vmin=-_SIGMAS, vmax=_SIGMAS, aspect="auto")
    axes.grid(visible=False)
    axes.set_facecolor("#D8D8D8")
    axes.set_yticks(range(len(curves)), [c.spectrum.name for c in curves])
    marked = range(0, len(longest.ell), 2)
    axes.set_xticks(marked, [f"{longest.ell[number]:.0f}" for number in marked])
    axes.set(xlabel="mean multipole of the bin")
    figure.colorbar(image, ax=axes, label="(measured − theory) / σ", pad=0.01)
    return figure


def _two_panels() -> tuple[Figure, Axes, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1))
    return figure, above, below


def _shown(curves: Sequence[Curve]) -> Iterator[tuple[Curve, Series, float]]:
    """Each curve with its look, and its factor on ℓ."""
    for number, (curve, shift) in enumerate(zip(curves, style.spread(len(curves)), strict=True)):
        yield curve, style.series(number)._replace(line="", filled=curve.compared), shift


def _tested(curve: Curve) -> tuple[NDArray[np.float64], ...]:
    """Multipoles, measured power, its error, expected power and σ of the bins that are tested."""
    values = (curve.ell, curve.measured, curve.error, curve.expected, curve.sigmas)
    return tuple(value[curve.tested] for value in values)


def _finish(above: Axes, below: Axes, curves: Sequence[Curve]) -> None:
    style.legend(above, fontsize=8)
    compared = [np.abs(style.finite(c.sigmas[c.tested])) for c in curves if c.compared]
    if compared:
        limit = max(_SIGMAS, 1.1 * float(np.nanmax(np.concatenate([[0.0], *compared]))))
        below.axhspan(-1, 1, color="#EEEEEE", zorder=0)
        below.axhline(0, color=style.GREY, lw=0.8)
        below.set(ylabel="residual  [σ]", ylim=(-limit, limit))
    else:
        style.nothing(below, "not compared")
    style.multipoles(above, "ℓ")
    above.set_xlabel("")
    below.set_xlabel("multipole ℓ")
