"""N1 of the quadratic estimator by paired simulations, beside its direct sum, in bands of L.

    python -m benchmarks.paired_n1 v11 --simulations 960    # minutes of a core
    python -m benchmarks.paired_n1 v12

Pairs of skies that share κ alone have N0 + N1 (Story et al. 2015, arXiv:1412.4760); the
sum over modes is `estimators.trispectrum.n1`, to first order in C_L^κκ. Both in units of C_L^κκ;
errors are those of the mean over simulations.
"""

import argparse
import tempfile
from collections.abc import Sequence

import numpy as np

from estimators.bandpowers.rings import BandRings, Rings
from estimators.bandpowers.sky_sets import FIDUCIAL
from estimators.bandpowers.sky_spectra import N0, N0_N1
from estimators.bandpowers.spectra_shards import measure_sets
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from estimators.trispectrum.n1 import n1
from lensing_tfds.cosmology import kappa_power
from trainer.bandpower_sources import QUADRATIC, NamedSource

EDGES = (100, 200, 400, 700, 1000, 1500, 2000)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints N1 of both kinds."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paired_n1", description=main.__doc__
    )
    parser.add_argument("version", help="v9, v10, v11 or v12")
    parser.add_argument("--simulations", type=int, default=240)
    arguments = parser.parse_args(argv)
    source = NamedSource.of(QUADRATIC, arguments.version)
    config, theory = source.config, source.ensemble.theory
    combination = MinimumVariance(pairs_of(config), Observation.of(config, theory))
    plane = n1(combination, kappa_power(config, theory, config.internal.ell), config.internal)
    rings, bands = Rings(config.sky), BandRings.given(config.sky, EDGES)
    weights = bands.windows(rings.num_modes)
    direct = weights @ rings.mean(np.where(np.isfinite(plane), plane, 0))
    with tempfile.TemporaryDirectory() as folder:
        sets = [(FIDUCIAL, arguments.simulations)]
        spectra, _ = measure_sets(source, sets, 2, folder)
    paired = (spectra[FIDUCIAL][N0_N1] - spectra[FIDUCIAL][N0]) @ weights.T
    error = paired.std(axis=0) / np.sqrt(len(paired))
    c_ell = weights @ rings.mean(source.ensemble.kappa_power)
    print(f"| {arguments.version}, L | by pairs | direct sum |\n| --- | ---: | ---: |")
    for row in zip(
        bands.labels, paired.mean(axis=0) / c_ell, error / c_ell, direct / c_ell, strict=True
    ):
        print("| {} | {:.4f} ± {:.4f} | {:.4f} |".format(*row))


if __name__ == "__main__":
    main()
