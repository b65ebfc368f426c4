"""Fiducial cross-spectra of κ with the unlensed T and E.

The potentials that lens the CMB, as they decay, also warm it (the integrated Sachs-Wolfe effect),
and what was scattered at reionization is polarized by them. CAMB tabulated both once, for the
fiducial cosmology, into a file of their own, `kappa_correlations.dat`. To regenerate it (extra
`camb`, 20 s of a core):

    python -m lensing_tfds.sky.kappa_correlations --output lensing_tfds/sky/kappa_correlations.dat
"""

import argparse
import functools
import importlib.resources
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    text = importlib.resources.files(__package__).joinpath(TABLE).read_text("utf-8")
    rows = np.loadtxt(text.splitlines())
    columns = np.zeros((2, len(rows) + 2))
    columns[:, 2:] = rows[:, 1:].T
    columns.flags.writeable = False  # one copy is shared by everybody
    return KappaCorrelations(*columns)


def main(argv: Sequence[str] | None = None) -> None:
    """Regenerates the packaged table."""
    parser = argparse.ArgumentParser(
        prog="python -m lensing_tfds.sky.kappa_correlations",
        description=main.__doc__,
        allow_abbrev=False,
    )
    parser.add_argument("--output", type=pathlib.Path, required=True, help="file to write")
    arguments = parser.parse_args(argv)
    from lensing_tfds.sky import camb_spectra

    text = camb_spectra.compute_kappa_correlations()
    arguments.output.expanduser().write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
