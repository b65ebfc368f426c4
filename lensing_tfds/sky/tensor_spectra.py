"""Spectra of the CMB that primordial gravitational waves make, at a tensor-to-scalar ratio of 1.

The ratio r is that of the primordial spectra at k = 0.05 / Mpc, and the tensors' own is flat
(n_t = 0), so that all spectra are proportional to r. They are of the sky before lensing. CAMB
tabulated those of the fiducial cosmology once into the packaged file `fiducial_tensors.dat`; to
regenerate it (extra `camb`, 15 s of a core):

    python -m lensing_tfds.sky.tensor_spectra --output lensing_tfds/sky/fiducial_tensors.dat
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky import tables

TABLE = "fiducial_tensors.dat"

LMAX = 1000
"""Largest multipole of a table: beyond, at r = 1, B is below 0.3 % of what lensing makes."""

TITLE = "CMB spectra of tensors at r = 1"
"""First words of a table, by which it is known where it stands behind another."""

COLUMNS = ("TT", "EE", "BB", "TE")

_SETTINGS: Mapping[str, Any] = {
    "InitPower.r": 1.0,
    "InitPower.nt": 0.0,
    "InitPower.pivot_tensor": 0.05,
    "max_l_tensor": 1500,
    "max_eta_k_tensor": 6000.0,
    "max_l": 1500,
    "DoLensing": False,
    "WantTensors": True,
    "WantScalars": True,
    "NonLinear": "NonLinear_none",
    "Accuracy.AccuracyBoost": 2.0,
    "Accuracy.lAccuracyBoost": 2.0,
    "Accuracy.AccuratePolarization": True,
    "Accuracy.AccurateBB": True,
    "Accuracy.AccurateReionization": True,
}


@dataclasses.dataclass(frozen=True)
class TensorSpectra:
    """Spectra at ell = 0, 1, ..., `LMAX` for r = 1: raw C_l, µK², zero at ell = 0 and 1.

    Attributes:
      TT: temperature, float64 of shape (LMAX + 1,).
      EE: E polarization.
      BB: B polarization.
      TE: T with E.
    """

    TT: NDArray[np.float64]
    EE: NDArray[np.float64]
    BB: NDArray[np.float64]
    TE: NDArray[np.float64]


@functools.cache
def fiducial() -> TensorSpectra:
    """Returns the packaged table."""
    return parse(tables.packaged(TABLE))


def parse(text: str) -> TensorSpectra:
    """Reads a table as `compute` writes it.

    Raises:
      ValueError: it is no such table, or not the whole of one, or no fields have such spectra.
    """
    table = TensorSpectra(*tables.columns_of(text, len(COLUMNS), LMAX, "tensor spectra"))
    possible = np.minimum(np.minimum(table.TT, table.EE), table.BB)[2:] > 0
    possible &= (table.TE**2 <= table.TT * table.EE)[2:]
    if not possible.all():
        raise ValueError("no fields have these spectra of tensors")
    return table


def compute(parameters: Mapping[str, Any] | None = None) -> str:
    """Computes a table with CAMB and returns its text; that of the packaged file by default.

    Args:
      parameters: names of `camb_spectra.PARAMETERS` to values, in place of the fiducial ones.

    Raises:
      ImportError: CAMB is not installed.
      camb.CAMBError: an impossible value.
    """
    import camb

    from lensing_tfds.sky.camb_spectra import cosmology_of, model_of, set_parameter

    model = model_of(parameters or {})
    settings = {n: value for n, value in _SETTINGS.items() if set_parameter(model, n, value)}
    found = camb.get_results(model).get_tensor_cls(lmax=LMAX, CMB_unit="muK", raw_cl=True)
    header = [
        f"{TITLE}: raw C_l in muK^2, before lensing, flat primordial tensor spectrum.",
        f"cosmology: {cosmology_of(parameters or {})}",
        f"CAMB {camb.__version__}, settings: {settings}",
    ]
    if parameters is None:
        header.append(
            "regenerate: python -m lensing_tfds.sky.tensor_spectra "
            f"--output lensing_tfds/sky/{TABLE}"
        )
    header.append("ell " + " ".join(COLUMNS))
    lines = [f"# {line}" for line in header]
    for ell in range(2, LMAX + 1):
        lines.append(f"{ell} " + " ".join(f"{value:.8e}" for value in found[ell]))
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Regenerates the packaged table of tensors."""
    tables.regenerate("tensor_spectra", compute, argv)


if __name__ == "__main__":
    main()
