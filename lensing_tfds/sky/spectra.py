"""Fiducial power spectra of the CMB and of the convergence κ.

One cosmology serves every version: flat ΛCDM, the Planck 2018 best fit (TT,TE,EE+lowE+lensing,
arXiv:1807.06209, table 2), with CAMB's default massive neutrino. CAMB tabulated it once into the
packaged file `fiducial_spectra.dat`, whose header holds the provenance; nothing else needs CAMB,
except a config with a cosmology of its own (see `cosmology`).
To regenerate the file (extra `camb`, some minutes):

    python -m lensing_tfds.sky.spectra --output lensing_tfds/sky/fiducial_spectra.dat
"""

import argparse
import dataclasses
import functools
import importlib.resources
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

TABLE = "fiducial_spectra.dat"
LMAX = 16_000
"""Largest multipole of the packaged table."""

COSMOLOGY = {
    "H0": 67.36,
    "ombh2": 0.02237,
    "omch2": 0.1200,
    "tau": 0.0544,
    "ns": 0.9649,
    "ln10^10As": 3.044,
    "mnu": 0.06,
    "omk": 0.0,
}
"""Planck 2018 best fit; `mnu` in eV, one massive eigenstate as CAMB's default."""

_COLUMNS = (
    "TT", "EE", "TE",
    "lensed_TT", "lensed_EE", "lensed_BB", "lensed_TE",
    "kappa",
    "gradient_TT", "gradient_EE", "gradient_TE",
)  # fmt: skip


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
      lensed_BB: lensed B (the unlensed B is zero: no tensors), µK².
      lensed_TE: lensed cross-spectrum, µK².
      kappa: convergence, [l(l+1)]²/4 of the lensing potential's spectrum, dimensionless.
      gradient_TT: lensed temperature with its lensed gradient, µK²: what a small further deflection
        changes lensed maps by (Lewis, Challinor & Hanson 2011, arXiv:1101.2234, appendix C).
        Like `lensed_TT` where lensing is weak, a third of it at ell = 5,000.
      gradient_EE: the same of E.
      gradient_TE: the same of T and E.
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

    @property
    def lmax(self) -> int:
        """The largest multipole in the table."""
        return len(self.TT) - 1


@functools.cache
def fiducial() -> PowerSpectra:
    """Returns the packaged fiducial spectra, to ell = 16,000."""
    return parse(importlib.resources.files(__package__).joinpath(TABLE).read_text("utf-8"))


def parse(text: str) -> PowerSpectra:
    """Reads a table as `compute_with_camb` writes it."""
    rows = np.loadtxt(text.splitlines(), dtype=np.float64)
    columns = np.zeros((len(_COLUMNS), len(rows) + 2))
    columns[:, 2:] = rows[:, 1:].T
    columns.flags.writeable = False  # one copy is shared by everybody
    return PowerSpectra(*columns)


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


def compute_with_camb(parameters: Mapping[str, Any] | None = None) -> str:
    """Computes a table with CAMB and returns its text; that of the packaged file by default.

    With both boosts at 1, κ and the lensed spectra differ by less than 0.15 % (at 13 multipoles
    from 10 to 16,000), unlensed TT by up to 0.6 % to ell = 10,000 and 1.7 % at 16,000, where it
    is 2e-3 of the lensed power. Unlensed EE from ell = 8,000 on is known to tens of per cent
    only; there it is below 1e-3 of the lensed power.

    Args:
      parameters: names that `camb.set_params` knows to values, in place of those of `COSMOLOGY`.

    Raises:
      ImportError: CAMB is not installed (`pip install lensing-tfds[camb]`).
      camb.CAMBError: a parameter that CAMB does not know, or an impossible value.
    """
    import camb  # an optional extra: only this function needs it

    cosmology = COSMOLOGY | dict(parameters or {})
    for given, replaced in (("As", "ln10^10As"), ("cosmomc_theta", "H0"), ("thetastar", "H0")):
        if given in cosmology and replaced not in (parameters or {}):
            cosmology.pop(replaced, None)

    settings = {
        "lmax": LMAX + 2000,  # CAMB's lensed spectra are inaccurate at the end of their range
        "lens_potential_accuracy": 8,
        "AccuracyBoost": 2,
        "lAccuracyBoost": 1.5,
        "halofit_version": "mead2020",
    }
    of_camb = {name: value for name, value in cosmology.items() if name != "ln10^10As"}
    if "ln10^10As" in cosmology:
        of_camb["As"] = np.exp(cosmology["ln10^10As"]) * 1e-10
    model = camb.set_params(**{"halofit_version": settings["halofit_version"]} | of_camb)
    model.set_for_lmax(
        settings["lmax"], lens_potential_accuracy=settings["lens_potential_accuracy"]
    )
    model.set_accuracy(
        AccuracyBoost=settings["AccuracyBoost"], lAccuracyBoost=settings["lAccuracyBoost"]
    )
    model.NonLinear = camb.model.NonLinear_both
    results = camb.get_results(model)
    options = {"lmax": LMAX, "CMB_unit": "muK", "raw_cl": True}
    unlensed = results.get_unlensed_scalar_cls(**options)
    lensed = results.get_lensed_scalar_cls(**options)
    gradient = results.get_lensed_gradient_cls(**options)
    # CAMB's lensing potential column is [l(l+1)]² C_φφ / 2π.
    kappa = results.get_lens_potential_cls(lmax=LMAX)[:, 0] * 2 * np.pi / 4

    if parameters is None:
        title = "Fiducial CMB and lensing spectra of lensing-tfds"
        source = "cosmology (flat LambdaCDM, Planck 2018 arXiv:1807.06209)"
        again = (
            "regenerate: python -m lensing_tfds.sky.spectra "
            "--output lensing_tfds/sky/fiducial_spectra.dat"
        )
    else:
        title, source = "CMB and lensing spectra of lensing-tfds", "cosmology"
        again = "of a config with a cosmology of its own"
    header = [
        f"{title}: raw C_l, no l(l+1)/2pi.",
        "T, E, B in muK^2; kappa dimensionless, kappa = -1/2 laplacian(phi).",
        f"{source}: {cosmology}",
        f"CAMB {camb.__version__}, settings: {settings}",
        again,
        "ell " + " ".join(_COLUMNS),
    ]
    lines = [f"# {line}" for line in header]
    table = np.column_stack(
        [unlensed[:, [0, 1, 3]], lensed, kappa, gradient[:, [0, 1, 4]]]  # TT, EE, TE
    )
    for ell in range(2, LMAX + 1):
        lines.append(f"{ell} " + " ".join(f"{value:.8e}" for value in table[ell]))
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Regenerates the packaged table."""
    parser = argparse.ArgumentParser(
        prog="python -m lensing_tfds.sky.spectra", description=main.__doc__, allow_abbrev=False
    )
    parser.add_argument("--output", type=pathlib.Path, required=True, help="file to write")
    arguments = parser.parse_args(argv)
    arguments.output.expanduser().write_text(compute_with_camb(), encoding="utf-8")


if __name__ == "__main__":
    main()
