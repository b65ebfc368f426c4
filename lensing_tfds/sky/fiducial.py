"""The fiducial cosmology, and what a table of its spectra holds."""

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

COLUMNS = (
    "TT", "EE", "TE",
    "lensed_TT", "lensed_EE", "lensed_BB", "lensed_TE",
    "kappa",
    "gradient_TT", "gradient_EE", "gradient_TE",
)  # fmt: skip
"""Of a table's rows, after ell."""
