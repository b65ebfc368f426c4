"""Delensing with quadratic and iterated estimates of κ: what is left of B, and what it does to r.

    python -m benchmarks.delensing v11 v12 [--skies 128] [--lmax 300] [--r 0.05]
    python -m benchmarks.delensing v11 --skies 400 --lmax 400 --figure docs/delensing.png
    python -m benchmarks.delensing v13 --skies 128 --lmax 300

First table, the share of the lensing B modes at l < --lmax that is left, without noise, when a
template of κ̂ and the observed E is subtracted: of first order, and by remapping back. The estimate
shares its noise with B where it was made of the same B modes; "moved" is the same estimate with a
noise that knows nothing of them, which forecasts are of, and "split" an estimate from B modes at
l >= --lmax alone.

Second table, r̂ from band powers of B, observed with noise: its mean of skies without tensors; the
share of tensors of --r that is in it; Fisher's error, and the scatter of r̂. Half of
the skies say what band powers are without tensors, the other half are fitted. Of v13, whose maps
are filtered inside their mask, there is the second table alone, and the first half of the skies
says what power tensors have there. A network's run is
delensed by `python -m trainer.evaluate --workdir RUN --checks`. The figure has the band powers, of
the last version.
"""

import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from estimators.delensing.delensed_maps import BANDS, delensed_bands
from estimators.delensing.delensed_skies import UNDELENSED, DelensedSkies, delensed_skies
from estimators.delensing.masked_skies import masked_delensed_skies
from estimators.delensing.residual_b_modes import TRUE_KAPPA, residual_b_modes
from estimators.delensing.split_b_modes import SHARED, SPLIT, expected_share, quadratic_estimators
from estimators.delensing.tensor_ratio import RatioLikelihood
from estimators.ensemble import SkyEnsemble
from estimators.filtering.masked_patch import is_filtered
from estimators.references import fitted_iterated
from estimators.reports import style
from lensing_tfds import VERSIONS, simulate
from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.sky import spectra, tensor_spectra
from lensing_tfds.sky.binning import Bins

BATCH, FITTED = 16, 64


def main(argv: Sequence[str] | None = None) -> None:
    """Prints what delensing leaves of B, and what it does to r: two tables a version."""
    parser = CommandParser("benchmarks.delensing", str(main.__doc__))
    parser.add_argument("versions", nargs="+", choices=["v10", "v11", "v12", "v13"])
    parser.add_argument("--skies", type=int, default=128, help="[128]")
    parser.add_argument(
        "--lmax", type=float, default=300.0, help="B modes below it are delensed [300]"
    )
    parser.add_argument("--r", type=float, default=0.05, help="of the tensors [0.05]")
    parser.add_argument("--figure", type=pathlib.Path, help="where to draw the band powers")
    arguments = parser.parse_args(argv)
    with command(arguments.verbose):
        for version in arguments.versions:
            ensemble = SkyEnsemble.of(VERSIONS[version])
            if is_filtered(ensemble.config):
                print(f"\n{version}: {arguments.skies} skies, B at l < {arguments.lmax:g}\n")
                bands, found = _masked(ensemble, arguments.skies, arguments.lmax, arguments.r)
                half = len(found.own) // 2
                print_ratios(found.own[:half].mean(axis=0) / arguments.r, found)
                continue
            bands = delensed_bands(ensemble.config, arguments.lmax)
            print(f"\n{version}: {arguments.skies} skies, B at l < {arguments.lmax:g}\n")
            print_residuals(ensemble, arguments.skies, arguments.lmax)
            print()
            found = _delensed(ensemble, bands, arguments.skies, arguments.lmax, arguments.r)
            print_ratios(bands.mean(_tensors(ensemble)), found)
        if arguments.figure:
            drawn = figure(ensemble, bands, found, arguments.r)
            arguments.figure.write_bytes(style.save(drawn, "png", dpi=90))


def print_residuals(ensemble: SkyEnsemble, skies: int, lmax: float) -> None:
    """Prints the share of the lensing B modes that is left."""
    config = ensemble.config

    def examples(split: str, number: int):
        for start in range(0, number, BATCH):
            yield simulate(config, split, range(start, min(start + BATCH, number)))

    estimators = quadratic_estimators(ensemble, lmax)
    iterated = fitted_iterated(ensemble, lambda: examples("train", FITTED), "training examples")
    estimators.append(iterated)
    first, remapped = (
        residual_b_modes(
            examples("test", skies),
            estimators,
            ensemble,
            np.random.default_rng(0),
            l_range=(config.sky.fundamental, lmax),
            remapped=by_remapping,
        )
        for by_remapping in (False, True)
    )
    print("| | first order | moved | by remapping | forecast |\n| --- |" + " ---: |" * 4)
    names = {TRUE_KAPPA: "true κ"} | {one.name: one.label for one in estimators}
    forecasts = {
        SHARED: first.forecast.get("quadratic"),
        SPLIT: expected_share(ensemble, lmax, first.l_range),
        iterated.name: first.forecast.get("iterated"),
    }
    for name, label in names.items():
        moved = f"{first.moved_noise[name].value:.3f}" if name in first.moved_noise else ""
        forecast = forecasts.get(name)
        print(
            f"| {label} | {first.residual[name].value:.4f} ± {first.residual[name].error:.4f} | "
            f"{moved} | {remapped.residual[name].value:.4f} | "
            + (f"{forecast:.3f} |" if forecast is not None else "|")
        )


def _tensors(ensemble: SkyEnsemble) -> NDArray[np.float64]:
    """C_BB of tensors at r = 1."""
    return spectra.at_multipoles(tensor_spectra.fiducial().BB, ensemble.config.sky.ell)


def _delensed(
    ensemble: SkyEnsemble, bands: Bins, skies: int, lmax: float, ratio: float
) -> DelensedSkies:
    power = ratio * _tensors(ensemble)
    return delensed_skies(ensemble.config, power, bands, lmax, skies, np.random.default_rng(1))


def _masked(
    ensemble: SkyEnsemble, skies: int, lmax: float, ratio: float
) -> tuple[Bins, DelensedSkies]:
    edges = np.linspace(ensemble.config.sky.fundamental, lmax, BANDS + 1)
    bands = Bins.between(edges, ensemble.config.sky)
    return bands, masked_delensed_skies(ensemble.config, ratio, bands, lmax, skies, FITTED)


def print_ratios(tensors: NDArray[np.float64], found: DelensedSkies) -> None:
    """Prints r̂ and its errors, delensed or not, with the tensors' band powers at r = 1."""
    print(
        "| | r̂ without tensors | share of the tensors left | Fisher's error | scatter |\n"
        "| --- |" + " ---: |" * 4
    )
    half = len(found.own) // 2
    for name, without in found.without.items():
        likelihood = RatioLikelihood.of(tensors, without[:half])
        of_lensing = likelihood.ratio(without[half:])
        # What is left of the tensors there are, and not of those that there are on average.
        own, added = (b[half:] @ likelihood.weights for b in (found.own, found.tensors[name]))
        kept = added.mean() / own.mean()
        kept_error = (added - kept * own).std() / own.mean() / np.sqrt(len(own))
        count = np.sqrt(len(own))
        print(
            f"| {name} | {of_lensing.mean():+.4f} ± {of_lensing.std() / count:.4f} | "
            f"{kept:.3f} ± {kept_error:.3f} | "
            f"{likelihood.error:.4f} | {of_lensing.std():.4f} |"
        )


@style.styled
def figure(ensemble: SkyEnsemble, bands: Bins, found: DelensedSkies, ratio: float) -> Figure:
    """Draws band powers of B with noise, and the tensors' beside what delensing leaves of them."""
    drawn = Figure(figsize=(9.6, 3.8), layout="constrained")
    left, right = drawn.subplots(1, 2)
    labels = {
        UNDELENSED: "not delensed",
        SHARED: "κ̂ from all B",
        SPLIT: "κ̂ from other B",
    }
    scale = bands.ell**2 / (2 * np.pi)
    for name, label in labels.items():
        without, added = scale * found.without[name], scale * found.tensors[name]
        error = without.std(axis=0) / np.sqrt(len(without))
        left.errorbar(bands.ell, without.mean(axis=0), error, marker="o", label=label)
        share = found.tensors[name].mean(axis=0) / found.own.mean(axis=0)
        scatter = (found.tensors[name] - share * found.own).std(axis=0)
        error = scatter / np.sqrt(len(added)) / found.own.mean(axis=0)
        right.errorbar(bands.ell, share, error, marker="o", label=label)
    own = scale * bands.mean(ratio * _tensors(ensemble))
    left.plot(bands.ell, own, "k--", label=f"tensors, r = {ratio:g}")
    left.set(xlabel="ℓ", ylabel="ℓ² C_BB / 2π, µK²", yscale="log", title="B modes, with noise")
    right.set(xlabel="ℓ", ylabel="share left", title="Tensors after delensing")
    left.set_ylim(bottom=1e-4)  # the legend is below all lines
    left.legend(loc="lower left")
    right.legend()
    return drawn


if __name__ == "__main__":
    main()
