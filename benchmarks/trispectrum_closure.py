"""The power of quadratic estimates, taken apart: N0, N1 and C_κκ (see `estimators.trispectrum`).

    python -m benchmarks.trispectrum_closure v12 --eights 500
    python -m benchmarks.trispectrum_closure v10 --pairs TT --lmax 3000

Prints, in bands of L and over the skies' own C_κκ, what the estimate's power is made of, N1 summed
and simulated, what is of second order in C_κκ, and how near the parts come to κ's own power, to
first order and with it. --lmax leaves out modes above it.
"""

from collections.abc import Mapping, Sequence

from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import PAIRS, QuadraticEstimator, pairs_of
from estimators.trispectrum.closure import AnyEstimator, Closure, close
from lensing_tfds import VERSIONS
from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError

EDGES = (100, 200, 400, 700, 1000)

_COLUMNS = {
    "power": "power",
    "n0": "N0",
    "n1": "N1 summed",
    "n1_simulated": "N1 simulated",
    "n1_even": "second order of N1",
    "kappa_even": "of κ̂",
    "response": "response",
    "first_order": "first order",
    "closed": "closure",
}
_WITH_ERRORS = ("n1_simulated", "n1_even", "kappa_even", "first_order", "closed")


def main(argv: Sequence[str] | None = None) -> None:
    """Prints what the power of quadratic estimates is made of, a table a version."""
    parser = CommandParser("benchmarks.trispectrum_closure", str(main.__doc__))
    parser.add_argument("versions", nargs="+", choices=["v9", "v10", "v11", "v12"])
    parser.add_argument("--eights", type=int, default=250, help="eight skies so many times [250]")
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, help="of fields [all; and their MV]")
    parser.add_argument("--lmax", type=float, help="of the maps' modes [all]")
    arguments = parser.parse_args(argv)
    with command(arguments.verbose):
        for version in arguments.versions:
            config = VERSIONS[version]
            found = close(
                config,
                estimators(config, arguments.pairs, arguments.lmax),
                arguments.eights,
                EDGES,
            )
            cut = f", l <= {arguments.lmax:g}" if arguments.lmax else ""
            print(f"\n{version}{cut}: {8 * arguments.eights} skies; all over their own C_κκ\n")
            print(table(found, EDGES))


def estimators(
    config: LensingConfig, pairs: Sequence[str] | None = None, lmax: float | None = None
) -> dict[str, AnyEstimator]:
    """Returns a version's quadratic estimators, and their minimum-variance combination, by name.

    Args:
      config: a periodic version.
      pairs: of fields; None is all that the version has.
      lmax: of the maps' modes; None is all.

    Raises:
      LensingError: the version does not have a pair's fields.
    """
    pairs = pairs or pairs_of(config)
    if missing := [pair for pair in pairs if pair not in pairs_of(config)]:
        raise LensingError(
            f"{config.name} has no {missing[0]}: choose among {', '.join(pairs_of(config))}"
        )
    seen = Observation.of(config, spectra_of(config), lmax)
    if len(pairs) == 1:
        return {pairs[0]: QuadraticEstimator(pairs[0], seen)}
    combined = MinimumVariance(pairs, seen)
    return dict(zip(pairs, combined.estimators, strict=True)) | {"MV": combined}


def table(found: Mapping[str, Closure], edges: Sequence[float]) -> str:
    """Returns a table of Markdown, a line an estimator and band.

    Args:
      found: by the estimators' names.
      edges: of the bands.
    """
    lines = [
        f"| | L | {' | '.join(_COLUMNS.values())} |",
        f"| --- |{' ---: |' * (1 + len(_COLUMNS))}",
    ]
    for name, parts in found.items():
        for i, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            cells = [name, f"{low:g}–{high:g}"]
            for column in _COLUMNS:
                error = f" ± {parts.errors[column][i]:.4f}" if column in _WITH_ERRORS else ""
                cells.append(f"{getattr(parts, column)[i]:.4f}{error}")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
