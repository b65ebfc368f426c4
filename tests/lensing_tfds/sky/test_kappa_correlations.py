"""The packaged correlation of κ with T and E: CAMB's, with its sign and its units."""

import dataclasses
import importlib.resources

import numpy as np
import pytest

from lensing_tfds import LensingConfig, simulate
from lensing_tfds.config_fields.kappa_distribution import KappaDistribution
from lensing_tfds.sky import kappa_correlations, spectra


def test_the_table_is_what_camb_computes_today():
    """At CAMB's plain accuracy, without its own convention for φ: to 2 % of where it matters."""
    camb = pytest.importorskip("camb")
    cosmology = spectra.COSMOLOGY
    parameters = camb.set_params(
        **{name: cosmology[name] for name in ("H0", "ombh2", "omch2", "tau", "ns", "mnu")},
        As=np.exp(cosmology["ln10^10As"]) * 1e-10,
        lmax=400,
        lens_potential_accuracy=1,
    )
    columns = camb.get_results(parameters).get_lens_potential_cls(lmax=100, CMB_unit="muK")
    ell = np.arange(2, 61)
    to_kappa = np.pi / np.sqrt(ell * (ell + 1))  # CAMB's is [l(l+1)]^1.5 C_Xφ / 2π
    table = kappa_correlations.fiducial()
    np.testing.assert_allclose(table.T[ell], columns[ell, 1] * to_kappa, rtol=0.02)
    scale = np.abs(table.E[ell]).max()
    np.testing.assert_allclose(table.E[ell], columns[ell, 2] * to_kappa, atol=0.02 * scale)


def test_overdensities_are_warm():
    """The integrated Sachs-Wolfe effect of decaying potentials: T and κ of one sign, to degrees."""
    table, of_sky = kappa_correlations.fiducial(), spectra.fiducial()
    correlation = table.T[2:50] / np.sqrt(of_sky.TT[2:50] * of_sky.kappa[2:50])
    assert (correlation > 0).all() and 0.3 < correlation[0] < 0.5
    assert not table.T[:2].any() and not table.E[:2].any()


def test_the_file_says_where_it_comes_from():
    text = importlib.resources.files("lensing_tfds.sky").joinpath(kappa_correlations.TABLE)
    header = [line for line in text.read_text().splitlines() if line.startswith("#")]
    assert any("CAMB 2." in line for line in header)
    assert any("python -m lensing_tfds.sky.kappa_correlations" in line for line in header)


def test_skies_have_it():
    """400 wide skies, where T and κ are correlated to 20 %: known to 0.03."""
    config = LensingConfig(
        "wide", npix=16, lx=60.0, stokes="TQU", unlensed_E=True,
        kappa=KappaDistribution(correlated=True),
    )  # fmt: skip
    maps = simulate(config, "train", range(400))
    sky, table, of_sky = config.sky, kappa_correlations.fiducial(), spectra.fiducial()
    kappa, t, e = (
        sky.to_modes(maps[name][..., 0].astype(float))
        for name in ("kappa", "unlensed", "unlensed_E")
    )
    for field, cross, auto in ((t, table.T, of_sky.TT), (e, table.E, of_sky.EE)):
        ring = sky.inner & (sky.ell > 5) & (sky.ell < 20)
        expected, power, of_kappa = (
            spectra.at_multipoles(c_ell, sky.ell)[ring] for c_ell in (cross, auto, of_sky.kappa)
        )
        measured = (field * kappa.conj()).real[:, ring] * sky.area
        rms = np.sqrt(power * of_kappa)
        weights = expected / rms
        found = (measured / rms * weights).mean(0).sum() / (weights**2).sum()
        error = 1 / np.sqrt(400 * (weights**2).sum())
        assert abs(found - 1) < 5 * error and error < 0.2
    apart = simulate(dataclasses.replace(config, kappa=None), "train", range(2))
    np.testing.assert_array_equal(apart["kappa"], maps["kappa"][:2])
