"""The spectrum of the unlensed B is that of simulated skies."""

import dataclasses

import numpy as np
import pytest

from estimators.posterior.unlensed_b import has_unlensed_b, unlensed_b_power
from lensing_tfds import simulate
from lensing_tfds.config_fields.optical_depth import OpticalDepth
from lensing_tfds.config_fields.rotation import Rotation
from lensing_tfds.config_fields.tensors import Tensors
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.sky import polarization
from lensing_tfds.sky.binning import Bins

CONFIG = LensingConfig("turned", npix=64, lx=6.0, stokes="QU", kappa_exaggeration_factor=1e-6)


@pytest.mark.parametrize(
    ("fields", "edges"),
    [
        ({"rotation": Rotation(1e-4)}, (200, 600, 1000, 1500)),
        ({"optical_depth": OpticalDepth(rms=0.05, L_c=400.0)}, (200, 600, 1000, 1500)),
        ({"tensors": Tensors(0.1, 0.1)}, (60, 200, 400)),
    ],
)
def test_it_is_that_of_simulated_skies(fields, edges):
    config = dataclasses.replace(CONFIG, **fields)
    assert has_unlensed_b(config)
    table, sky = spectra_of(config), config.sky
    skies = simulate(config, "train", range(24))["lensed"]  # by next to nothing
    q, u = (sky.to_modes(np.ascontiguousarray(skies[..., i])) for i in range(2))
    _, b = polarization.to_eb(q, u, sky)
    bins = Bins.between(edges, sky)
    powers = bins.mean(np.abs(b) ** 2) * sky.area
    expected = bins.mean(unlensed_b_power(config, table))
    error = powers.std(axis=0) / np.sqrt(len(powers)) + 0.02 * expected  # of higher orders
    np.testing.assert_array_less(np.abs(powers.mean(axis=0) - expected), 4 * error)
    np.testing.assert_array_less(error, 0.15 * expected)


def test_other_skies_have_none():
    assert not has_unlensed_b(CONFIG)
    assert not has_unlensed_b(dataclasses.replace(CONFIG, stokes="T"))
    assert not np.any(unlensed_b_power(CONFIG, spectra_of(CONFIG)))
