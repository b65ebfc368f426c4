"""The amplitude of C_L^κκ fitted to band powers of single skies: its bias, its intervals, its χ².

    python -m benchmarks.amplitude v11 --skies 1000 --simulations 480    # minutes of a core
    python -m benchmarks.amplitude v10 --skies 200
    python -m benchmarks.amplitude v11 --estimator iterated

Each sky's band powers are debiased as `trainer.bandpowers` does it, with its own N0 where the
estimate is quadratic, and fitted by a Gaussian likelihood with the covariance of simulations. A_L
must be 1 on average, intervals of 68 and 95 % hold 1 in as many skies, and χ² be its degrees of
freedom. What simulations cost is printed too: simulated skies a minute and process, all their
estimates included.
"""

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Sequence

import numpy as np

from estimators.bandpowers import measurement
from estimators.bandpowers.amplitude import fit_amplitude
from estimators.bandpowers.measurement import Measured, Numbers
from estimators.bandpowers.rings import BandRings
from estimators.bandpowers.sky_spectra import AUTO
from trainer.bandpower_sources import NAMED, NamedSource

LEVELS = (0.68, 0.95)


@dataclasses.dataclass(frozen=True)
class Scores:
    """The fit's results over skies, each with its standard error.

    Attributes:
      skies: how many.
      bias: of A_L.
      bias_error: its error, of the skies alone.
      correction_error: the error that all skies share: that of the simulations' mean.
      scatter: of A_L over skies, in units of the error that the likelihood gives.
      coverage: share of skies whose intervals of `LEVELS` hold 1.
      chi2: mean, by its degrees of freedom.
      chi2_error: its error.
      at_limit: skies whose fit ended at a limit of the search.
    """

    skies: int
    bias: float
    bias_error: float
    correction_error: float
    scatter: float
    coverage: tuple[float, float]
    chi2: float
    chi2_error: float
    at_limit: int

    def __str__(self) -> str:
        errors = [np.sqrt(level * (1 - level) / self.skies) for level in LEVELS]
        covered = ", ".join(
            f"{level:.0%}: {found:.1%} ± {error:.1%}"
            for level, found, error in zip(LEVELS, self.coverage, errors, strict=True)
        )
        limited = f"\n{self.at_limit} fits ended at a limit of the search" * (self.at_limit > 0)
        return (
            f"A_L - 1 = {self.bias:+.4f} ± {self.bias_error:.4f} (skies) "
            f"± {self.correction_error:.4f} (simulations), scatter / error {self.scatter:.3f}\n"
            f"intervals hold 1 in {covered}\nχ² / degrees of freedom {self.chi2:.3f} ± "
            f"{self.chi2_error:.3f}{limited}"
        )


def scores(measured: Measured, bands: BandRings) -> Scores:
    """Fits A_L to each observed sky.

    Args:
      measured: spectra.
      bands: of L.
    """
    powers = measurement.band_powers(measured, bands)
    assert powers.response is not None
    covariance = powers.covariance_of(1).part(slice(bands.num))
    skies = measurement.each_sky(measured, bands)
    fits = [fit_amplitude(sky, powers.response, covariance) for sky in skies]
    values, errors, chi2 = (np.array([getattr(f, k) for f in fits]) for k in _FITTED)
    held = [
        np.mean([f.interval(level)[0] < 1 < f.interval(level)[1] for f in fits]) for level in LEVELS
    ]
    number, degrees = len(fits), fits[0].degrees
    return Scores(
        number,
        float(values.mean() - 1),
        float(values.std() / np.sqrt(number)),
        float(errors.mean() / np.sqrt(powers.covariance.simulations)),
        float(values.std() / errors.mean()),
        (float(held[0]), float(held[1])),
        float(chi2.mean() / degrees),
        float(chi2.std() / degrees / np.sqrt(number)),
        sum(fit.at_limit for fit in fits),
    )


_FITTED = ("value", "error", "chi2")


def main(argv: Sequence[str] | None = None) -> None:
    """Prints what A_L of single skies is worth."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.amplitude", description=main.__doc__
    )
    parser.add_argument("version", help="v9, v10, v11 or v12, or a config's JSON")
    parser.add_argument("--estimator", choices=NAMED, default="qe")
    parser.add_argument("--skies", type=int, default=200)
    parser.add_argument("--simulations", type=int, default=Numbers.simulations)
    parser.add_argument("--scaled", type=int, default=Numbers.scaled)
    parser.add_argument("--rdn0", type=int, default=Numbers.rdn0)
    parser.add_argument("--folder", help="where spectra are kept, to go on [a temporary one]")
    arguments = parser.parse_args(argv)
    source = NamedSource.of(arguments.estimator, arguments.version)
    numbers = Numbers(arguments.skies, arguments.simulations, arguments.scaled, arguments.rdn0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or temporary
        measured = measurement.measure(arguments.estimator, source, numbers, folder)
    total = measured.summary.total
    if written := total.shards - total.reused:
        rate = 60 * total.num_examples * written / total.shards / total.seconds
        print(f"{rate:.0f} skies a minute and process", file=sys.stderr)
    bands, _ = measurement.default_bands(measured, source.ensemble)
    print(
        f"{arguments.estimator} on {measured.dataset}: {len(measured.data[AUTO])} skies, "
        f"{numbers.simulations} simulations, {bands.num} bands, L = {bands.edges[0]:.0f} to "
        f"{bands.edges[-1]:.0f}"
    )
    print(scores(measured, bands))


if __name__ == "__main__":
    main()
