"""Skies with foregrounds, and with a κ that is not Gaussian: the rest of them is what it was."""

import dataclasses

import numpy as np
import pytest

from lensing_tfds import LensingConfig, simulate
from lensing_tfds.config_fields.foregrounds import Foregrounds
from lensing_tfds.config_fields.kappa_distribution import KappaDistribution
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky import foreground_spectra, foregrounds, instrument, spectra
from lensing_tfds.sky.gaussian_fields import GaussianField

# On 32 internal pixels 16 examples are simulated together; on 96 each alone.
PLAIN = LensingConfig(
    "plain", npix=16, lx=16 * 4 / 60, stokes="TQU", oversampling=2, beam_arcmin=4.0,
    noise_uK_arcmin=1.0, unlensed_E=True,
)  # fmt: skip
LARGE = dataclasses.replace(PLAIN, npix=48, lx=48 * 2 / 60, beam_arcmin=1.4)


def with_foregrounds(config, **amplitudes):
    return dataclasses.replace(config, foregrounds=Foregrounds(**amplitudes))


def only(**amplitudes):
    return dict.fromkeys(foregrounds.COMPONENTS, 0.0) | amplitudes


@pytest.mark.parametrize("config", [PLAIN, LARGE])
def test_cmb_kappa_and_noise_are_those_without_foregrounds(config):
    plain = simulate(config, "train", range(3))
    full = simulate(with_foregrounds(config), "train", range(3))
    for name in ("unlensed", "kappa", "unlensed_E", "index"):
        np.testing.assert_array_equal(full[name], plain[name])
    np.testing.assert_array_equal(full["lensed"][..., 1:], plain["lensed"][..., 1:])
    added = full["lensed"][..., :1] - plain["lensed"][..., :1]
    np.testing.assert_allclose(
        added, full["foregrounds"], atol=1e-6 * np.abs(plain["lensed"]).max()
    )
    assert 1 < full["foregrounds"].std() < 20
    assert full["foregrounds"].shape == (3, config.npix, config.npix, 1)


@pytest.mark.parametrize("config", [PLAIN, LARGE])
@pytest.mark.parametrize("kappa", [None, KappaDistribution(skewness=0.1, correlated=True)])
def test_an_example_is_a_function_of_its_address(config, kappa):
    config = dataclasses.replace(with_foregrounds(config), kappa=kappa)
    block = simulate(config, "test", [0, 1, 2, 2**40])
    alone = simulate(config, "test", [2**40])
    for name, maps in alone.items():
        np.testing.assert_array_equal(maps[0], block[name][3], err_msg=name)
    assert not np.array_equal(block["foregrounds"][0], block["foregrounds"][1])


def test_looks_at_a_sky_see_the_same_foregrounds():
    config = with_foregrounds(LARGE)
    example = simulate(config, "train", [5])
    ((looks, _),) = Simulator(config, "train").looks([5], 2)
    np.testing.assert_array_equal(looks[0], example["lensed"])
    assert np.std(looks[1] - looks[0]) < 1.5  # noise of 0.5 µK in T, twice, and more in Q and U


def test_a_component_is_the_same_whichever_others_there_are():
    whole = simulate(with_foregrounds(LARGE), "train", [4])["foregrounds"]
    parts = [
        simulate(with_foregrounds(LARGE, **only(**{name: 1.0})), "train", [4])["foregrounds"]
        for name in foregrounds.COMPONENTS
    ]
    np.testing.assert_allclose(sum(parts), whole, atol=1e-4)
    twice = simulate(with_foregrounds(LARGE, **only(tsz=2.0)), "train", [4])["foregrounds"]
    np.testing.assert_allclose(twice, 2 * parts[foregrounds.COMPONENTS.index("tsz")], atol=1e-4)


def modes_of(maps, sky):
    return sky.to_modes(maps[..., 0].astype(float))


@pytest.mark.parametrize("name", foregrounds.COMPONENTS)
@pytest.mark.parametrize("kappa", [None, KappaDistribution(skewness=0.1)])
def test_each_component_has_its_spectra_and_its_sign(name, kappa):
    """200 skies: power to 1 % of the mean over modes, correlation with κ to 0.01."""
    config = with_foregrounds(LARGE, **only(**{name: 1.0}))
    config = dataclasses.replace(config, kappa=kappa)
    maps = simulate(config, "train", range(200))
    sky = config.sky
    field, kappa = modes_of(maps["foregrounds"], sky), modes_of(maps["kappa"], sky)
    beam = instrument.beam(sky.ell, config.beam_arcmin)
    power = foreground_spectra.spectrum(name, sky.ell) * beam**2 / sky.area
    inside = sky.inner & (sky.ell > 0)
    ratio = np.mean(np.abs(field) ** 2, 0)[inside] / power[inside]
    assert abs(ratio.mean() - 1) < (0.1 if name == "radio" else 0.02)  # a few bright sources
    correlation = np.sum((field * kappa.conj()).real / np.sqrt(power.clip(1e-30)), 0)[inside]
    correlation /= np.sum(np.abs(kappa) ** 2, 0)[inside] ** 0.5 * 200**0.5
    sign = -1 if name == "tsz" else 1
    expected = sign * foreground_spectra.KAPPA_CORRELATION.get(name, 0.0)
    assert correlation.mean() == pytest.approx(expected, abs=0.01)
    third = np.mean(maps["foregrounds"].astype(float) ** 3)
    assert np.sign(third) == sign or name == "ksz"


def test_a_lognormal_kappa_changes_no_other_draw_and_keeps_its_power():
    skewed = dataclasses.replace(PLAIN, kappa=KappaDistribution(skewness=0.5))
    plain, other = (simulate(config, "train", range(800)) for config in (PLAIN, skewed))
    for name in ("unlensed", "unlensed_E"):
        np.testing.assert_array_equal(other[name], plain[name])
    kappa = other["kappa"].astype(float)
    assert np.mean(kappa**2) == pytest.approx(np.mean(plain["kappa"] ** 2), rel=0.02)
    assert 0.4 < np.mean(kappa**3) / np.mean(kappa**2) ** 1.5 < 0.8
    assert abs(kappa.mean()) < 1e-8


def test_a_lognormal_kappa_may_have_pixels_finer_than_its_spectrum():
    """Multipoles beyond the table's last get some 10⁻⁴ of its variance: no reason to refuse it."""
    config = LensingConfig("fine", 16, lx=1.0, oversampling=8, kappa={"skewness": 0.05})
    assert config.internal.ell.max() > spectra.LMAX
    found = config.kappa.lognormal(config, spectra.fiducial().kappa)
    beyond = (config.internal.mode_counts * found.power)[config.internal.ell > spectra.LMAX].sum()
    assert 0 < beyond < 1e-3 * (config.internal.mode_counts * found.power).sum()


def test_a_cut_of_kappa_is_sharp_with_a_lognormal_one_too():
    config = dataclasses.replace(
        LARGE, kappa_lmax=1500, kappa=KappaDistribution(skewness=0.5, correlated=True)
    )
    kappa = modes_of(simulate(config, "train", [1])["kappa"], config.sky)
    above = config.sky.ell > 1500
    assert np.abs(kappa[:, above]).max() < 1e-6 * np.abs(kappa).max()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"foregrounds": {"dust": 1}}, "foregrounds: unknown field 'dust'; the fields are radio"),
        ({"foregrounds": {"tsz": -1}}, "foregrounds: tsz is -1, must be a number from 0 to 100"),
        ({"foregrounds": {}, "stokes": "QU"}, "in T only, and stokes is 'QU'"),
        ({"foregrounds": only()}, "all are 0: give null"),
        ({"kappa": {}}, "neither skewness nor correlated is given"),
        ({"kappa": {"skewness": -0.1}}, "skewness is -0.1, must be a number from 0 to 20"),
        ({"kappa": {"skewness": 20}}, "no lognormal field that is so skewed has κ's spectrum"),
        ({"kappa": {"correlated": True}, "fixed_unlensed": True}, "false where fixed_unlensed"),
        ({"kappa": {"correlated": True}, "cosmology": {"H0": 70}}, "false where cosmology"),
    ],
)
def test_impossible_skies_are_refused_at_once(fields, words):
    with pytest.raises(LensingError) as caught:
        LensingConfig.from_json({"name": "bad", "npix": 32, "lx": 2.0} | fields)
    assert str(caught.value).startswith("config 'bad': ") and words in str(caught.value)


def test_foregrounds_more_correlated_than_there_is_power_for_are_refused(monkeypatch):
    monkeypatch.setitem(foreground_spectra.KAPPA_CORRELATION, "tsz", 1.2)
    with pytest.raises(LensingError, match="no tsz on these pixels is so correlated"):
        Simulator(with_foregrounds(LARGE), "train")


def test_a_kappa_too_skewed_for_what_is_correlated_with_it_is_refused():
    config = dataclasses.replace(with_foregrounds(LARGE), kappa=KappaDistribution(skewness=1.0))
    with pytest.raises(LensingError, match="give kappa a smaller skewness"):
        Simulator(config, "train")


def test_the_gaussian_seed_of_a_gaussian_kappa_is_kappa():
    simulator = Simulator(LARGE, "train")
    assert np.isinf(simulator._kappa.scale)
    modes = np.ones((1, 3), np.complex64)
    assert simulator._kappa.kappa(modes) is modes
    assert GaussianField(simulator._kappa.seed_power).size == simulator._kappa.size
