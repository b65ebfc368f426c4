"""The iterated estimator of masked maps: without a mask that of periodic ones."""

import dataclasses

import numpy as np
import pytest

from estimators.ensemble import SkyEnsemble
from estimators.filtering.masked_patch import MaskedPatch, is_filtered
from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.iterated.fitting import fit
from estimators.iterated.iterated_estimator import ByTemplate, Stage
from estimators.judge import judge_estimators
from estimators.lensing_template import LensingTemplate
from estimators.quadratic.fields import fields_of
from estimators.quadratic.legs import Legs
from estimators.quadratic.observation import Observation
from estimators.references import iterated, quadratic_references
from lensing_tfds.config_fields.hits import Hits
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.config_fields.one_over_f import OneOverF
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra

TABLE = spectra.fiducial()
MASKED = LensingConfig(
    "masked", npix=64, lx=64 * 2.5 / 60, stokes="QU", oversampling=2, beam_arcmin=1.5,
    noise_uK_arcmin=1.0, one_over_f=OneOverF(P_knee=100), mask=Mask(edge=0.3, multiplies="signal"),
)  # fmt: skip
HOLES = dataclasses.replace(
    MASKED, name="holes", stokes="TQU", hits=Hits(contrast=4),
    one_over_f=OneOverF(P_knee=100, T_knee=500),
    mask=Mask(border=0.05, holes=2, hole_radius_arcmin=5, multiplies="observed"),
)  # fmt: skip
KAPPA = np.ones(MASKED.sky.ell.shape) * 1e-8


def test_without_a_mask_later_stages_estimate_from_the_fields_less_templates():
    """To a few times the rounding of float32, 1e-5 of κ̂'s rms."""
    config = dataclasses.replace(MASKED, name="open", mask=None, one_over_f=None)
    sky, white = config.sky, np.full(config.sky.ell.shape, config.noise_power("Q", 1.0))
    observation = Observation.of(config, TABLE)
    patch = MaskedPatch(sky, np.ones((64, 64)), {"P": white})
    method = ByFilteredTemplate(
        patch, observation, ("EE", "EB"), KAPPA, config.channels, tolerance=1e-6
    )
    maps = simulate(config, "test", range(2))
    kappa = sky.to_modes(np.ascontiguousarray(maps["kappa"][..., 0]))
    fields = Legs(method.fields(maps))
    plain = fields_of(maps["lensed"], config.channels, sky)
    found = method.features(Stage(np.zeros(0)), 1).residual(fields, kappa)
    used = observation.used
    template = LensingTemplate(method.observation).of(Legs(plain), kappa)
    for name in "EB":
        expected = np.where(used, plain[name] - observation.beam * template[name], 0)
        assert np.abs(found[name] - expected).max() < 1e-5 * np.abs(plain["E"]).max()


@pytest.fixture(scope="module", params=[MASKED, HOLES], ids=lambda config: config.name)
def judged(request):
    """Scores of quadratic and iterated estimators, and of one that knows no mask."""
    config = request.param
    train = simulate(config, "train", range(64))
    ensemble = SkyEnsemble.of(config)

    def examples():
        for start in range(0, 64, 16):
            yield {name: values[start : start + 16] for name, values in train.items()}

    method = ByFilteredTemplate.of(config, TABLE)
    fitted = fit(config, TABLE, examples, most_stages=2, least_gain=-1.0, method=method)
    estimators = quadratic_references(ensemble, examples, "some")
    estimators.append(iterated(config, fitted, ""))
    blind = ByTemplate(Observation.of(config, TABLE), method.pairs)
    unfiltered = fit(config, TABLE, examples, most_stages=2, least_gain=-1.0, method=blind)
    estimators.append(dataclasses.replace(iterated(config, unfiltered, ""), name="blind"))
    test = simulate(config, "test", range(32))
    found = judge_estimators([test], estimators, ensemble, "test", np.random.default_rng(0))
    assert 0.1 < found.share < 0.9
    return {one.estimator.name: one.skill for one in found.judged}


def rho(skill):
    return float(skill.map_correlation.value)


def test_iterating_pays_inside_a_mask(judged):
    assert rho(judged["qe_iterated_wiener"]) > rho(judged["qe_mv_wiener"]) + 0.01


def test_an_estimator_that_filters_beats_one_that_knows_no_mask(judged):
    assert rho(judged["qe_iterated_wiener"]) > rho(judged["blind"]) + 0.01


def test_the_quadratic_estimate_is_normalised_inside_a_mask(judged):
    """Within 3 σ, of which training skies have their share: √(1 + 32/64) times the test skies'."""
    transfer = judged["qe_mv"].transfer_ell
    assert np.all(np.abs(transfer.value - 1) < 3 * 1.3 * transfer.error)


def test_holes_that_noise_hides_are_not_estimated_without_their_masks():
    hidden = dataclasses.replace(HOLES.mask, multiplies="signal")
    config = dataclasses.replace(HOLES, mask=hidden)
    maps = simulate(config, "test", range(1))
    with pytest.raises(LensingError, match="give their masks with them"):
        ByFilteredTemplate.of(config, TABLE).fields({"lensed": maps["lensed"]})


def test_a_signal_that_is_masked_and_tapered_is_refused():
    with pytest.raises(LensingError, match="masked twice"):
        MaskedPatch.of(dataclasses.replace(MASKED, taper=0.3))


@pytest.mark.parametrize(
    ("change", "filtered"),
    [
        ({}, True),
        ({"mask": None, "taper": 0.3}, True),
        ({"mask": None, "taper": 0.3, "padding": 1.5}, False),
        ({"padding": 1.5}, False),
        ({"padding": 1.5, "mask": Mask(border=0.1, edge=0.3, multiplies="signal")}, True),
        ({"mask": None}, False),
        ({"one_over_f": None, "noise_uK_arcmin": 0.0}, False),
        ({"kappa_exaggeration_factor": 2.0}, False),
        ({"oversampling": 1}, False),
        ({"fixed_unlensed": True}, False),
    ],
)
def test_masked_maps_are_filtered_where_theory_describes_their_sky(change, filtered):
    assert is_filtered(dataclasses.replace(MASKED, name="changed", **change)) is filtered


def test_noise_and_its_variance_are_the_config_s():
    patch = MaskedPatch.of(HOLES)
    assert set(patch.noise) == {"T", "P"} and patch.masked == "maps"
    inner = HOLES.sky.ell > 0
    np.testing.assert_allclose(
        patch.noise["P"][inner], HOLES.noise_power("U", HOLES.sky.ell)[inner]
    )
    assert patch.variance.mean() == pytest.approx(1)
    assert patch.variance[0, 0] / patch.variance[32, 32] == pytest.approx(4, rel=0.1)
