"""Fiducial power spectra of the CMB and of the convergence κ.

One cosmology serves every version: flat ΛCDM, the Planck 2018 best fit (TT,TE,EE+lowE+lensing,
arXiv:1807.06209, table 2), with CAMB's default massive neutrino. CAMB tabulated it once into the
packaged file `fiducial_spectra.dat`, whose header holds the provenance; nothing else needs CAMB,
except a config with a cosmology of its own (see `cosmology`, `camb_spectra`).
To regenerate the file (extra `camb`, 450 s of a core):

    python -m lensing_tfds.sky.spectra --output lensing_tfds/sky/fiducial_spectra.dat
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from lensing_tfds.sky import tables, tensor_spectra
from lensing_tfds.sky.fiducial import COLUMNS as COLUMNS
from lensing_tfds.sky.fiducial import COSMOLOGY as COSMOLOGY
from lensing_tfds.sky.fiducial import LMAX as LMAX
from lensing_tfds.sky.tensor_spectra import TensorSpectra

TABLE = "fiducial_spectra.dat"


@dataclasses.dataclass(frozen=True)
class PowerSpectra:
    """Angular power spectra at ell = 0, 1, ..., lmax: raw C_l, no l(l+1)/2π.

    Attributes:
      TT: unlensed temperature, µK², float64 of shape (lmax + 1,). Like every other spectrum
        here, zero at ell = 0 and 1.
      EE: unlensed E polarization, µK².
      TE: their cross-spectrum, µK².
      lensed_TT: lensed temperature, µK².
      lensed_EE: lensed E, µK².
      lensed_BB: lensed B (the unlensed B is zero: without tensors), µK².
      lensed_TE: lensed cross-spectrum, µK².
      kappa: convergence, [l(l+1)]²/4 of the lensing potential's spectrum, dimensionless.
      gradient_TT: lensed temperature with its lensed gradient, µK²: what a small further deflection
        changes lensed maps by (Lewis, Challinor & Hanson 2011, arXiv:1101.2234, appendix C).
        Like `lensed_TT` where lensing is weak, a third of it at ell = 5,000.
      gradient_EE: the same of E.
      gradient_TE: the same of T and E.
      tensors: what gravitational waves add at r = 1, before lensing; None where it is not known.
    """

    TT: NDArray[np.float64]
    EE: NDArray[np.float64]
    TE: NDArray[np.float64]
    lensed_TT: NDArray[np.float64]
    lensed_EE: NDArray[np.float64]
    lensed_BB: NDArray[np.float64]
    lensed_TE: NDArray[np.float64]
    kappa: NDArray[np.float64]
    gradient_TT: NDArray[np.float64]
    gradient_EE: NDArray[np.float64]
    gradient_TE: NDArray[np.float64]
    tensors: TensorSpectra | None = None

    @property
    def lmax(self) -> int:
        """The largest multipole in the table."""
        return len(self.TT) - 1


@functools.cache
def fiducial_with_tensors() -> PowerSpectra:
    """Returns the packaged fiducial spectra, and those of tensors."""
    return dataclasses.replace(fiducial(), tensors=tensor_spectra.fiducial())


@functools.cache
def fiducial() -> PowerSpectra:
    """Returns the packaged fiducial spectra, to ell = 16,000."""
    return parse(tables.packaged(TABLE))


def parse(text: str) -> PowerSpectra:
    """Reads a table as `camb_spectra.compute` writes it, and one of tensors if it stands behind it.

    Raises:
      ValueError: it is no such table, or not the whole of one, or no fields have such spectra.
    """
    text, title, of_tensors = text.partition(f"# {tensor_spectra.TITLE}")
    tensors = tensor_spectra.parse(title + of_tensors) if title else None
    found = PowerSpectra(*tables.columns_of(text, len(COLUMNS)))
    table = dataclasses.replace(found, tensors=tensors)
    powers = np.minimum(np.minimum(table.TT, table.EE), table.kappa)[2:]
    impossible = (powers <= 0) | (table.TE**2 > table.TT * table.EE)[2:]
    if impossible.any():
        raise ValueError(f"no fields have these TT, EE, TE or κκ at l = {2 + impossible.argmax()}")
    return table


def at_multipoles(
    c_ell: NDArray[np.float64], ell: NDArray[np.floating], lmax: float | None = None
) -> NDArray[np.float64]:
    """Evaluates a tabulated spectrum at the (non-integer) multipoles of a flat-sky grid.

    l(l+1) C_l is interpolated by a cubic spline, because it is smooth where C_l is steep.

    Args:
      c_ell: C_l at ell = 0, 1, ..., float64 of shape (table_lmax + 1,).
      ell: multipoles, any shape.
      lmax: modes above it are zero; modes beyond the table always are.

    Returns:
      C_l at `ell`, float64, the shape of `ell`; zero below ell = 2.
    """
    table_lmax = len(c_ell) - 1
    table_ell = np.arange(2.0, table_lmax + 1)
    spline = CubicSpline(table_ell, table_ell * (table_ell + 1) * c_ell[2:])
    inside = (ell >= 2) & (ell <= (table_lmax if lmax is None else min(lmax, table_lmax)))
    safe = np.where(inside, ell, 2.0)
    return np.where(inside, spline(safe) / (safe * (safe + 1)), 0.0)


def main(argv: Sequence[str] | None = None) -> None:
    """Regenerates the packaged table."""
    from lensing_tfds.sky import camb_spectra

    tables.regenerate("spectra", camb_spectra.compute, argv)


if __name__ == "__main__":
    main()
