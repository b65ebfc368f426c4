"""Effects of resolution on simulated lensing: errors against the size of the internal pixel.

A sky is drawn on a reference grid fine enough to carry every mode of the input spectra, lensed
there in double precision, smoothed by the beam and cut in Fourier space to the version's output
grid. The same sky, with only the modes that a coarser internal grid can carry, is lensed on that
grid instead. Both are the same realisation: their difference is the error of the grid, without
sample variance. Interpolation is exact in both (1e-12); what it does wrong elsewhere is the subject
of `benchmarks.study_remap` and `benchmarks.remap_accuracy`.

`python -m benchmarks.resolution` prints tables in Markdown; `--figure PATH` draws them.
"""

import argparse
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds import VERSIONS, LensingConfig
from lensing_tfds.sky import instrument, lensing, polarization, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.gaussian_fields import GaussianField

BANDS = 12  # from the lowest multipole to 0.9 of the Nyquist frequency
LOWEST_ELL, HIGHEST_OF_NYQUIST = 100, 0.9
CORNERS_FROM = 1.2  # of the Nyquist frequency, up to sqrt(2), where the plane ends
CRITERION = {"TT": 1e-3, "EE": 1e-3, "BB": 5e-3}  # largest relative error of a band power
NOISE_CHANNEL = {"T": "T", "QU": "Q"}

# Skies, then pixels on a side of the reference and of the internal grids.
SURVEYS = {
    "v10": (8, 1280, (128, 192, 256, 320, 384, 512, 640, 768, 1024)),
    "v11": (16, 768, (64, 96, 128, 160, 192, 256, 384, 512)),
    "v12": (8, 1280, (256, 512)),
}
# Skies, then how many times finer the reference is than the version's own grid.
STUDY = {
    "v2": (32, 16),
    "v3": (32, 16),
    "v4": (32, 16),
    "v5": (128, 3),
    "v6": (32, 8),
    "v7": (32, 16),
    "v8": (32, 16),
}

Modes = dict[str, NDArray[np.complexfloating]]


@dataclasses.dataclass(frozen=True)
class Errors:
    """Errors of a version's maps if they are lensed on one internal grid.

    Attributes:
      pixel_arcmin: of the internal grid.
      signal: rms lensing signal, lensed − unlensed, of the observed maps "T" and "QU", µK.
      maps: rms error of the same maps, µK.
      ell: centres of the bands.
      bands: "TT" (and "EE", "BB") -> relative error of each band power.
      uncertainty: the standard error of each of these, from the scatter of the skies.
      corners: the same of one band, in the corners of the plane, where |l| is beyond Nyquist though
        neither of its components is.
    """

    pixel_arcmin: float
    signal: Mapping[str, float]
    maps: Mapping[str, float]
    ell: NDArray[np.float64]
    bands: Mapping[str, NDArray[np.float64]]
    uncertainty: Mapping[str, NDArray[np.float64]]
    corners: Mapping[str, float]

    def largest(self, spectrum: str) -> float:
        """Returns the relative error of the worst band power."""
        return float(np.abs(self.bands[spectrum]).max())

    def meets_criterion(self) -> bool:
        """Says whether every band power is right to the criterion."""
        return all(self.largest(spectrum) < CRITERION[spectrum] for spectrum in self.bands)


def draw(config: LensingConfig, sky: FlatSky, seed: int, polarized: bool) -> Modes:
    """Draws κ, T and E (independent of T: their correlation matters to no error measured here).

    Returns:
      Half planes of κ ("kappa", with the version's exaggeration), "T" and, if asked for, "E".
    """
    table = spectra.fiducial()
    inputs = {"kappa": (table.kappa, config.kappa_lmax), "T": (table.TT, config.T_lmax)}
    if polarized:
        inputs["E"] = (table.EE, config.T_lmax)
    rng = np.random.default_rng(seed)
    modes = {}
    for name, (c_ell, lmax) in inputs.items():
        field = GaussianField(spectra.at_multipoles(c_ell, sky.ell, lmax) / sky.area)
        normals = rng.standard_normal((1, field.size), np.float32)
        modes[name] = field.modes(normals)[0].astype(np.complex128)
    modes["kappa"] *= config.kappa_exaggeration_factor
    return modes


def truncated(modes: Modes, npix: int) -> Modes:
    """Keeps of each field what a grid of npix pixels on a side can carry."""
    return {
        name: instrument.truncate(field, npix) if npix < len(field) else field
        for name, field in modes.items()
    }


def stokes(modes: Modes, sky: FlatSky) -> Modes:
    """Returns T and, if there is E, Q and U."""
    if "E" not in modes:
        return {"T": modes["T"]}
    q, u = polarization.to_qu(modes["E"], np.zeros_like(modes["E"]), sky)
    return {"T": modes["T"], "Q": q, "U": u}


def lensed(modes: Modes, sky: FlatSky) -> Modes:
    """Lenses a sky on a grid: half planes of T, Q, U from those of κ, T, E."""
    deflection = lensing.deflection_from_kappa(modes["kappa"], sky)
    unlensed = stokes(modes, sky)
    d_y, d_x = (np.broadcast_to(d, (len(unlensed), *d.shape)) for d in deflection)
    maps = lensing.remap(np.stack(list(unlensed.values())), (d_y, d_x), sky)
    return dict(zip(unlensed, sky.to_modes(maps), strict=True))


def weights(sky: FlatSky) -> NDArray[np.float64]:
    """Counts each mode of a half plane in the whole plane; at Nyquist not at all.

    A grid's Nyquist modes mix two of the sky's, and E and B are not defined there.
    """
    return np.where(sky.inner, sky.mode_counts, 0.0)


def mean_square(fields: Sequence[NDArray[np.complexfloating]], sky: FlatSky) -> float:
    """Returns the mean square of maps over pixels and maps, from their half planes."""
    power = np.mean([np.abs(field) ** 2 for field in fields], axis=0)
    return float(np.sum(weights(sky) * power))


def band_powers(modes: Modes, sky: FlatSky) -> dict[str, NDArray[np.float64]]:
    """Returns the mean |a_l|² of T, E and B in each of `band_edges`' bands, shape (bands,)."""
    fields = {"TT": modes["T"]}
    if "Q" in modes:
        fields["EE"], fields["BB"] = polarization.to_eb(modes["Q"], modes["U"], sky)
    count, edges = weights(sky), band_edges(sky)
    band = np.digitize(sky.ell, edges).ravel()  # np.histogram loses digits of steep spectra

    def sums(values: NDArray[np.float64]) -> NDArray[Any]:
        return np.bincount(band, values.ravel(), len(edges) + 1)[1:-1]

    return {name: sums(count * np.abs(a) ** 2) / sums(count) for name, a in fields.items()}


def band_edges(sky: FlatSky) -> NDArray[np.float64]:
    """Returns the edges of the bands, of the gap above them, and of the band of the corners."""
    first = max(LOWEST_ELL, 0.99 * sky.fundamental)
    edges = np.linspace(first, HIGHEST_OF_NYQUIST * sky.nyquist, BANDS + 1)
    return np.append(edges, np.array([CORNERS_FROM, math.sqrt(2)]) * sky.nyquist)


def errors(
    config: LensingConfig, reference: int, internal: Sequence[int], skies: int, polarized: bool
) -> list[Errors]:
    """Measures what a version's maps are off by, on internal grids of several sizes.

    An internal grid coarser than the output grid stands for an output grid as coarse as itself.

    Args:
      config: the version; its own `oversampling` and noise are not used.
      reference: pixels on a side of the reference grid.
      internal: pixels on a side of the internal grids.
      skies: how many to average over.
      polarized: whether Q and U are lensed too.
    """
    fine = FlatSky(reference, config.side)
    measured: list[list[_Measured]] = [[] for _ in internal]
    for seed in range(skies):
        modes = draw(config, fine, seed, polarized)
        truth, unlensed = lensed(modes, fine), stokes(modes, fine)
        for npix, of_grid in zip(internal, measured, strict=True):
            result = lensed(truncated(modes, npix), FlatSky(npix, config.side))
            output = FlatSky(min(npix, config.npix), config.side)
            ours, right, before = (truncated(m, output.npix) for m in (result, truth, unlensed))
            of_grid.append(_measure(ours, right, before, output, config.beam_arcmin))
    return [
        _mean(of_grid, FlatSky(npix, config.side), min(npix, config.npix))
        for npix, of_grid in zip(internal, measured, strict=True)
    ]


_Measured = dict[tuple[str, str], Any]  # numbers of maps, arrays of band powers


def _measure(
    result: Modes, truth: Modes, unlensed: Modes, output: FlatSky, beam_arcmin: float
) -> _Measured:
    """Returns, for one sky, mean squares of the maps and band powers, as they are averaged."""
    beam = instrument.beam(output.ell, beam_arcmin)
    measured: _Measured = {}
    for group in ("T", "QU") if "Q" in result else ("T",):
        error = [beam * (result[c] - truth[c]) for c in group]
        signal = [beam * (truth[c] - unlensed[c]) for c in group]
        measured[group, "error"] = mean_square(error, output)
        measured[group, "signal"] = mean_square(signal, output)
    right = band_powers(truth, output)
    for spectrum, power in band_powers(result, output).items():
        measured[spectrum, "result"], measured[spectrum, "truth"] = power, right[spectrum]
    return measured


def _mean(skies: Sequence[_Measured], internal: FlatSky, output_npix: int) -> Errors:
    mean = {key: np.mean([sky[key] for sky in skies], axis=0) for key in skies[0]}
    off, uncertainty = {}, {}
    for spectrum in [spectrum for spectrum, what in mean if what == "result"]:
        each = np.array([sky[spectrum, "result"] - sky[spectrum, "truth"] for sky in skies])
        each /= mean[spectrum, "truth"]
        off[spectrum] = each.mean(axis=0)
        uncertainty[spectrum] = each.std(axis=0) / math.sqrt(len(skies))
    groups = [group for group, what in mean if what == "error"]
    edges = band_edges(FlatSky(output_npix, internal.side))
    return Errors(
        pixel_arcmin=float(np.degrees(internal.pixel) * 60),
        signal={group: float(np.sqrt(mean[group, "signal"])) for group in groups},
        maps={group: float(np.sqrt(mean[group, "error"])) for group in groups},
        ell=(edges[1 : BANDS + 1] + edges[:BANDS]) / 2,
        bands={spectrum: values[:BANDS] for spectrum, values in off.items()},
        uncertainty={spectrum: values[:BANDS] for spectrum, values in uncertainty.items()},
        corners={spectrum: float(values[-1]) for spectrum, values in off.items()},
    )


def _is_coarser(result: Errors, config: LensingConfig) -> bool:
    """Says whether an internal grid is coarser than the version's output grid."""
    return result.pixel_arcmin > 1.001 * config.pixel_arcmin


def print_survey(config: LensingConfig, results: Sequence[Errors]) -> None:
    """Prints a row for each internal grid; the version's own is marked."""
    print(
        f"\n{config.name}: {config.npix} x {config.npix} pixels of {config.pixel_arcmin:.2f}',"
        f" beam {config.beam_arcmin:g}', noise {config.noise_uK_arcmin:g} µK'\n"
    )
    print("| internal pixel | T | T / noise | Q, U | Q, U / noise | TT | EE | BB | criterion |")
    print("| ---: |" + " ---: |" * 7 + " --- |")
    own = config.pixel_arcmin / config.oversampling
    for result in results:
        mark = "**" if math.isclose(result.pixel_arcmin, own) else ""
        cells = [f"{mark}{result.pixel_arcmin:.2f}'{mark}"]
        for group, error in result.maps.items():
            depth = instrument.channel_noise(config.noise_uK_arcmin, NOISE_CHANNEL[group])
            noise = instrument.white_noise_rms(depth, config.sky)
            ratios = (error / result.signal[group], error / noise)
            cells += ["–" if _is_coarser(result, config) else f"{x:.1e}" for x in ratios]
        cells += [f"{result.largest(spectrum):.1e}" for spectrum in CRITERION]
        cells += ["met" if result.meets_criterion() else "not met"]
        print("| " + " | ".join(cells) + " |")


def print_study(config: LensingConfig, result: Errors) -> None:
    """Prints a row of the table of the versions that are lensed on their own output grid."""
    off, uncertainty = result.bands["TT"], result.uncertainty["TT"]
    worst = int(np.abs(off).argmax())
    cells = [
        config.name,
        f"{result.pixel_arcmin:.2f}'",
        f"{config.sky.nyquist:.0f}",
        f"{result.maps['T'] / result.signal['T']:.2g}",
        f"{off[worst]:+.2%} ± {uncertainty[worst]:.2%} at {result.ell[worst]:.0f}",
        f"{result.corners['TT']:+.1%}",
    ]
    print("| " + " | ".join(cells) + " |")


def draw_figure(path: str, v10: Sequence[Errors], v11: Sequence[Errors]) -> None:
    """Draws errors of v10's band powers against multipole, and of maps against the pixel."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(7.2, 6.0), layout="constrained")
    curves = [result for result in v10 if result.pixel_arcmin > 0.7]
    markers = "osD^v<>P"
    for panel, spectrum in zip(axes.flat, CRITERION, strict=False):
        for i, result in enumerate(curves):
            colour = mpl.colormaps["viridis"](0.9 * i / len(curves))
            style = {"color": colour, "marker": markers[i], "markersize": 3.5, "linewidth": 1.2}
            size = np.abs(result.bands[spectrum])
            panel.plot(result.ell, size, label=f"{result.pixel_arcmin:.3g}'", **style)
        panel.axhline(CRITERION[spectrum], color="black", linestyle="--", linewidth=1)
        panel.set(yscale="log", ylim=(1e-7, 1), xlabel="multipole ℓ")
        panel.set(title=f"lensed {spectrum} of v10", ylabel="|error of band power|")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    labels = ["internal pixel " + labels[0], *labels[1:]]
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=8)
    panel = axes[1, 1]
    for name, results, line in (("v10", v10, "-"), ("v11", v11, "--")):
        config = VERSIONS[name]
        observed = [result for result in results if not _is_coarser(result, config)]
        pixels = [result.pixel_arcmin for result in observed]
        panel.axvline(config.pixel_arcmin / config.oversampling, color="grey", linestyle=line)
        for group, marker, hue in (("T", "o", "#0072B2"), ("QU", "s", "#D55E00")):
            relative = [result.maps[group] / result.signal[group] for result in observed]
            style = {"color": hue, "marker": marker, "markersize": 4, "linestyle": line}
            label = f"{', '.join(group)} of {name}"
            panel.loglog(pixels, relative, label=label, linewidth=1.2, **style)
    ticks = (0.5, 0.7, 1, 1.4, 2)
    panel.set_xticks(ticks, [f"{tick:g}'" for tick in ticks])
    panel.set_xticks([], minor=True)
    panel.set(
        title="observed maps", xlabel="internal pixel", ylabel="rms error / rms lensing signal"
    )
    panel.legend(fontsize=7)
    for panel in axes.flat:
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=130)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", metavar="PATH", help="where to draw the figure, e.g. a .png")
    figure = parser.parse_args(argv).figure
    surveys = {}
    for name, (skies, reference, internal) in SURVEYS.items():
        surveys[name] = errors(VERSIONS[name], reference, internal, skies, polarized=True)
        print_survey(VERSIONS[name], surveys[name])
    print("\n| version | pixel | Nyquist ℓ | T map | TT, worst band | TT in the corners |")
    print("| --- |" + " ---: |" * 5)
    for name, (skies, finer) in STUDY.items():
        config = VERSIONS[name]
        (result,) = errors(config, finer * config.npix, [config.npix], skies, polarized=False)
        print_study(config, result)
    if figure:
        draw_figure(figure, surveys["v10"], surveys["v11"])


if __name__ == "__main__":
    main()
