"""Skies with gravitational waves: r of each example, and T, E and B of their spectra."""

import dataclasses

import numpy as np
import pytest

from lensing_tfds import LensingConfig, simulate
from lensing_tfds.config_fields.tensors import Tensors
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import polarization, spectra, tensor_spectra
from lensing_tfds.tensor_fields import TensorFields, add_coarse
from lensing_tfds.versions import get_config

SMALL = LensingConfig(
    "small", npix=32, lx=10.0, stokes="TQU", tensors=Tensors(r_min=0.2, r_max=0.2), unlensed_E=True
)


@pytest.fixture(scope="module")
def both():
    """The same skies with tensors and without: (n, npix, npix, 3) µK."""
    plain = dataclasses.replace(SMALL, name="plain", tensors=None)
    return simulate(SMALL, "train", range(200)), simulate(plain, "train", range(200))


def test_they_add_their_spectra_to_t_e_and_b_and_nothing_else(both):
    """The difference of skies with and without them: each ring within 5 sigma, 1 to 8 %."""
    with_, without = both
    sky, table = SMALL.sky, tensor_spectra.fiducial()
    t, q, u = sky.to_modes(np.moveaxis(with_["unlensed"] - without["unlensed"], -1, 0) * 1.0)
    e, b = polarization.to_eb(q, u, sky)
    label = sky.to_modes((with_["unlensed_E"] - without["unlensed_E"])[..., 0] * 1.0)
    ring = np.round(sky.ell / sky.fundamental).astype(int)
    for number in range(1, 8):
        inside = (ring == number) & sky.inner
        at = np.s_[:, inside]
        weight = sky.mode_counts[inside]
        scatter = 1 / np.sqrt(weight.sum() * 200)
        auto = {}
        for name, one, two in (("TT", t, t), ("EE", e, e), ("BB", b, b), ("TE", t, e)):
            expected = 0.2 * np.average(
                spectra.at_multipoles(getattr(table, name), sky.ell[inside]), weights=weight
            )
            auto[name] = expected
            power = (one[at] * two[at].conj()).real.mean(axis=0) * sky.area
            got = np.average(power, weights=weight)
            limit = abs(expected) if name != "TE" else np.sqrt(auto["TT"] * auto["EE"])
            # Rings differ in power within: their scatter is up to twice that of flat ones.
            assert abs(got - expected) < 5 * 2 * np.sqrt(2) * scatter * limit, (name, number)
        np.testing.assert_allclose(label[at], e[at], atol=1e-3 * np.abs(e[at]).max())


def test_each_example_has_its_r_and_it_is_uniform_in_its_root(both):
    assert (both[0]["r"] == np.float32(0.2)).all() and both[0]["r"].dtype == np.float32
    tensors = {"r_min": 1e-6, "r_max": 0.1}
    config = dataclasses.replace(SMALL, name="spread", npix=8, tensors=tensors, unlensed_E=False)
    ratios = simulate(config, "train", range(2000))["r"].astype(float)
    place = (np.sqrt(ratios) - 1e-3) / (np.sqrt(0.1) - 1e-3)
    counts, _ = np.histogram(place, bins=10, range=(0, 1))
    assert counts.sum() == 2000 and abs(counts - 200).max() < 5 * np.sqrt(180)
    assert config.tensors.mean_ratio == pytest.approx(ratios.mean(), rel=5 * 0.9 / 2000**0.5)
    one = simulate(config, "train", [1234])["r"]
    assert one == np.float32(ratios[1234])


def test_q_and_u_are_the_same_with_temperature_and_without(both):
    polarized = dataclasses.replace(SMALL, name="qu", stokes="QU")
    alone = simulate(polarized, "train", range(2))["unlensed"]
    np.testing.assert_allclose(alone, both[0]["unlensed"][:2, ..., 1:], atol=1e-5)


def test_the_coarse_grid_carries_all_modes():
    """On an oversampled box the coarse grid is smaller than the internal one, and adds the same."""
    config = dataclasses.replace(SMALL, name="fine", npix=64, oversampling=2)
    fields = TensorFields(config, spectra.fiducial_with_tensors())
    assert fields._sky.npix < config.internal.npix and fields._sky.nyquist > tensor_spectra.LMAX
    coarse = np.zeros((1, 6, 4), np.complex64)
    coarse[0, 1, 2], coarse[0, -1, 1] = 3, 2j
    fine = np.zeros((1, 16, 9), np.complex64)
    add_coarse(fine, coarse)
    assert fine[0, 1, 2] == 3 and fine[0, -1, 1] == 2j and np.count_nonzero(fine) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tensors": {"r_min": 0.2, "r_max": 0.1}}, "r_min is 0.2, must be a number from 0 to 0.1"),
        ({"tensors": {"r_min": 0, "r_max": 1.5}}, "tensors: r_max is 1.5, must be a number from"),
        ({"tensors": {"r_min": -1, "r_max": 1}}, "tensors: r_min is -1, must be a number from 0"),
        ({"tensors": {"r_max": 0.1}}, "tensors: the field 'r_min' is missing"),
        ({"tensors": {"r_min": 0, "r_max": 0.1}, "fixed_unlensed": True}, "must be false"),
    ],
)
def test_impossible_tensors_are_named(change, message):
    with pytest.raises(LensingError) as caught:
        get_config({"name": "survey", "npix": 32, "lx": 4.0} | change)
    assert message in str(caught.value)
