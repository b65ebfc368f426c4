"""Figures of the pages on what is lensed and what is judged (docs/lensing.md, docs/judging.md).

    python -m benchmarks.concepts --folder docs      # lensing.png, judging.png

Nothing in them is drawn by hand: skies are simulated, and estimated by the package's estimators.
"""

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import trainer
from estimators.ensemble import SkyEnsemble
from estimators.power_spectra import choose_bands, measure
from estimators.quadratic.fields import fields_of
from estimators.quadratic.wiener import expected_correlation
from estimators.references import quadratic_references
from estimators.reports import style
from estimators.skill import Skill, SkillMeter
from lensing_tfds import VERSIONS, LensingConfig, simulate
from lensing_tfds.sky import lensing, polarization
from lensing_tfds.sky.binning import Bins

_ARROWS = 12  # pixels between two
_LARGE_SCALES = 1000  # κ below this multipole is shown: most of its variance is far above
_POLARIZATION = 12.0  # µK, the colours' end, of E; B is ten times weaker
_ROOM = 100.0  # by which the spectra' axis goes on below, for the legend


def main(argv: Sequence[str] | None = None) -> None:
    """Draws both figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.concepts", description=__doc__)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="where to draw them")
    parser.add_argument("--skies", type=int, default=48, help="to measure spectra of [48]")
    flags = parser.parse_args(argv)
    for name, figure in (
        ("lensing", lensing_figure(VERSIONS["v10"], flags.skies)),
        ("judging", judging_figure("v11", flags.skies)),
    ):
        (flags.folder / f"{name}.png").write_bytes(style.save(figure, "png", dpi=90))


@style.styled
def lensing_figure(config: LensingConfig, skies: int) -> Figure:
    """Draws the first test example before and after lensing, without noise, and mean spectra.

    Args:
      config: of T, Q and U.
      skies: whose spectra are averaged.
    """
    quiet = dataclasses.replace(config.without_noise(), name="quiet")
    sky, side = config.sky, float(np.degrees(config.side))
    maps = simulate(quiet, "test", range(skies))
    before, after = (maps[name] for name in ("unlensed", "lensed"))
    kappa = maps["kappa"][0, ..., 0]

    figure = Figure(figsize=(11.4, 7.6), layout="constrained")
    axes = figure.subplots(2, 3)
    limit = style.colour_limit(before[0, ..., 0])
    _map(axes[0, 0], before[0, ..., 0], side, "T before lensing, µK", limit)
    shown = sky.to_map(sky.to_modes(kappa) * (sky.ell < _LARGE_SCALES))
    title = f"κ at L < {_LARGE_SCALES:,}, and where light comes from"
    limit = style.colour_limit(shown)
    _map(axes[0, 1], shown, side, title, limit, colours=style.KAPPA_MAP)
    _arrows(axes[0, 1], *lensing.deflection_from_kappa(sky.to_modes(kappa), sky), side)
    difference = after[0, ..., 0] - before[0, ..., 0]
    _map(axes[0, 2], difference, side, "T: lensed − unlensed, µK", style.colour_limit(difference))

    eb = {name: _eb(maps[name], config) for name in ("unlensed", "lensed")}
    _map(axes[1, 0], eb["lensed"][0][0], side, "E of the lensed map, µK", _POLARIZATION)
    _map(axes[1, 1], eb["lensed"][1][0], side, "B of the lensed map, µK", _POLARIZATION / 10)
    bands = choose_bands(sky)
    for name, fields, colour in (
        ("TT", [before[..., 0], after[..., 0]], style.VERMILION),
        ("EE", [eb["unlensed"][0], eb["lensed"][0]], style.BLUE),
        ("BB", [None, eb["lensed"][1]], style.GREEN),
    ):
        for field, line in zip(fields, ("--", "-"), strict=True):
            if field is not None:
                power = measure(field, field, bands).first.mean(axis=0)
                scaled = power * bands.ell * (bands.ell + 1) / (2 * np.pi)
                label = f"{name}, lensed" if line == "-" else f"{name}, unlensed"
                axes[1, 2].loglog(bands.ell, scaled, line, color=colour, label=label)
    axes[1, 2].set(xlabel="multipole l", title="l(l+1) C_l / 2π, through the beam, µK²")
    axes[1, 2].set_box_aspect(1)
    low, high = axes[1, 2].get_ylim()
    axes[1, 2].set_ylim(low / _ROOM, high)
    style.legend(axes[1, 2], fontsize=8, loc="lower left", ncols=2)
    return figure


@style.styled
def judging_figure(version: str, skies: int) -> Figure:
    """Draws signal and noise, ρ_L and the response of the estimators that come with the package.

    Args:
      version: of Q and U, whose iterated estimator comes with the package.
      skies: of the test split, that are estimated.
    """
    config = VERSIONS[version]
    ensemble = SkyEnsemble.of(config)
    signal, forecasts = ensemble.kappa_power, ensemble.forecasts
    # Rings wide enough for a smooth line.
    rings = Bins.fundamental(config.sky, fewest=16)
    quadratic = next(
        e for e in quadratic_references(ensemble, lambda: (), "") if e.name.endswith("mv_wiener")
    )
    examples = simulate(config, "test", range(skies))
    staged = trainer.pretrained(f"lensing/{version}").staged
    fields = fields_of(examples["lensed"], config.channels, config.sky)
    iterated = config.sky.to_map(staged.kappa(fields))
    scores = {
        "quadratic": _score(
            quadratic.kappa(examples["lensed"], examples["index"]), examples, ensemble
        ),
        "iterated": _score(iterated, examples, ensemble),
    }
    lines = {"quadratic": forecasts[0], "iterated": forecasts[-1]}
    colours = {"quadratic": style.VERMILION, "iterated": style.BLUE}

    figure = Figure(figsize=style.WIDE, layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.loglog(rings.ell, rings.mean(signal), color=style.BLACK, label="κ")
    for name, forecast in lines.items():
        noise = np.where(np.isfinite(forecast.noise), forecast.noise, np.nan)
        left.loglog(rings.ell, rings.mean(noise), color=colours[name], label=f"noise, {name}")
        rho = rings.mean(expected_correlation(signal, forecast.noise))
        middle.semilogx(rings.ell, rho, color=colours[name])
        right.semilogx(rings.ell, rho**2, color=colours[name])
        skill = scores[name]
        for axes, measured in ((middle, skill.rho_ell), (right, skill.transfer_ell)):
            axes.errorbar(
                *(skill.bands.ell, *measured),
                **{"fmt": "o", "color": colours[name], "label": f"{name}, measured"},
            )
    left.set(xlabel="L", title="C_L")
    middle.set(xlabel="L", title="ρ_L, and what theory forecasts", ylim=(0, 1.02))
    right.set(xlabel="L", title="response T_L; the lines are ρ_L²", ylim=(0, 1.02))
    style.legend(left)
    style.legend(middle)
    return figure


def _map(
    axes: Axes, values: NDArray, side: float, title: str, limit: float, colours: str | None = None
) -> None:
    image = style.show_map(axes, values, side, colours or style.TEMPERATURE_MAP, limit)
    style.colour_bar(axes, image)
    axes.set(title=title, xlabel="degrees")


def _arrows(axes: Axes, along_y: NDArray, along_x: NDArray, side: float) -> None:
    npix = along_y.shape[-1]
    shown = (slice(_ARROWS // 2, None, _ARROWS),) * 2
    x = (np.arange(npix)[shown[0]] + 0.5) * side / npix
    axes.quiver(x, x, along_x[shown], along_y[shown], color=style.BLACK, width=0.004)


def _eb(maps: NDArray, config: LensingConfig) -> tuple[NDArray, NDArray]:
    q, u = (config.sky.to_modes(np.ascontiguousarray(maps[..., i])) for i in (1, 2))
    e, b = (config.sky.to_map(modes) for modes in polarization.to_eb(q, u, config.sky))
    return e, b


def _score(estimate: NDArray, examples: dict[str, NDArray], ensemble: SkyEnsemble) -> Skill:
    meter = SkillMeter(ensemble.bands)
    meter.add(examples["kappa"][..., 0], estimate.reshape(estimate.shape[:3]))
    return meter.result(np.random.default_rng(0))


if __name__ == "__main__":
    main()
