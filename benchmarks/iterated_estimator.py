"""Correlation with κ of the iterated estimator, beside the quadratic one and the forecast.

    python -m benchmarks.iterated_estimator v11 v12 v10

Skies are simulated: the gains are fitted on training examples, and judged on test examples.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.iterated.fitting import fit
from estimators.iterated.forecast import forecasts
from estimators.quadratic.fields import fields_of
from lensing_tfds import VERSIONS, simulate
from lensing_tfds.cosmology import spectra_of

FITTED, JUDGED, BATCH = 64, 64, 16


def main(versions: Sequence[str] = ("v11", "v12", "v10")) -> None:
    """Prints the map-level correlation over all modes, and the forecast's."""
    print(f"{'':4} {'quadratic':>9} {'iterated':>9} {'forecast':>9}")
    for name in versions:
        config = VERSIONS[name]
        sky, table = config.sky, spectra_of(config)

        def examples(name: str = name) -> Iterator[Mapping[str, NDArray]]:
            for start in range(0, FITTED, BATCH):
                yield simulate(name, "train", range(start, start + BATCH))

        fitted = fit(config, table, examples)
        test = simulate(name, "test", range(JUDGED))
        kappa = sky.to_modes(np.ascontiguousarray(test["kappa"][..., 0]))
        stages = list(fitted.by_stage(fields_of(test["lensed"], config.channels, sky)))

        def power(one: NDArray, two: NDArray, weight: NDArray = sky.mode_counts) -> float:
            return float(np.sum(weight * (one * two.conj()).real.sum(axis=0, dtype=float)))

        rho = []
        for number in (0, -1):
            estimate = np.concatenate([block[number] for block in stages])
            norm = np.sqrt(power(estimate, estimate) * power(kappa, kappa))
            rho.append(power(estimate, kappa) / norm)
        rho.append(forecasts(config, table)[-1].map_correlation)
        print(f"{name:4} " + " ".join(f"{value:9.4f}" for value in rho))


if __name__ == "__main__":
    main(sys.argv[1:] or ("v11", "v12", "v10"))
