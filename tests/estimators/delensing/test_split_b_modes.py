"""Delensing with the same B modes that κ̂ was made of takes primordial B away; with others not."""

import numpy as np
import pytest

from estimators.delensing.delensed_maps import delensed_bands
from estimators.delensing.delensed_skies import UNDELENSED, delensed_skies
from estimators.delensing.residual_b_modes import modes_in_range, residual_b_modes
from estimators.delensing.split_b_modes import (
    SHARED,
    SPLIT,
    SmallScaleB,
    expected_share,
    filtered,
)
from estimators.delensing.tensor_ratio import RatioLikelihood
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.lensing_template import LensingTemplate
from estimators.quadratic.observation import Observation
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power, spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import lensing, polarization, spectra
from lensing_tfds.sky.binning import Bins
from tests.estimators.quadratic.skies import gaussian

CONFIG = LensingConfig(
    name="small", npix=64, lx=64 * 2.0 / 60, stokes="QU", oversampling=2, beam_arcmin=1.0,
    noise_uK_arcmin=1.0,
)  # fmt: skip
SKY = CONFIG.sky
CUT = 700.0


@pytest.fixture(name="skies", scope="module")
def skies_fixture():
    bands = Bins.between([SKY.fundamental, 400, CUT], SKY)
    flat = np.where(bands.index >= 0, 2e-7, 0.0)  # a tenth of lensing's B
    rng = np.random.default_rng(3)
    return delensed_skies(CONFIG, flat, bands, CUT, 24, rng)


def kept(skies, name):
    """The share of the tensors left, and its error, from the scatter of skies."""
    added, own = skies.tensors[name].mean(axis=1), skies.own.mean(axis=1)
    share = added.mean() / own.mean()
    return share, (added - share * own).std() / own.mean() / np.sqrt(len(own))


def test_tensors_are_kept_where_other_b_modes_made_kappa(skies):
    """All of them without delensing and with a split; from shared B a part is gone."""
    assert kept(skies, UNDELENSED)[0] == pytest.approx(1, abs=1e-4)
    share, error = kept(skies, SPLIT)
    assert error < 0.05
    assert abs(share - 1) < 4 * error
    share, error = kept(skies, SHARED)
    assert share < 1 - 4 * error
    assert share < 0.9


def test_both_remove_lensing(skies):
    means = {name: powers.mean() for name, powers in skies.without.items()}
    assert means[SHARED] < means[SPLIT] < 0.7 * means[UNDELENSED]


def test_large_scale_b_modes_are_not_used():
    observation = SmallScaleB.of(CONFIG, spectra_of(CONFIG), B_lmin=CUT)
    whole = Observation.of(CONFIG, spectra_of(CONFIG))
    low = SKY.ell < CUT
    assert not observation.inverse("B")[low].any()
    assert np.array_equal(observation.inverse("B")[~low], whole.inverse("B")[~low])
    assert np.array_equal(observation.inverse("E"), whole.inverse("E"))
    with pytest.raises(LensingError, match="B_lmin is 99999: no B mode is left"):
        SmallScaleB.of(CONFIG, spectra_of(CONFIG), B_lmin=99999)


def test_b_modes_are_delensed_or_used_but_not_both():
    """A cut where modes lie, at a multiple of the fundamental: these are used."""
    cut = 4 * SKY.fundamental
    delensed = modes_in_range(CONFIG, (SKY.fundamental, cut))
    assert np.array_equal(delensed, delensed_bands(CONFIG, cut).index >= 0)
    used = SmallScaleB.of(CONFIG, spectra_of(CONFIG), B_lmin=cut).inverse("B") > 0
    assert (SKY.ell == cut).any()
    assert not (delensed & used).any()


def test_the_forecast_of_a_split_is_of_its_own_noise():
    """That of Gaussian noise of its N0 is met, as that of all B modes, which is lower, is too."""
    ensemble, sky = SkyEnsemble.of(CONFIG), CONFIG.sky
    cut, l_range = 1500.0, (sky.fundamental, 1500.0)
    examples = simulate(CONFIG, "test", range(48))
    rng = np.random.default_rng(5)
    kappa = sky.to_modes(examples["kappa"][..., 0].astype(np.float64))
    estimators = []
    for lowest in (0.0, cut):
        combined, wiener = filtered(CONFIG, ensemble.theory, ensemble.kappa_power, lowest)
        noise = np.where(wiener > 0, combined.noise, 0.0) / sky.area
        maps = sky.to_map(wiener.astype(complex) * (kappa + gaussian(noise, rng, 48)))
        estimators.append(Estimator(str(lowest), "", lambda b, m=maps: m[b["index"]][..., None]))
    found = residual_b_modes([examples], estimators, ensemble, rng, l_range=l_range)
    assert expected_share(ensemble, 0.0, l_range) == pytest.approx(
        found.forecast["quadratic"], rel=0.01
    )
    for lowest in (0.0, cut):
        value, error = found.moved_noise[str(lowest)]
        assert error < 0.02
        assert expected_share(ensemble, lowest, l_range) == pytest.approx(value, abs=3 * error)
    shares = [expected_share(ensemble, lowest, l_range) for lowest in (0.0, cut)]
    assert shares[1] > shares[0] + 0.03


def test_remapping_back_undoes_lensing():
    """Of smooth, noiseless fields: E that was remapped exactly comes back, and B vanishes."""
    table = spectra_of(CONFIG)
    rng = np.random.default_rng(0)
    smooth = SKY.ell < 1500
    e = gaussian(spectra.at_multipoles(table.EE, SKY.ell) * smooth / SKY.area, rng, 2)
    kappa = gaussian(kappa_power(CONFIG, table, SKY.ell) * smooth / SKY.area, rng, 2)
    qu = polarization.to_qu(e, np.zeros_like(e), SKY)
    deflection = lensing.deflection_from_kappa(kappa, SKY)
    maps = [lensing.remap(modes, deflection, SKY) for modes in qu]
    lensed_e, lensed_b = polarization.to_eb(*map(SKY.to_modes, maps), SKY)
    noiseless = Observation(SKY, table)
    template = LensingTemplate(noiseless)
    delta_e, delta_b = template.remapped(lensed_e, kappa)
    used = SKY.ell < 1000

    def power(modes):
        return np.sum(np.abs(modes[:, used]) ** 2)

    # The lensed B itself is not remapped back: what of it stays is of second order.
    assert power(lensed_b - delta_b) < 0.03 * power(lensed_b)
    assert power(lensed_e - delta_e - e) < 0.03 * power(lensed_e - e)
    opposite = template.remapped(lensed_e, -kappa)[1]
    assert power(lensed_b - opposite) > 2 * power(lensed_b)


def test_ratio_is_unbiased_and_scatters_by_fishers_error():
    """Of Gaussian band powers, correlated: 2,000 skies."""
    rng = np.random.default_rng(5)
    mixing = np.array([[2.0, 0, 0], [0.5, 1.0, 0], [0, 0.3, 0.7]])
    tensors, mean = np.array([3.0, 1.0, 0.2]), np.array([5.0, 6.0, 7.0])

    def draw(skies, r):
        return mean + r * tensors + rng.standard_normal((skies, 3)) @ mixing.T

    likelihood = RatioLikelihood.of(tensors, draw(2000, 0.0))
    ratios = likelihood.ratio(draw(2000, 0.7))
    expected = 1 / np.sqrt(tensors @ np.linalg.inv(mixing @ mixing.T) @ tensors)
    assert likelihood.error == pytest.approx(expected, rel=0.05)
    assert ratios.std() == pytest.approx(expected, rel=0.06)
    assert ratios.mean() == pytest.approx(0.7, abs=5 * expected / np.sqrt(1000))


def test_bad_input_of_the_likelihood_is_answered_in_one_line():
    with pytest.raises(LensingError, match="5 skies without tensors.*needs at least 6"):
        RatioLikelihood.of(np.ones(3), np.ones((5, 3)))
    with pytest.raises(LensingError, match="tensors have no power"):
        RatioLikelihood.of(np.zeros(3), np.ones((50, 3)))
