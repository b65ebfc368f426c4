"""The look of every figure: palette, axes, and data of any kind made fit to draw.

Needs Matplotlib and nothing of the judge's, so that every package's pages can use it.
"""

from __future__ import annotations

import functools
import io
import itertools
import math
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

# Okabe & Ito's palette for colour-blind eyes, without its yellow, too light for a line.
BLUE, VERMILION, GREEN, PURPLE, SKY_BLUE, ORANGE, BLACK = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"),
    "#000000",
)
GREY, PALE = "#6E6E6E", "#E4E4E4"

TEMPERATURE_MAP, KAPPA_MAP = "RdBu_r", "PuOr_r"
"""Diverging, light at zero: Brewer's, safe for colour-blind eyes."""

SMALL, WIDE = (5.6, 3.9), (11.4, 4.4)
"""Sizes of figures in inches: one of a pair, and across the page."""

_COLOURS = (VERMILION, BLUE, GREEN, PURPLE, SKY_BLUE, ORANGE, BLACK)
_MARKERS = "so^DvPXd"
_LINES = ("-", "--", "-.", ":")
_LARGEST = 1e30  # of numbers that are drawn: beyond it an axis's arithmetic overflows
_LONGEST = 40  # characters of a label

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # Matplotlib's own: the same figure everywhere
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": PALE,
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "errorbar.capsize": 2.5,
    "svg.hashsalt": "lensing-tfds",  # the same figure, the same bytes
}

Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Lets a function draw in the style of all the project's figures."""

    @functools.wraps(draw)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        # What divides by zero or overflows is NaN or infinite, and not drawn.
        with matplotlib.rc_context(_RC), np.errstate(all="ignore"):
            return draw(*args, **kwargs)

    return wrapper


def save(figure: Figure, kind: str, dpi: int = 130) -> bytes:
    """Returns a figure as a file: "svg", "png" or "pdf"; equal figures give equal bytes."""
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    with matplotlib.rc_context(_RC):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=undated.get(kind))
    return buffer.getvalue()


class Series(NamedTuple):
    """The look of a curve."""

    colour: str
    marker: str
    line: str = "-"
    filled: bool = True


def series(number: int) -> Series:
    """Returns the look of a figure's curve by its place, from 0 on.

    No two of the first 56 look the same, with or without their lines, and no two of the first
    seven in a grey print.
    """
    rounds, place = divmod(number, len(_COLOURS))
    marker = _MARKERS[(place + rounds) % len(_MARKERS)]
    return Series(_COLOURS[place], marker, _LINES[rounds % len(_LINES)])


def finite(values: ArrayLike) -> NDArray[np.float64]:
    """Returns numbers as they can be drawn: NaN for what is not finite, or absurdly large."""
    numbers = np.array(values, np.float64)
    numbers[~(np.abs(numbers) < _LARGEST)] = np.nan
    return numbers


def literal(text: str) -> str:
    """Returns text that Matplotlib shows as it is, whatever a folder is called, in one short line.

    Without this "$" begins a formula, a leading "_" hides a curve from the legend, a long name
    leaves no room for the figure, and letters that the font lacks are warned of.
    """
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    shown = "".join(
        character if font.get_char_index(ord(character)) else "\N{WHITE SQUARE}"
        for character in (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    )
    if len(shown) > _LONGEST:
        half = _LONGEST // 2
        shown = f"{shown[: half - 1]}…{shown[-half:]}"
    return (" " if shown.startswith("_") else "") + shown.replace("$", r"\$") or "(no name)"


def spread(count: int) -> NDArray[np.float64]:
    """Returns a factor on the multipoles of each curve, so that error bars do not hide others."""
    return np.exp(np.linspace(-1, 1, count) * min(0.004 * (count - 1), 0.015))


def labels(names: Sequence[str]) -> list[str]:
    """Returns `literal` names for a legend, numbered from 1 if they would not be told apart."""
    shown = [literal(name) for name in names]
    if len(set(shown)) < len(shown):
        return [f"{number}: {name}" for number, name in enumerate(shown, start=1)]
    return shown


def points(
    axes: Axes,
    look: Series,
    x: ArrayLike,
    values: ArrayLike,
    error: ArrayLike | None = None,
    label: str = "",
    **style: Any,
) -> None:
    """Draws a curve with error bars; what is not finite is left out.

    Args:
      axes: where.
      look: its colour, marker and line; either of the latter two may be "".
      x: (n,), like the next two.
      values: numbers of any kind.
      error: their standard errors.
      label: for the legend, already `literal` or our own.
      style: of Matplotlib's `errorbar`, instead of ours.
    """
    bars = None
    if error is not None:
        bars = finite(error)
        bars[~(bars >= 0)] = np.nan
    defaults: dict[str, Any] = {
        "fmt": f"{look.marker}{look.line}" or "none",
        "color": look.colour,
        "mfc": look.colour if look.filled else "white",
        "lw": 1,
    }
    axes.errorbar(finite(x), finite(values), bars, label=label or None, **(defaults | style))


def logarithmic(axes: Axes) -> None:
    """Makes the y axis logarithmic, if anything that was drawn is above zero."""
    if math.isfinite(axes.dataLim.minposy):
        axes.set_yscale("log")


def multipoles(axes: Axes, symbol: str = "L") -> None:
    """Makes the x axis one of multipoles; says so where nothing could be drawn over them.

    Args:
      axes: with all their curves.
      symbol: "L" for κ's multipoles, "ℓ" for the CMB's.
    """
    axes.set_xlabel(f"multipole {symbol}")
    if not math.isfinite(axes.dataLim.minposx):
        nothing(axes)
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(_RoundNumbers())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))


def bounded(axes: Axes, low: tuple[float, float], high: tuple[float, float]) -> None:
    """Sets the y axis's ends to those of the data, each within a range."""
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(max(bottom, low[0]), low[1]), min(max(top, high[0]), high[1]))


def nothing(axes: Axes, words: str = "nothing to draw") -> None:
    """Says why axes are empty."""
    middle: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, words, color=GREY, **middle)
    axes.set(xticks=[], yticks=[])


def legend(axes: Axes, **options: Any) -> None:
    """Draws the legend, if there is anything to name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**options)


def whole_numbers(axes: Axes) -> None:
    """Marks the x axis, of epochs or trials, at whole numbers only, even if there is but one."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def colour_limit(values: ArrayLike) -> float:
    """Returns the value at the end of a map's colours, which are white at zero."""
    numbers = np.abs(finite(values))
    known = numbers[np.isfinite(numbers)]
    return (float(np.percentile(known, 99.7)) if known.size else 0.0) or 1.0


def show_map(axes: Axes, values: ArrayLike, side: float, colours: Any, limit: float) -> AxesImage:
    """Draws a map of a patch, zero in the middle of the colours.

    Args:
      axes: where.
      values: (npix, npix).
      side: of the patch, degrees.
      colours: Matplotlib's colour map.
      limit: the value at the end of the colours.
    """
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    return axes.imshow(
        finite(values),
        cmap=colours,
        vmin=-limit,
        vmax=limit,
        origin="lower",
        extent=(0, side, 0, side),
        interpolation="nearest",
    )


def colour_bar(axes: Axes, image: AxesImage, label: str = "") -> None:
    """Draws a colour bar beside a map, exactly as high."""
    figure: Any = axes.figure
    figure.colorbar(image, cax=axes.inset_axes((1.04, 0, 0.05, 1)), label=label)


def single() -> tuple[Figure, Axes]:
    """Returns a figure of one of a pair, and its only axes."""
    figure = Figure(figsize=SMALL, layout="constrained")
    return figure, figure.subplots()


class _RoundNumbers(Locator):
    """Ticks of a logarithmic axis at 1, 2, 5, 10, ...; at more numbers where it is short."""

    def __call__(self) -> Sequence[float]:
        low, high = self.axis.get_view_interval()  # type: ignore[union-attr]
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        low, high = sorted((vmin, vmax))
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digits in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
            every = (d * 10.0**power for power, d in itertools.product(powers, digits))
            ticks = [tick for tick in every if low <= tick <= high]
            if len(ticks) >= 3:
                return ticks[:: math.ceil(len(ticks) / 12)]
        return [t for t in MaxNLocator(4).tick_values(low, high) if low <= t <= high]
