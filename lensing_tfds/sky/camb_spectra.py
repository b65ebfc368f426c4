"""Cosmological parameters -> the table of spectra, by CAMB, with every setting said.

CAMB's defaults change between releases, and tables must not change with them in silence: each
setting that its accuracy depends on is set here, and the table's header holds all of them and
CAMB's version.

A cosmology of a config's own is computed to the accuracy that its grid needs. Against the packaged
table, which took 450 s of a core and 3.5 GB, with the same cosmology (`python -m
benchmarks.camb_accuracy`; rms of each band of multipoles), κ and the lensed spectra differ by less
than 0.06 % (EE below l = 30 by 0.07 %), unlensed ones by less than 0.06 % to l = 4,000 and 0.5 %
to 6,000. Beyond, where nearly all power is made by lensing, unlensed TT differs by less than 2 %,
and unlensed EE and TE, below 4 % of the lensed ones (0.3 % from l = 8,000 on), are known to tens of
per cent only.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.fiducial import COLUMNS, COSMOLOGY, LMAX

PARAMETERS = frozenset(
    (
        *("H0", "cosmomc_theta", "thetastar", "ombh2", "omch2", "omk", "TCMB", "YHe"),
        *("mnu", "num_massive_neutrinos", "neutrino_hierarchy", "nnu", "meffsterile"),
        *("standard_neutrino_neff", "bbn_predictor", "tau", "zrei", "deltazrei"),
        *("As", "ln10^10As", "ns", "nrun", "nrunrun", "pivot_scalar"),
        *("w", "wa", "cs2", "dark_energy_model"),
        *("halofit_version", "HMCode_A_baryon", "HMCode_eta_baryon", "HMCode_logT_AGN"),
    )
)
"""Names that a cosmology may have: physics that the maps follow, not how CAMB computes it.

(`Alens` would change CAMB's lensed spectra, and not the maps.)"""

TEXTS = frozenset(("neutrino_hierarchy", "bbn_predictor", "dark_energy_model", "halofit_version"))
"""Those of them whose values are texts; all others' are numbers."""

_FORMAT = 2  # of the table's text: counted up when it, or what it is computed with, changes
_INSTEAD_OF = {"As": "ln10^10As", "cosmomc_theta": "H0", "thetastar": "H0", "zrei": "tau"}

_ACCURACY = dict.fromkeys(
    (
        *("AccuracyBoost", "lSampleBoost", "lAccuracyBoost", "TimeStepBoost", "TimeSwitchBoost"),
        *("BackgroundTimeStepBoost", "IntTolBoost", "SourcekAccuracyBoost", "IntkAccuracyBoost"),
        *("TransferkBoost", "NonFlatIntAccuracyBoost", "BessIntBoost", "LensingBoost"),
        *("NonlinSourceBoost", "BesselBoost", "LimberBoost", "SourceLimberBoost", "KmaxBoost"),
        "neutrino_q_boost",
    ),
    1.0,
) | {"AccuratePolarization": True, "AccurateBB": False, "AccurateReionization": True}

_GLOBAL = {
    "AccuracyTarget": 1,
    "enable_do_near_flat_integration": True,
    "enable_near_flat_smallchi_integration": True,
    "enable_olver_source_integration": False,
    "enable_shifted_nu_scalar_approx": True,
    "lensing_includes_tensors": False,
    "lensing_sanity_check_amplitude": 1e-7,
}
"""Of `camb.config`; those that a release does not have are not set."""


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """The range and the accuracy of CAMB's computation, and its cost.

    Attributes:
      lmax: the table's largest multipole.
      margin: how far beyond it CAMB goes: its lensed spectra are inaccurate at their end.
      boosts: settings of CAMB's `Accuracy` that are not at 1.
      core_seconds: time on one core of an AMD EPYC that nobody else uses.
      gigabytes: memory at most.
    """

    lmax: int
    margin: int
    core_seconds: int
    gigabytes: float
    boosts: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """CAMB's parameters that are not of the cosmology, by their names."""
        max_l = self.lmax + self.margin + 200
        return {
            "max_l": max_l,
            "lens_output_margin": 200,
            "max_eta_k": 8 * 18_000.0,  # `lens_potential_accuracy` of 8
            "min_l_logl_sampling": 5000,
            "DoLateRadTruncation": True,
            "use_cl_spline_template": True,
            "Log_lvalues": False,
            "MassiveNuMethod": "Nu_best",
            "DoLensing": True,
            "WantTensors": False,
            "NonLinear": "NonLinear_both",
            "NonLinearModel.Min_kh_nonlinear": 0.005,
            "Reion.tau_solve_accuracy_boost": 1.0,
            "Reion.timestep_boost": 1.0,
            "SourceTerms.limber_windows": True,
            "SourceTerms.limber_phi_lmin": 100,
        } | {f"Accuracy.{name}": value for name, value in (_ACCURACY | dict(self.boosts)).items()}


FIDUCIAL = Accuracy(LMAX, 2000, 450, 3.5, {"AccuracyBoost": 2.0, "lAccuracyBoost": 1.5})
"""That of the packaged table."""

TIERS = (
    Accuracy(4000, 2000, 20, 1.2),
    Accuracy(8000, 3000, 45, 1.3),
    Accuracy(LMAX, 2000, 120, 1.5),
)
"""Those of a cosmology of a config's own. Few, so that configs whose grids differ share a table."""


def accuracy_for(lmax: float) -> Accuracy:
    """Returns the least that reaches a multipole, or the largest: modes beyond it have no power."""
    return next((tier for tier in TIERS if tier.lmax >= lmax), TIERS[-1])


def cosmology_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fiducial cosmology but for what is named."""
    cosmology = COSMOLOGY | dict(parameters)
    for given, replaced in _INSTEAD_OF.items():
        if given in parameters and replaced not in parameters:
            cosmology.pop(replaced, None)
    return cosmology


def address(parameters: Mapping[str, Any], accuracy: Accuracy) -> str:
    """Returns a hash of all that a table is a function of, CAMB's release included.

    Raises:
      ImportError: CAMB is not installed.
    """
    import camb  # an optional extra: only this function and the next need it

    content = [_FORMAT, camb.__version__, cosmology_of(parameters), accuracy.settings, _GLOBAL]
    return hashlib.sha256(repr(content).encode()).hexdigest()[:32]


def model_of(parameters: Mapping[str, Any]) -> Any:
    """Returns CAMB's model of a cosmology, which takes no time, and refuses most impossible values.

    Args:
      parameters: names of `PARAMETERS` to values, in place of those of `COSMOLOGY`.

    Raises:
      ImportError: CAMB is not installed.
      Exception: CAMB's own kinds: an impossible value.
    """
    import camb

    of_camb = {"halofit_version": "mead2020"} | cosmology_of(parameters)
    if "ln10^10As" in of_camb:
        of_camb["As"] = np.exp(of_camb.pop("ln10^10As")) * 1e-10
    return camb.set_params(**of_camb)


def compute(parameters: Mapping[str, Any] | None = None, accuracy: Accuracy = FIDUCIAL) -> str:
    """Computes a table with CAMB and returns its text; that of the packaged file by default.

    Args:
      parameters: names of `PARAMETERS` to values, in place of those of `COSMOLOGY`.
      accuracy: how far, and how accurately.

    Raises:
      ImportError: CAMB is not installed (`pip install lensing-tfds[camb]`).
      camb.CAMBError: an impossible value.
    """
    cosmology = cosmology_of(parameters or {})
    with _results(parameters or {}, accuracy) as (results, settings):
        options = {"lmax": accuracy.lmax, "CMB_unit": "muK", "raw_cl": True}
        unlensed = results.get_unlensed_scalar_cls(**options)
        lensed = results.get_lensed_scalar_cls(**options)
        gradient = results.get_lensed_gradient_cls(**options)
        # CAMB's lensing potential column is [l(l+1)]² C_φφ / 2π.
        kappa = results.get_lens_potential_cls(lmax=accuracy.lmax)[:, 0] * 2 * np.pi / 4

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
        settings,
        f"address: {address(parameters or {}, accuracy)}",
        again,
        "ell " + " ".join(COLUMNS),
    ]
    table = np.column_stack(
        [unlensed[:, [0, 1, 3]], lensed, kappa, gradient[:, [0, 1, 4]]]  # TT, EE, TE
    )
    return _text(header, table)


def compute_kappa_correlations() -> str:
    """Computes the correlation of κ with T and E in the fiducial cosmology; the table's text.

    The unlensed T is correlated with κ by the integrated Sachs-Wolfe effect, and E by the
    scattering at reionization.

    Raises:
      ImportError: CAMB is not installed (`pip install lensing-tfds[camb]`).
    """
    accuracy = TIERS[0]
    with _results({}, accuracy) as (results, settings):
        potential = results.get_lens_potential_cls(lmax=accuracy.lmax, CMB_unit="muK")
    ell = np.maximum(np.arange(accuracy.lmax + 1), 1)
    # CAMB's columns are [l(l+1)]^1.5 C_Tφ / 2π, and the same of E.
    table = potential[:, 1:] * np.pi / np.sqrt(ell * (ell + 1))[:, None]
    header = [
        "Correlation of kappa with T and E of lensing-tfds: raw C_l, no l(l+1)/2pi, muK.",
        f"cosmology (flat LambdaCDM, Planck 2018 arXiv:1807.06209): {COSMOLOGY}",
        settings,
        "regenerate: python -m lensing_tfds.sky.kappa_correlations "
        "--output lensing_tfds/sky/kappa_correlations.dat",
        "ell T_kappa E_kappa",
    ]
    return _text(header, table)


@contextmanager
def _results(parameters: Mapping[str, Any], accuracy: Accuracy) -> Iterator[tuple[Any, str]]:
    """Yields what CAMB found of a cosmology, and its release and settings in words."""
    import camb

    model = model_of(parameters)
    settings = {name: v for name, v in accuracy.settings.items() if set_parameter(model, name, v)}
    with _global_settings(camb) as global_settings:
        words = f"CAMB {camb.__version__}, settings: {settings | global_settings}"
        yield camb.get_results(model), words


def _text(header: Sequence[str], table: NDArray[np.float64]) -> str:
    """A table, a row for each l from 2 on, under its header."""
    lines = [f"# {line}" for line in header]
    for ell in range(2, len(table)):
        lines.append(f"{ell} " + " ".join(f"{value:.8e}" for value in table[ell]))
    return "\n".join(lines) + "\n"


def set_parameter(model: Any, name: str, value: Any) -> bool:
    """Sets a parameter of CAMB's model by its dotted name; whether this release has it."""
    *path, last = name.split(".")
    for part in path:
        model = getattr(model, part)
    known = hasattr(model, last)
    if known:
        setattr(model, last, value)
    return known


@contextmanager
def _global_settings(camb: ModuleType) -> Iterator[dict[str, Any]]:
    """Sets CAMB's settings of the whole process, and puts back what they were."""
    config = camb.config
    wanted = {name: value for name, value in _GLOBAL.items() if hasattr(config, name)}
    # Lensing on the curved sky by correlation functions: 5 is how CAMB 2 calls it, 1 CAMB 1.
    wanted["lensing_method"] = 5 if "AccuracyTarget" in wanted else 1
    before = {name: getattr(config, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(config, name, value)
        yield wanted
    finally:
        for name, value in before.items():
            setattr(config, name, value)
