"""What the figures of a card have in common: their style, and small files."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from PIL import Image

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#000000")
"""Of lines: Okabe & Ito's palette, for colour-blind eyes."""

LINES = ("-", "--", "-.", ":")
"""Told apart in a grey print too."""

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#E4E4E4",
    "axes.axisbelow": True,
    "legend.frameon": False,
}
_DPI = 100

# Maps are noisy and do not compress: a file of them has few colours.
_LEVELS = 13
CMB_COLOURS = matplotlib.colormaps["RdBu_r"].resampled(_LEVELS)
KAPPA_COLOURS = matplotlib.colormaps["PuOr_r"].resampled(_LEVELS)
"""Diverging, light at zero: Brewer's, safe for colour-blind eyes."""

Arguments = ParamSpec("Arguments")


def drawn(draw: Callable[Arguments, Figure]) -> Callable[Arguments, bytes]:
    """Makes a function that draws a figure give a small PNG file."""

    @functools.wraps(draw)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> bytes:
        with matplotlib.rc_context(_STYLE):
            return _png(draw(*args, **kwargs))

    return wrapper


def label_multipoles(axes: Axes) -> None:
    """Makes the x axis logarithmic, with round numbers on it."""
    axes.set(xscale="log", xlabel="multipole")
    low, high = axes.get_xlim()
    ticks = [n * 10**power for power in range(6) for n in (1, 2, 5) if low <= n * 10**power <= high]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _png(figure: Figure) -> bytes:
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(_DPI)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    if any(axes.images for axes in figure.axes):
        image = image.quantize(palette=_palette(), dither=Image.Dither.NONE)
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _palette() -> Image.Image:
    """All colours of a figure of maps: theirs, and greys for text and its edges."""
    colours = [
        *(CMB_COLOURS(n) for n in range(_LEVELS)),
        *(KAPPA_COLOURS(n) for n in range(_LEVELS)),
        *((grey, grey, grey) for grey in np.linspace(0, 1, 16)),
    ]
    image = Image.new("P", (1, 1))
    image.putpalette([round(255 * part) for colour in colours for part in colour[:3]])
    return image
