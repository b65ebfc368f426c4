"""Delensing with quadratic and iterated estimates of κ: what is left of B, and what it does to r.

    python -m benchmarks.delensing v11 v12 [--skies 128] [--lmax 300] [--r 0.05]

First table, the share of the lensing B modes at l < --lmax that is left, without noise, when a
template of κ̂ and the observed E is subtracted: of first order, and by remapping back. The estimate
shares its noise with B where it was made of the same B modes; "moved" is the same estimate with a
noise that knows nothing of them, which forecasts are of, and "split" an estimate from B modes at
l >= --lmax alone.

Second table, r̂ from band powers of B, observed with noise: its mean of skies without tensors; the
share of tensors of --r that is in it; Fisher's error, and the scatter of r̂. Half of
the skies say what band powers are without tensors, the other half are fitted. A network's run is
delensed by `python -m trainer.evaluate --workdir RUN --checks`.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from estimators.delensed_skies import delensed_skies
from estimators.delensing import TRUE_KAPPA, residual_b_modes
from estimators.ensemble import SkyEnsemble
from estimators.references import fitted_iterated
from estimators.split_b_modes import quadratic_estimators
from estimators.tensor_ratio import RatioLikelihood
from lensing_tfds import VERSIONS, simulate
from lensing_tfds.sky import spectra, tensor_spectra
from lensing_tfds.sky.binning import Bins

BATCH, FITTED, BANDS = 16, 64, 5


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line and prints two tables a version."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delensing")
    parser.add_argument("versions", nargs="+", choices=["v10", "v11", "v12"])
    parser.add_argument("--skies", type=int, default=128, help="[128]")
    parser.add_argument(
        "--lmax", type=float, default=300.0, help="B modes below it are delensed [300]"
    )
    parser.add_argument("--r", type=float, default=0.05, help="of the tensors [0.05]")
    arguments = parser.parse_args(argv)
    for version in arguments.versions:
        ensemble = SkyEnsemble.of(VERSIONS[version])
        print(f"\n{version}: {arguments.skies} skies, B at l < {arguments.lmax:g}\n")
        print_residuals(ensemble, arguments.skies, arguments.lmax)
        print()
        print_ratios(ensemble, arguments.skies, arguments.lmax, arguments.r)


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
    for name, label in names.items():
        moved = f"{first.moved_noise[name].value:.3f}" if name in first.moved_noise else ""
        kind = "iterated" if name == iterated.name else "quadratic"
        forecast = first.forecast.get(kind) if name in first.moved_noise else None
        print(
            f"| {label} | {first.residual[name].value:.4f} ± {first.residual[name].error:.4f} | "
            f"{moved} | {remapped.residual[name].value:.4f} | "
            + (f"{forecast:.3f} |" if forecast is not None else "|")
        )


def print_ratios(ensemble: SkyEnsemble, skies: int, lmax: float, ratio: float) -> None:
    """Prints r̂ and its errors, delensed or not."""
    config = ensemble.config
    sky = config.sky
    bands = Bins.between(np.linspace(sky.fundamental, lmax, BANDS + 1), sky)
    tensors = spectra.at_multipoles(tensor_spectra.fiducial().BB, sky.ell)
    found = delensed_skies(config, ratio * tensors, bands, lmax, skies, np.random.default_rng(1))
    print(
        "| | r̂ without tensors | share of the tensors left | Fisher's error | scatter |\n"
        "| --- |" + " ---: |" * 4
    )
    half = skies // 2
    for name, without in found.without.items():
        likelihood = RatioLikelihood.of(bands.mean(tensors), without[:half])
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


if __name__ == "__main__":
    main()
