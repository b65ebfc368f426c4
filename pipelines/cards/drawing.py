"""Figures of cards as small files."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import ParamSpec

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from estimators.reports import style

_DPI = 100

# Maps are noisy and do not compress: a file of them has few colours.
_LEVELS = 13
CMB_COLOURS = matplotlib.colormaps[style.TEMPERATURE_MAP].resampled(_LEVELS)
KAPPA_COLOURS = matplotlib.colormaps[style.KAPPA_MAP].resampled(_LEVELS)
Arguments = ParamSpec("Arguments")


def drawn(draw: Callable[Arguments, Figure]) -> Callable[Arguments, bytes]:
    """Makes a function that draws a figure give a small PNG file."""

    @functools.wraps(draw)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> bytes:
        return _png(style.styled(draw)(*args, **kwargs))

    return wrapper


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
