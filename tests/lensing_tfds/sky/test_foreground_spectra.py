"""Foregrounds' spectra: the published amplitudes in the published units."""

import numpy as np
import pytest

from lensing_tfds.sky import foreground_spectra


def d_ell(component, ell):
    return foreground_spectra.spectrum(component, np.array(ell)) * ell * (ell + 1) / 2 / np.pi


@pytest.mark.parametrize("component", foreground_spectra.POWERS)
def test_amplitudes_at_the_pivot(component):
    """The thermal effect's at 143 GHz, where it was measured, is 19 % above that at 150."""
    factor = 1 / 1.19 if component == "tsz" else 1
    expected = factor * foreground_spectra.POWERS[component]
    assert d_ell(component, 3000.0) == pytest.approx(expected, rel=0.01 if factor != 1 else 1e-3)
    assert foreground_spectra.spectrum(component, np.array(0.0)) == 0


def test_shapes():
    for white in ("radio", "dusty"):
        low, high = (foreground_spectra.spectrum(white, np.array(ell)) for ell in (100.0, 9e3))
        assert low == pytest.approx(high)
    assert d_ell("cib", 6000.0) / d_ell("cib", 3000.0) == pytest.approx(2**0.8, rel=1e-3)
    assert d_ell("tsz", 500.0) / d_ell("tsz", 3000.0) == pytest.approx(0.5, abs=0.05)
    assert d_ell("tsz", 1e4) / d_ell("tsz", 3000.0) == pytest.approx(0.6, abs=0.05)


def test_units():
    """dB/dT and the thermal effect at 150 GHz as astronomers know them; the mean CIB of FIRAS."""
    assert foreground_spectra.jansky_per_uK() == pytest.approx(398.6, rel=1e-3)
    assert foreground_spectra.tsz_spectrum(150e9) / 2.7255e6 == pytest.approx(-0.953, abs=1e-3)
    assert foreground_spectra.tsz_spectrum(217.5e9) == pytest.approx(0, abs=0.01e6)
    intensity = foreground_spectra.lognormal_scale("cib") * foreground_spectra.jansky_per_uK()
    assert 0.01e6 < intensity < 0.03e6  # Jy / sr


def test_the_sum_and_its_correlation_with_kappa():
    ell, kappa = np.array([500.0, 3000.0]), np.array([1e-7, 1e-8])
    amplitudes = {"cib": 2.0, "tsz": 1.0, "radio": 0.0}
    cib, tsz = (foreground_spectra.spectrum(name, ell) for name in ("cib", "tsz"))
    total = 4 * cib + tsz - 2 * 2 * 0.1 * np.sqrt(cib * tsz)
    np.testing.assert_allclose(foreground_spectra.total(amplitudes, ell), total)
    cross = 2 * 0.8 * np.sqrt(cib * kappa) - 0.33 * np.sqrt(tsz * kappa)
    found = foreground_spectra.total_kappa_cross(amplitudes, ell, kappa)
    np.testing.assert_allclose(found, cross)
