"""The power of quadratic estimates, taken apart: N0, N1 and C_κκ (see `estimators.trispectrum`).

    python -m benchmarks.trispectrum_closure v12 --fours 500
    python -m benchmarks.trispectrum_closure v10 --pairs TT --lmax 3000

Prints, in bands of L and over the skies' own C_κκ, what the estimate's power is made of, N1 summed
and simulated, and how near the parts come to κ's own power. --lmax leaves out modes above it.
"""

import argparse
from collections.abc import Sequence

from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator, pairs_of
from estimators.trispectrum.closure import close
from lensing_tfds import VERSIONS
from lensing_tfds.cosmology import spectra_of

EDGES = (100, 200, 400, 700, 1000)


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line and prints a table a version."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trispectrum_closure")
    parser.add_argument("versions", nargs="+", choices=["v9", "v10", "v11", "v12"])
    parser.add_argument("--fours", type=int, default=250, help="four skies so many times [250]")
    parser.add_argument("--pairs", nargs="+", help="of fields [all; and MV of them]")
    parser.add_argument("--lmax", type=float, help="of the maps' modes [all]")
    arguments = parser.parse_args(argv)
    for version in arguments.versions:
        config = VERSIONS[version]
        seen = Observation.of(config, spectra_of(config), arguments.lmax)
        pairs = arguments.pairs or pairs_of(config)
        estimators: dict[str, QuadraticEstimator | MinimumVariance] = {}
        if len(pairs) > 1:
            combined = MinimumVariance(pairs, seen)
            estimators = dict(zip(pairs, combined.estimators, strict=True)) | {"MV": combined}
        else:
            estimators = {pairs[0]: QuadraticEstimator(pairs[0], seen)}
        found = close(config, estimators, arguments.fours, EDGES)
        cut = f", l <= {arguments.lmax:g}" if arguments.lmax else ""
        print(f"\n{version}{cut}: {4 * arguments.fours} skies; all over their own C_κκ\n")
        columns = "power | N0 | N1 summed | N1 simulated | response | closure | with N1 simulated"
        print(f"| | L | {columns} |\n| --- |{' ---: |' * 8}")
        for name, parts in found.items():
            for i, (low, high) in enumerate(zip(EDGES[:-1], EDGES[1:], strict=True)):
                print(
                    f"| {name} | {low}–{high} | {parts.power[i]:.4f} | {parts.n0[i]:.4f} | "
                    f"{parts.n1[i]:.4f} | {parts.n1_simulated[i]:.4f} ± {parts.n1_error[i]:.4f} | "
                    f"{parts.response[i]:.4f} | "
                    f"{parts.closed[i]:.4f} ± {parts.closed_error[i]:.4f} | "
                    f"{parts.closed_simulated[i]:.4f} ± {parts.closed_simulated_error[i]:.4f} |"
                )


if __name__ == "__main__":
    main()
