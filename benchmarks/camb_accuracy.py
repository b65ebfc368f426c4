"""Errors of the settings for a cosmology of a config's own, against the packaged table's.

Computes the fiducial cosmology by each of them (`camb_spectra.TIERS`), which takes minutes, and
compares it with the packaged table: rms of the relative difference in bands of multipoles (TE's
relative to sqrt(TT EE), gradient spectra's to the lensed ones), time of all cores together and
memory.
"""

import resource
import time
from itertools import pairwise

import numpy as np

from lensing_tfds.sky import camb_spectra, spectra

EDGES = (2, 30, 1000, 2000, 4000, 6000, 8000, 12_000, spectra.LMAX + 1)


def main() -> None:
    packaged = spectra.fiducial()
    for tier in camb_spectra.TIERS:
        began = time.process_time()
        table = spectra.parse(camb_spectra.compute({}, tier))
        seconds = time.process_time() - began
        gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"to l = {tier.lmax:,}: {seconds:.0f} s of one core, {gigabytes:.1f} GB at most")
        bands = [slice(low, high) for low, high in pairwise(EDGES) if high <= tier.lmax + 1]
        print(f"{'l below':>12}" + "".join(f"{band.stop:>9}" for band in bands))
        for name in spectra.COLUMNS:
            expected = getattr(packaged, name)[: tier.lmax + 1]
            of = name.replace("gradient", "lensed")
            first, second = (of.replace("TE", pair) for pair in ("TT", "EE"))
            scale = np.sqrt(getattr(packaged, first) * getattr(packaged, second))
            errors = (
                np.sqrt(np.mean(((getattr(table, name) - expected)[band] / scale[band]) ** 2))
                for band in bands
            )
            print(f"{name:>12}" + "".join(f"{error:9.5f}" for error in errors))


if __name__ == "__main__":
    main()
