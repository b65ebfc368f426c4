"""Fiducial cross-spectra of κ with the unlensed T and E.

The potentials that lens the CMB, as they decay, also warm it (the integrated Sachs-Wolfe effect),
and what was scattered at reionization is polarized by them. CAMB tabulated both once, for the
fiducial cosmology, into a file of their own, `kappa_correlations.dat`. To regenerate it (extra
`camb`, 20 s of a core):

    python -m lensing_tfds.sky.kappa_correlations --output lensing_tfds/sky/kappa_correlations.dat
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky import tables

TABLE = "kappa_correlations.dat"


class KappaCorrelations(NamedTuple):
    """Cross-spectra at ell = 0, 1, ..., lmax, µK; beyond, both count as zero.

    Attributes:
      T: of T and κ, float64 of shape (lmax + 1,); zero at ell = 0 and 1.
      E: of E and κ.
    """

    T: NDArray[np.float64]
    E: NDArray[np.float64]


@functools.cache
def fiducial() -> KappaCorrelations:
    """Returns the packaged cross-spectra."""
    return KappaCorrelations(*tables.columns_of(tables.packaged(TABLE), 2))


def main(argv: Sequence[str] | None = None) -> None:
    """Regenerates the packaged table."""
    from lensing_tfds.sky import camb_spectra

    tables.regenerate("kappa_correlations", camb_spectra.compute_kappa_correlations, argv)


if __name__ == "__main__":
    main()
