"""What is left of the lensing B modes, for estimates of which it is known."""

import dataclasses
import json

import numpy as np
import pytest

from estimators.delensing.residual_b_modes import TRUE_KAPPA, residual_b_modes
from estimators.ensemble import SkyEnsemble
from estimators.estimator import network
from estimators.iterated.fitting import fit
from estimators.quadratic.fields import fields_of
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from tests.estimators.quadratic.skies import gaussian
from tests.estimators.quadratic_estimates import quadratic

CONFIG = LensingConfig(
    name="polarized", npix=64, lx=64 * 2.0 / 60, stokes="TQU", oversampling=2, beam_arcmin=1.5,
    noise_uK_arcmin=1.0,
)  # fmt: skip
N = 40


@pytest.fixture(name="examples", scope="module")
def examples_fixture():
    return simulate(CONFIG, "test", range(N))


def zero(maps):
    return np.zeros((*maps.shape[:3], 1))


def batches(examples, size=16):
    for start in range(0, len(examples["index"]), size):
        yield {name: values[start : start + size] for name, values in examples.items()}


def delensed(examples, estimators, config=CONFIG, size=16, **options):
    named = [dataclasses.replace(network(f), name=name) for name, f in estimators.items()]
    rng = np.random.default_rng(0)
    return residual_b_modes(batches(examples, size), named, SkyEnsemble.of(config), rng, **options)


def looked_up(examples, estimates):
    """An estimator that gives these estimates of these examples, whatever is inside it."""

    def estimator(maps):
        first = int(np.nonzero((examples["lensed"] == maps[0]).all(axis=(1, 2, 3)))[0][0])
        return estimates[first : first + len(maps)]

    return estimator


@pytest.fixture(name="result", scope="module")
def result_fixture(examples):
    raw, filtered = (quadratic(CONFIG, "EB", filtered=f)[0] for f in (False, True))
    return delensed(examples, {"QE": raw, "Wiener-filtered QE": filtered, "zero": zero})


def test_the_true_kappa_leaves_next_to_nothing(result):
    """Half a per cent with E as observed; of 40 small skies."""
    assert result.residual[TRUE_KAPPA].value < 0.01


def test_the_beam_is_taken_out():
    config = dataclasses.replace(CONFIG, beam_arcmin=10.0, noise_uK_arcmin=0.05)
    clear = delensed(simulate(config, "test", range(8)), {}, config)
    assert clear.residual[TRUE_KAPPA].value < 0.04


def test_noisy_e_modes_are_filtered():
    """Noise of twice E's rms: what the true κ removes is less, and noise is not added."""
    config = dataclasses.replace(CONFIG, noise_uK_arcmin=30.0)
    noisy = delensed(simulate(config, "test", range(16)), {}, config)
    value, error = noisy.residual[TRUE_KAPPA]
    assert 0.2 < value < 1 - 4 * error


def test_zero_leaves_everything(result):
    value, error = result.residual["zero"]
    assert value == pytest.approx(1) and error < 1e-12


def test_a_wiener_filtered_estimate_removes_some_and_an_unfiltered_one_adds(result):
    value, error = result.residual["Wiener-filtered QE"]
    assert 0.2 < value < 0.7
    assert error < 0.05
    assert result.residual["QE"].value > 1


def test_templates_by_remapping_back_serve_as_well(examples):
    """With the true κ a little more is left than by the gradient; with −κ more than there was."""
    few = {name: values[:4] for name, values in examples.items()}
    exact = looked_up(few, few["kappa"])
    opposite = looked_up(few, -few["kappa"])
    found = delensed(few, {"exact": exact, "opposite": opposite}, remapped=True)
    assert 0.001 < found.residual["exact"].value < 0.05
    assert found.residual["exact"].value == pytest.approx(
        found.residual[TRUE_KAPPA].value, rel=1e-3
    )
    assert found.residual["opposite"].value > 2


def test_half_of_kappas_variance_removes_half_of_the_b_modes(examples):
    """A posterior mean with ρ² = 1/2 at every L: to first order A_res = 1 − ρ²."""
    sky = CONFIG.sky
    power = kappa_power(CONFIG, spectra.fiducial(), sky.ell) / sky.area
    noise = sky.to_map(gaussian(power, np.random.default_rng(1), N))[..., None]
    estimates = (examples["kappa"] + noise) / 2
    value, error = delensed(examples, {"half": looked_up(examples, estimates)}).residual["half"]
    assert error < 0.03
    assert abs(value - 0.5) < 4 * error


def test_the_sign_of_kappa_matters(examples):
    flipped = delensed(examples, {"flipped": looked_up(examples, -examples["kappa"])})
    assert flipped.residual["flipped"].value == pytest.approx(4, rel=0.02)  # (1 + 1)²


def test_an_estimate_that_knows_this_b_leaves_less_of_it_than_one_that_does_not(result):
    """The EB estimate's noise holds the very B modes that are delensed; moved, it knows none."""
    kept, moved = (r["Wiener-filtered QE"] for r in (result.residual, result.moved_noise))
    assert kept.value < moved.value - 3 * np.hypot(kept.error, moved.error)


def test_with_its_noise_moved_an_iterated_estimate_leaves_what_theory_says():
    """To 5 %, of which 2 to 5 were measured on patches of 2 to 5 degrees, and the scatter."""
    config = dataclasses.replace(CONFIG, stokes="QU")
    ensemble, sky = SkyEnsemble.of(config), config.sky
    train = simulate(config, "train", range(48))
    fitted = fit(config, ensemble.theory, lambda: [train], most_stages=4)

    def iterated(maps):
        return sky.to_map(fitted.kappa(fields_of(maps, config.channels, sky)))[..., None]

    found = delensed(simulate(config, "test", range(N)), {"iterated": iterated}, config)
    value, error = found.moved_noise["iterated"]
    expected = found.forecast["iterated"]
    assert value == pytest.approx(expected, abs=0.05 * expected + 2 * error)
    assert found.residual["iterated"].value < 0.6 * expected  # of the trap


def test_noise_that_knows_nothing_of_this_b_is_as_good_moved(examples):
    sky = CONFIG.sky
    power = kappa_power(CONFIG, spectra.fiducial(), sky.ell) / sky.area
    noise = sky.to_map(gaussian(power, np.random.default_rng(1), N))[..., None]
    found = delensed(examples, {"half": looked_up(examples, (examples["kappa"] + noise) / 2)})
    kept, moved = found.residual["half"], found.moved_noise["half"]
    assert moved.value == pytest.approx(kept.value, abs=3 * kept.error)


def test_of_the_truth_there_is_no_noise_to_move(examples):
    found = delensed(examples, {"truth": looked_up(examples, examples["kappa"])})
    np.testing.assert_allclose(found.moved_noise["truth"].value, found.residual["truth"].value)


def test_there_is_no_forecast_where_theory_does_not_hold(examples):
    config = dataclasses.replace(CONFIG, noise_uK_arcmin=0.0)
    assert delensed(simulate(config, "test", range(4)), {}, config).forecast == {}


def test_batches_are_a_matter_of_memory(examples, result):
    filtered, _ = quadratic(CONFIG, "EB")
    other = delensed(examples, {"Wiener-filtered QE": filtered}, size=7)
    for name, measured in other.residual.items():
        np.testing.assert_allclose(measured.value, result.residual[name].value, rtol=1e-5)


def test_json_has_all_of_it(result):
    values = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert values["num_examples"] == N
    assert values["l_range"] == [100, 1000]
    names = {"true_kappa", "QE", "Wiener-filtered QE", "zero"}
    assert set(values["residual"]) == set(values["residual_error"]) == names
    moved = names - {"true_kappa"}
    assert set(values["moved_noise"]) == set(values["moved_noise_error"]) == moved
    assert set(values["forecast"]) == {"quadratic", "iterated"}


def test_examples_of_another_version_are_refused(examples):
    other = dataclasses.replace(CONFIG, seed=1)
    with pytest.raises(LensingError, match="the true κ of examples 0 to 15 is not that of test of"):
        delensed(examples, {}, other)
    with pytest.raises(LensingError, match="is not that of validation of 'polarized'"):
        delensed(examples, {}, split="validation")


@pytest.mark.parametrize(
    ("changes", "l_range", "message"),
    [
        ({"stokes": "T"}, (100, 1000), "'polarized' has no polarization"),
        ({"padding": 1.5}, (100, 1000), "has edges"),
        ({"taper": 0.2}, (100, 1000), r"has edges \(padding 1, taper 0.2 deg\)"),
        ({}, (20, 100), "no B mode of 'polarized' lies in 20 <= l < 100: .* 169 to 5400"),
    ],
)
def test_where_there_are_no_b_modes_to_be_had(examples, changes, l_range, message):
    with pytest.raises(LensingError, match=message):
        delensed(examples, {}, dataclasses.replace(CONFIG, **changes), l_range=l_range)
