"""An ensemble has what follows from a config and its spectra, and computes it once."""

import dataclasses

import numpy as np
import pytest

from estimators import power_spectra
from estimators.ensemble import SkyEnsemble
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.versions import VERSIONS
from tests.estimators import skies


@pytest.mark.parametrize("npix", [15, 16, 50])
def test_the_expected_spectrum_is_the_mean_over_all_modes_of_the_bands(npix):
    """By the whole plane's multipoles, of which the half plane's are mirrored."""
    config = dataclasses.replace(skies.CONFIG, npix=npix)
    ensemble = SkyEnsemble.of(config)
    ell = skies.grid_multipoles(npix, config.side)
    expected = skies.band_average(ensemble.bands, kappa_power(config, ensemble.theory, ell))
    np.testing.assert_allclose(ensemble.expected_cl, expected, rtol=1e-12)


def test_what_is_asked_for_twice_is_computed_once(monkeypatch):
    ensemble = SkyEnsemble.of(VERSIONS["v8"])
    first = ensemble.bands, ensemble.kappa_power, ensemble.expected_cl
    monkeypatch.setattr(power_spectra, "choose_bands", None)
    assert all(
        a is b
        for a, b in zip(
            first, (ensemble.bands, ensemble.kappa_power, ensemble.expected_cl), strict=True
        )
    )


def test_exaggerated_kappa_has_the_factor_squared_and_the_cut():
    v3, v4 = (SkyEnsemble.of(VERSIONS[name]) for name in ("v3", "v4"))
    np.testing.assert_allclose(v3.kappa_power, 100 * v4.kappa_power)
    assert not v4.kappa_power[VERSIONS["v4"].sky.ell > 50].any()
