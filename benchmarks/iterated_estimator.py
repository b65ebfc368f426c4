"""Correlation with κ of the iterated estimator, beside the quadratic ones and the forecast.

    python -m benchmarks.iterated_estimator                  # all versions, some minutes
    python -m benchmarks.iterated_estimator v11 v8
    python -m benchmarks.iterated_estimator --edges v11      # with padding, with a taper, with both

Skies are simulated: spectra and gains are fitted on training examples, and judged on test examples.
"Quadratic" is the best Wiener-filtered one of the judge's, "all" that of all modes where there are
both; the stages of the iterated estimator follow.
"""

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.iterated.fitting import fit
from estimators.iterated.forecast import forecasts
from estimators.quadratic.fields import fields_of
from estimators.references import quadratic_references
from lensing_tfds import VERSIONS, LensingConfig, realism, simulate
from lensing_tfds.cosmology import spectra_of

FITTED_PIXELS, FEWEST, BATCH = 2**21, 64, 16


def main(arguments: Sequence[str] = ()) -> None:
    """Prints the map-level correlations over all modes, a row a version."""
    names = [name for name in arguments if name != "--edges"] or list(VERSIONS)
    print(f"{'':22} quadratic    all  forecast  stages")
    for name in names:
        for config in _edged(VERSIONS[name]) if "--edges" in arguments else [VERSIONS[name]]:
            _print_row(config)


def _edged(config: LensingConfig) -> list[LensingConfig]:
    tenth = round(np.degrees(config.side) / 10, 6)
    return [
        dataclasses.replace(config, name=f"{config.name}-edged", padding=padding, taper=taper)
        for padding, taper in ((2.0, 0.0), (1.0, tenth), (2.0, tenth))
    ]


def _print_row(config: LensingConfig) -> None:
    sky, table, n = config.sky, spectra_of(config), max(FEWEST, FITTED_PIXELS // config.npix**2)

    def examples() -> Iterator[Mapping[str, NDArray]]:
        for start in range(0, n, BATCH):
            yield simulate(config, "train", range(start, min(start + BATCH, n)))

    fitted = fit(config, table, examples)
    quadratic = quadratic_references(SkyEnsemble.of(config), examples, "training examples")
    filtered = [e for e in quadratic if e.name.endswith("_wiener")]
    best = next((e for e in filtered if "_all_" not in e.name), filtered[0])
    of_all = next((e for e in filtered if "_all_" in e.name), None)

    test = simulate(config, "test", range(n))
    kappa = sky.to_modes(np.ascontiguousarray(test["kappa"][..., 0]))

    def rho(estimate: NDArray) -> float:
        def power(one: NDArray, two: NDArray) -> float:
            return float(np.sum(sky.mode_counts * (one * two.conj()).real.sum(axis=0, dtype=float)))

        return power(estimate, kappa) / np.sqrt(power(estimate, estimate) * power(kappa, kappa))

    def of(estimator: Estimator | None) -> str:
        if estimator is None:
            return ""
        maps = estimator.kappa(test["lensed"], test["index"])
        return f"{rho(sky.to_modes(np.ascontiguousarray(maps))):.4f}"

    blocks = fitted.by_stage(fields_of(test["lensed"], config.channels, sky))
    stages = [rho(np.concatenate(stage)) for stage in zip(*blocks, strict=True)]
    forecast = ""
    if realism.estimator_theory_holds(config):
        forecast = f"{forecasts(config, table)[-1].map_correlation:.4f}"
    edges = f" {config.padding:g} {config.taper:g}" * (not realism.is_periodic(config))
    print(
        f"{config.name + edges:22} {of(best):>9} {of(of_all):>6} {forecast:>9}  "
        + " ".join(f"{value:.4f}" for value in stages),
        flush=True,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
