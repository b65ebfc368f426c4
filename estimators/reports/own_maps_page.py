"""The page and the picture of κ estimated from own maps."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from estimators.own_maps.likeness import ESTIMATE
from estimators.own_maps.reconstruction import Reconstruction
from estimators.reports import page, style
from estimators.reports.page import Html, element
from estimators.reports.style import Series, points
from estimators.uncertainty import rings_of
from lensing_tfds import realism
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.records import storage
from lensing_tfds.records.storage import replacing

_SHOWN = 3  # patches
_RATIOS = (0.3, 3.0)  # beyond which they are drawn logarithmically

_MAPS = (
    "The observed map and the estimate of κ, the pixels in the file's order, white at zero. The "
    "estimate holds the scales that the maps tell of: it is smoother than κ."
)
_SPECTRA = (
    "The estimate's power beside that of estimates from simulated skies; the estimate has less "
    "than κ (black), because it leaves out what the maps do not tell. Where the errors (grey) "
    "reach κ, nothing is known of it."
)
_LIKENESS = (
    "The power of the maps and of the estimate in that of simulated skies. Error bars are the "
    "scatter of such skies. Bands beyond it say that the maps are of another kind: other noise, "
    "another beam, foregrounds, edges."
)
_AS_SIMULATED = (
    "In every band the maps have the power of the skies that the estimator was made for, within "
    "its scatter."
)
_OTHERWISE = (
    "The maps are not like the skies that the estimator was made for. Its estimate, its errors and "
    "its correlation with κ rest on such skies, and hold less the more the maps differ."
)
_ASSUMED = (
    "The skies that the estimator was made for are simulated, and simpler than the real one. Where "
    "that hardly changes the power of maps, the comparison above does not see it."
)


def write(output: Path, model: str, found: Reconstruction) -> Path:
    """Writes a picture and a page beside the file of κ.

    Args:
      output: that file.
      model: as it was asked for.
      found: what it estimated.

    Returns:
      The page's path.

    Raises:
      LensingError: a file cannot be written.
    """
    picture = style.save(maps(found), "png")
    path, beside = _beside(output)
    files = {beside: picture, path: render(picture, model, found).encode()}
    for name, content in files.items():
        with replacing(name) as temporary:
            temporary.write_bytes(content)
    return path


def remove(output: Path) -> None:
    """Removes the page and the picture beside a file of κ, if they are there."""
    for path in _beside(output):
        storage.remove(str(path))


def _beside(output: Path) -> tuple[Path, Path]:
    """Names the page and the picture beside a file of κ."""
    stem = output.name.partition(".")[0] if output.name.endswith(".gz") else output.stem
    return output.with_name(f"{stem}.html"), output.with_name(f"{stem}.png")


def summary(found: Reconstruction) -> str:
    """Returns the result in a few lines of text."""
    lines = [
        f"{found.own.path}: {_patches(found)}; the model is for skies of "
        f"lensing/{found.likeness.config.name}",
        f"on {found.likeness.simulated.number} simulated ones its map-level correlation with κ is "
        f"{found.correlation:.3f}; its error is {found.errors.pixel_std:.3g} a pixel "
        f"({found.errors_basis})",
        *(f"warning: {line}" for line in found.likeness.warnings),
    ]
    return "\n".join(lines)


def _patches(found: Reconstruction) -> str:
    return f"{len(found.kappa):,} {'patch' if len(found.kappa) == 1 else 'patches'}"


def render(picture: bytes, model: str, found: Reconstruction) -> str:
    """Returns the page.

    Args:
      picture: `maps`, as PNG.
      model: as it was asked for.
      found: what it estimated.
    """
    config, count = found.likeness.config, len(found.kappa)
    warned = found.likeness.warnings
    listed = [element("p", line) for line in warned]
    others = f", the first {_SHOWN} of {count}" if count > _SHOWN else ""
    return page.document(
        f"κ from {found.own.path.name}",
        page.head(
            f"κ from {found.own.path.name}",
            f"The convergence κ, the projected matter that lensed these maps of the cosmic "
            f"microwave background, as {found.estimator.label} estimates it.",
        ),
        page.tiles(
            [
                (f"{count:,}", _patches(found).partition(" ")[2]),
                (f"{found.correlation:.3f}", "correlation with κ, of simulated skies"),
                (f"{found.kappa.std():.3g}", "rms of the estimate"),
                (f"{found.errors.pixel_std:.3g}", "error of a pixel, standard deviation"),
            ]
        ),
        page.section(
            "Are they the maps it was made for?",
            page.card(element("p", _OTHERWISE if warned else _AS_SIMULATED), *listed),
        ),
        page.section(
            "The maps", page.figure(f"Maps{others}", picture, _MAPS, head=bool(others), wide=True)
        ),
        page.section(
            "The spectra",
            page.beside(
                page.figure("Power of the estimate", spectra(found), _SPECTRA),
                page.figure("Maps beside simulated ones", powers(found), _LIKENESS),
            ),
        ),
        page.section("What it rests on", _basis(model, found)),
        page.section(
            "What is taken for granted",
            page.card(
                element("p", _ASSUMED),
                *(element("p", departure.text) for departure in realism.departures(config)),
                *(element("p", left_out.text) for left_out in realism.idealisations(config)),
            ),
        ),
    )


def _basis(model: str, found: Reconstruction) -> Html:
    config = found.likeness.config
    rows: list[tuple[str, object]] = [
        ("Maps", str(found.own.path)),
        *found.own.notes,
        ("Model", model),
        ("Estimator", found.estimator.label),
        ("Basis", found.estimator.basis or None),
        ("Errors", found.errors_basis),
        ("Made for", f"lensing/{config.name}"),
        ("Stokes parameters", ", ".join(config.channels)),
        ("Patch", f"{config.npix} × {config.npix} pixels of {config.pixel_arcmin:.4g}′"),
        ("Beam", f"{config.beam_arcmin:g}′"),
        ("Noise", f"{config.noise_uK_arcmin:g} µK′ in T, √2 times it in Q and U"),
    ]
    return page.settings(rows)


@style.styled
def maps(found: Reconstruction) -> Figure:
    """The observed maps, a column a Stokes parameter, and estimated κ; a patch a row."""
    config, own = found.likeness.config, found.own
    rows, channels = min(_SHOWN, len(found.kappa)), config.channels
    figure = Figure(figsize=(3.8 * (len(channels) + 1), 3.05 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, len(channels) + 1, sharex=True, sharey=True, squeeze=False)
    side = math.degrees(config.side)
    limit = style.colour_limit(found.kappa[:rows])
    for row in range(rows):
        for axes, place, channel in zip(grid[row], range(len(channels)), channels, strict=False):
            values = own.in_file_order(own.maps[row, ..., place])
            image = style.show_map(
                axes, values, side, style.TEMPERATURE_MAP, style.colour_limit(values)
            )
            style.colour_bar(axes, image)
            axes.set_title(f"{channel}, observed, µK")
        image = style.show_map(
            grid[row, -1], own.in_file_order(found.kappa[row]), side, style.KAPPA_MAP, limit
        )
        style.colour_bar(grid[row, -1], image)
        grid[row, -1].set_title("κ, estimated")
        grid[row, 0].set_ylabel(f"patch {row}\ndegrees")
    for axes in grid[-1]:
        axes.set_xlabel("degrees")
    return figure


@style.styled
def spectra(found: Reconstruction) -> Figure:
    """The estimate's spectrum, that of simulated estimates, of the errors, and κ's."""
    figure, axes = style.single()
    likeness = found.likeness
    bands, config = likeness.bands, likeness.config
    own, known = (s.power[ESTIMATE] for s in (likeness.own, likeness.simulated))
    theory = bands.average(kappa_power(config, found.theory, config.sky.ell))
    errors = bands.average(rings_of(config.sky).spread(found.errors.power))
    points(axes, Series(style.BLACK, ""), bands.ell, theory, None, "κ, theory")
    points(axes, Series(style.GREY, "^"), bands.ell, errors, None, "errors")
    points(
        axes, Series(style.BLUE, "o"), bands.ell, known.mean(axis=0), None, "simulated estimates"
    )
    scatter = known.std(axis=0) / math.sqrt(len(own))
    points(axes, Series(style.VERMILION, "s"), bands.ell, own.mean(axis=0), scatter, "estimate")
    axes.set(ylabel=r"$C_L^{\kappa\kappa}$")
    style.logarithmic(axes)
    style.legend(axes)
    style.multipoles(axes)
    return figure


@style.styled
def powers(found: Reconstruction) -> Figure:
    """Each field's power in that of simulated skies."""
    figure, axes = style.single()
    likeness = found.likeness
    names = list(likeness.own.power)
    for place, (name, shift) in enumerate(zip(names, style.spread(len(names)), strict=True)):
        known = likeness.simulated.power[name]
        error = known.std(axis=0) / known.mean(axis=0) / math.sqrt(len(found.kappa))
        look = style.series(place)._replace(line="")
        points(axes, look, likeness.bands.ell * shift, likeness.ratio(name), error, name)
    axes.axhline(1, color=style.BLACK, lw=0.8)
    axes.set(ylabel="power, simulated = 1")
    ratios = np.concatenate([likeness.ratio(name) for name in names])
    if not (_RATIOS[0] < ratios.min() and ratios.max() < _RATIOS[1]):
        style.logarithmic(axes)
    style.legend(axes)
    style.multipoles(axes)
    return figure
