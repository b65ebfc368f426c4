"""B band powers inside a mask: nothing leaks from E, and the split keeps the tensors."""

import dataclasses

import numpy as np
import pytest

from estimators.delensing.delensed_skies import UNDELENSED
from estimators.delensing.masked_skies import masked_delensed_skies
from estimators.delensing.split_b_modes import SHARED, SPLIT
from estimators.filtering.masked_patch import MaskedPatch
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.config_fields.tensors import Tensors
from lensing_tfds.configs import LENSED, LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky.binning import Bins

CONFIG = LensingConfig(
    name="masked_tensors", npix=64, lx=64 * 3.0 / 60, stokes="QU", oversampling=2,
    beam_arcmin=2.0, noise_uK_arcmin=1.0,
    mask=Mask(border=0.2, edge=0.3, multiplies="signal"), tensors=Tensors(r_min=0.0, r_max=0.1),
)  # fmt: skip
CUT = 700.0
BANDS = Bins.between([200, 450, CUT], CONFIG.sky)


@pytest.fixture(name="skies", scope="module")
def skies_fixture():
    return masked_delensed_skies(CONFIG, 1.0, BANDS, CUT, 24, 24)


def test_maps_are_linear_in_the_tensors():
    none, some, twice = (
        simulate(dataclasses.replace(CONFIG, tensors=Tensors(low, high)), "test", [3])
        for low, high in ((0.0, 1e-12), (0.1, 0.1), (0.4, 0.4))
    )
    np.testing.assert_array_equal(none["kappa"], twice["kappa"])
    added = some[LENSED] - none[LENSED]
    assert np.abs(added).max() > 0.05
    np.testing.assert_allclose(twice[LENSED] - none[LENSED], 2 * added, atol=1e-4)


def test_no_b_is_made_of_e(skies):
    """B inside the mask has the power of lensing and noise, less what the filter holds back.

    Where the mask is not one it does, a fifth here. Of maps that are only multiplied by the mask B
    has 2.6 and 1.8 times the power, in the same window.
    """
    observation = Observation.of(dataclasses.replace(CONFIG, tensors=None), spectra_of(CONFIG))
    inverse = np.where(BANDS.index >= 0, 1 / np.maximum(observation.beam, 1e-3), 0.0)
    expected = BANDS.mean(observation.total("B", "B") * inverse**2)
    share = skies.without[UNDELENSED].mean(axis=0) / expected
    assert (share > 0.6).all() and (share < 1.1).all()

    lowest = dataclasses.replace(CONFIG, tensors=Tensors(0.0, 1e-12))
    maps = simulate(lowest, "test", range(24))[LENSED].astype(float)
    sky, window = CONFIG.sky, MaskedPatch.of(lowest).interior
    b = sky.to_map(inverse * fields_of(maps, "QU", sky)["B"])
    powers = BANDS.mean(np.abs(sky.to_modes(window * b)) ** 2) * sky.area / np.mean(window**2)
    assert (powers.mean(axis=0) > 1.5 * expected).all()


def test_delensing_leaves_less_of_lensing_and_with_a_split_all_of_the_tensors(skies):
    none, shared, split = (skies.without[name].mean() for name in (UNDELENSED, SHARED, SPLIT))
    assert shared < split < 0.85 * none
    assert (skies.own > 0).all()  # free of chance correlations with lensing
    own = skies.own.mean()
    shared, split = (skies.tensors[name].mean() / own for name in (SHARED, SPLIT))
    scatter = (skies.tensors[SPLIT] - skies.own).mean(axis=1).std() / own / np.sqrt(len(skies.own))
    assert shared < 0.95
    assert abs(split - 1) < 4 * scatter + 0.01
    assert split > shared


def test_a_version_without_tensors_or_a_mask_is_refused():
    with pytest.raises(LensingError, match="no tensors or no mask"):
        masked_delensed_skies(dataclasses.replace(CONFIG, tensors=None), 1.0, BANDS, CUT, 2, 2)
