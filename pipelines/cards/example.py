"""The first test example of a dataset, as a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from estimators.reports import style
from lensing_tfds.config_fields.features import Feature
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import KAPPA, LENSED, SPLIT_MAPS, LensingConfig
from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.records.stored_dataset import StoredDataset
from lensing_tfds.sky import instrument, polarization
from pipelines.cards.drawing import CMB_COLOURS, KAPPA_COLOURS, drawn

_PANEL = 1.8  # inches


def first_example(stored: StoredDataset, split: str = "test") -> dict[str, NDArray[np.float32]]:
    """Reads the first example of a split.

    Returns:
      Its maps by feature, (npix, npix, channels).
    """
    (batch,) = evaluation_batches(stored, f"{split}[:1]", 1)
    return {name: values[0] for name, values in batch.items()}


def panels(
    example: Mapping[str, NDArray[np.float32]], config: LensingConfig
) -> dict[str, NDArray[np.floating]]:
    """Returns the maps that a card shows, by their titles.

    `lensed − unlensed` is what was done to the sky, and what was added; of the unlensed sky behind
    the taper and the mask.

    Args:
      example: the maps of one example.
      config: of its dataset.
    """
    window = instrument.taper_window(config.sky, config.taper)[..., None] * example.get(MASK, 1.0)
    difference = example["lensed"] - window * example["unlensed"]
    shown: dict[str, NDArray[np.floating]] = {}
    for number, channel in enumerate(config.channels):
        shown[f"{channel} lensed"] = example["lensed"][..., number]
        shown[f"{channel} lensed − unlensed"] = difference[..., number]
    if "Q" in config.channels:
        q, u = (config.sky.to_modes(np.array(shown[f"{c} lensed"], np.float64)) for c in "QU")
        e, b = (config.sky.to_map(modes) for modes in polarization.to_eb(q, u, config.sky))
        shown |= {"E lensed": e, "B lensed": b}
    if config.unlensed_E:
        shown["E unlensed"] = example["unlensed_E"][..., 0]
    shown["κ"] = example["kappa"][..., 0]
    return shown | {_title(extra): example[extra.name][..., 0] for extra in _extras(config)}


def _extras(config: LensingConfig) -> list[Feature]:
    """The maps of one channel that only some configs have."""
    usual = (LENSED, "unlensed", KAPPA, "unlensed_E", SPLIT_MAPS)
    return [one for one in config.features if one.channels is not None and one.name not in usual]


def _title(extra: Feature) -> str:
    return extra.name.replace("_", " ")


@drawn
def figure(example: Mapping[str, NDArray[np.float32]], config: LensingConfig) -> Figure:
    """Draws an example; maps of one kind share a colour scale, white at zero."""
    shown = panels(example, config)
    rows = _layout(config)
    limits = _limits(shown)
    size = (len(rows[0]) * (_PANEL + 0.45) + 0.5, len(rows) * (_PANEL + 0.3) + 0.3)
    drawing = Figure(figsize=size, layout="constrained")
    axes: dict[str, Axes] = drawing.subplot_mosaic(rows, empty_sentinel="")  # type: ignore[arg-type]
    units = {_title(extra): extra.unit for extra in _extras(config)} | {"κ": "dimensionless"}
    for title, panel in axes.items():
        unit = units.get(title, "µK")
        _show(panel, title, shown[title], limits[title], math.degrees(config.side), unit)
        is_first, is_last = (title in column for column in ([row[0] for row in rows], rows[-1]))
        panel.set(xlabel="degrees" if is_last else "", ylabel="degrees" if is_first else "")
        panel.tick_params(labelbottom=is_last, labelleft=is_first)
    return drawing


def _layout(config: LensingConfig) -> list[list[str]]:
    """Titles of the panels, row by row; "" is nothing."""
    extras = [_title(extra) for extra in _extras(config)]
    rows = [[title or (extras.pop(0) if extras else "") for title in row] for row in _usual(config)]
    width = len(rows[0])
    while extras:
        new, extras = extras[:width], extras[width:]
        rows.append(new + [""] * (width - len(new)))
    return rows


def _usual(config: LensingConfig) -> list[list[str]]:
    """The panels of every config, and where there is room."""
    rows = [[f"{c} lensed", f"{c} lensed − unlensed"] for c in config.channels]
    if config.stokes == "T":
        return [[*rows[0], "κ"]]
    *temperature, q, u = rows
    unlensed = "E unlensed" if config.unlensed_E else ""
    if temperature:
        return [[*temperature[0], "κ", ""], [*q, "E lensed", unlensed], [*u, "B lensed", ""]]
    return [[*q, "E lensed", unlensed], [*u, "B lensed", "κ"]]


def _limits(shown: dict[str, NDArray[np.floating]]) -> dict[str, float]:
    """Half the range of colours of each panel; Q, U and E are of a kind, B is much weaker."""
    groups: dict[str, list[str]] = {}
    for title in shown:
        component, _, what = title.partition(" ")
        polarized = component in "QUE"
        kind = f"QUE {'lensed − unlensed' in what}" if polarized else title
        groups.setdefault(kind, []).append(title)
    limits: dict[str, float] = {}
    for titles in groups.values():
        values = np.concatenate([shown[title].ravel() for title in titles])
        limits |= dict.fromkeys(titles, style.colour_limit(values))
    return limits


def _show(
    panel: Axes, title: str, values: NDArray[np.floating], limit: float, side: float, unit: str
) -> None:
    panel.set_title(title, fontweight="bold" if title == "κ" else "normal", fontsize=10.5)
    colours = KAPPA_COLOURS if title == "κ" else CMB_COLOURS
    image = style.show_map(panel, values, side, colours, limit)
    bar = panel.figure.colorbar(image, cax=panel.inset_axes((1.03, 0, 0.045, 1)))
    bar.ax.tick_params(labelsize=8)
    bar.ax.set_title("" if unit == "dimensionless" else unit, fontsize=8, loc="left")
