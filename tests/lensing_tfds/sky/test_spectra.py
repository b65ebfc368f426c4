"""The packaged spectra: CAMB's, of the stated cosmology, in the stated units."""

import importlib.resources

import numpy as np
import pytest

from lensing_tfds.sky import spectra


def test_the_table_reaches_as_far_as_configs_believe():
    assert spectra.fiducial().lmax == spectra.LMAX == 16_000


def test_the_table_is_what_camb_computes_today():
    """Units, normalisation, κ = l(l+1)φ/2 and the cosmology, at CAMB's plain accuracy."""
    camb = pytest.importorskip("camb")
    cosmology = spectra.COSMOLOGY
    parameters = camb.set_params(
        H0=cosmology["H0"],
        ombh2=cosmology["ombh2"],
        omch2=cosmology["omch2"],
        tau=cosmology["tau"],
        ns=cosmology["ns"],
        mnu=cosmology["mnu"],
        As=np.exp(cosmology["ln10^10As"]) * 1e-10,
        lmax=5000,
        lens_potential_accuracy=4,
        halofit_version="mead2020",
    )
    results = camb.get_results(parameters)
    ell = np.arange(2, 2501)
    to_raw = 2 * np.pi / (ell * (ell + 1))
    table = spectra.fiducial()
    unlensed = results.get_unlensed_scalar_cls(lmax=2500, CMB_unit="muK")[ell]
    lensed = results.get_lensed_scalar_cls(lmax=2500, CMB_unit="muK")[ell]
    phi = results.get_lens_potential_cls(lmax=2500)[ell, 0] * 2 * np.pi / (ell * (ell + 1.0)) ** 2
    # 0.4 %: CAMB's accuracy at its default settings (κ also carries non-linear growth).
    np.testing.assert_allclose(table.TT[ell], unlensed[:, 0] * to_raw, rtol=4e-3)
    np.testing.assert_allclose(table.lensed_TT[ell], lensed[:, 0] * to_raw, rtol=4e-3)
    np.testing.assert_allclose(table.lensed_BB[ell], lensed[:, 2] * to_raw, rtol=1e-2)
    gradient = results.get_lensed_gradient_cls(lmax=2500, CMB_unit="muK")[ell]
    for name, column in (("TT", 0), ("EE", 1), ("TE", 4)):
        ours, theirs = getattr(table, f"gradient_{name}")[ell], gradient[:, column] * to_raw
        scale = np.sqrt(table.TT * table.EE)[ell] if name == "TE" else theirs
        np.testing.assert_array_less(np.abs(ours - theirs), 4e-3 * scale)
    np.testing.assert_allclose(table.kappa[ell], (ell * (ell + 1) / 2) ** 2 * phi, rtol=1e-2)


def test_interpolation_meets_the_table_at_integers_and_is_smooth_between():
    """Between integers, against eight-point Lagrange interpolation: to 1e-5 of C_l."""
    table = spectra.fiducial().TT
    ell = np.arange(30.0, 8000.0)
    np.testing.assert_allclose(spectra.at_multipoles(table, ell), table[30:8000], rtol=1e-12)
    # Weights of the eight nearest integers at a point halfway between the middle two.
    weights = np.array([-5, 49, -245, 1225, 1225, -245, 49, -5]) / 2048
    scaled = np.arange(spectra.LMAX + 1.0) ** 2 * table
    halfway = sum(w * scaled[27 + i : 7997 + i] for i, w in enumerate(weights)) / (ell + 0.5) ** 2
    np.testing.assert_allclose(spectra.at_multipoles(table, ell + 0.5), halfway, rtol=1e-5)


def test_modes_outside_the_band_are_zero():
    ell = np.array([0.0, 1.9, 2.0, 99.9, 100.0, 100.1, 15_999.5, 16_000.1])
    table = spectra.fiducial().kappa
    assert list(spectra.at_multipoles(table, ell) > 0) == [False, False, *[True] * 5, False]
    assert list(spectra.at_multipoles(table, ell, 100) > 0) == [
        False, False, True, True, True, False, False, False,
    ]  # fmt: skip


def test_the_file_says_where_it_comes_from():
    text = importlib.resources.files("lensing_tfds.sky").joinpath(spectra.TABLE).read_text()
    header = [line for line in text.splitlines() if line.startswith("#")]
    assert any("CAMB 2." in line for line in header)
    assert any(str(spectra.COSMOLOGY["H0"]) in line for line in header)
    assert any("python -m lensing_tfds.sky.spectra" in line for line in header)
