"""Bias and excess of estimators on skies that they were not made for, of skies with known ones."""

import dataclasses
import math

import numpy as np
import pytest

from benchmarks.misspecification import __main__ as script
from benchmarks.misspecification import measured, page, picture
from benchmarks.misspecification.made import Made, made
from benchmarks.results.cells import Cell
from estimators.estimator import network
from estimators.power_spectra import Bands
from estimators.uncertainty import measured_uncertainty
from lensing_tfds import LensingConfig, LensingError, simulate
from lensing_tfds.config_fields.foregrounds import Foregrounds
from lensing_tfds.sky.binning import Bins
from lensing_tfds.versions import VERSIONS
from tests.benchmarks.results import judged
from trainer.runs.run import Run

HOME = LensingConfig(
    "home",
    npix=32,
    lx=32 * 2 / 60,
    oversampling=2,
    beam_arcmin=2.0,
    noise_uK_arcmin=1.0,
    description="as it is",
)
AWAY = dataclasses.replace(HOME, name="away", foregrounds=Foregrounds(tsz=20.0))
EDGES = (300.0, 1500.0, 4000.0)
GAIN, NOISE = {"home": 0.8, "away": 0.88}, {"home": 0.0, "away": 0.4}


def fake(config, split, indices):
    """Maps that are κ times a gain, plus noise, of which there is none at home."""
    random = (np.random.default_rng([index, 1]) for index in indices)
    kappa, noise = np.stack(
        [one.standard_normal((2, config.npix, config.npix)) for one in random], axis=1
    )
    lensed = GAIN[config.name] * kappa + NOISE[config.name] * noise
    return {"lensed": lensed[..., None], "kappa": kappa[..., None], "index": np.array(indices)}


def made_for(config, name):
    return Made(config, dataclasses.replace(network(lambda maps: 2 * maps), name=name), "nothing")


@pytest.fixture(name="found", scope="module")
def found_fixture():
    estimators = [made_for(HOME, "of_home"), made_for(AWAY, "of_away")]
    at_home = fake(HOME, "validation", range(100, 140))
    pairs = [(at_home["kappa"][..., 0], 2 * at_home["lensed"][..., 0])]
    errors = measured_uncertainty(pairs, Bands(HOME.sky, np.array(EDGES)))
    estimators[0] = dataclasses.replace(
        estimators[0], estimator=dataclasses.replace(estimators[0].estimator, uncertainty=errors)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured, "simulate", fake)
        return measured.measure([HOME, AWAY], estimators, 41, EDGES), estimators


def test_nothing_is_off_on_the_first_skies(found):
    for name in ("of_home", "of_away"):
        scores = found[0]["home", name]
        for one in (*scores.bias, *scores.excess):
            np.testing.assert_allclose(one, 0, atol=1e-12)


def test_bias_is_the_ratio_of_responses_and_excess_what_power_is_off_by(found):
    """κ̂ of other skies is 2 (0.88 κ + 0.4 n), of the first 2 · 0.8 κ: 1.1 κ + 0.5 n, calibrated."""
    for name in ("of_home", "of_away"):
        scores = found[0]["away", name]
        for measured_one, expected in ((scores.bias, 0.1), (scores.excess, 1.1**2 + 0.5**2 - 1)):
            assert np.all(np.abs(measured_one.value - expected) < 4 * measured_one.error)
            assert np.all(measured_one.error < 0.05)
        np.testing.assert_allclose(scores.rho.value, 1.1 / np.hypot(1.1, 0.5), atol=0.01)


def test_intervals_of_other_skies_hold_less(found):
    """Residuals are 0.6 κ at home, and 0.76 κ + 0.8 n elsewhere: 68 % become 41 %."""
    share = math.erf(0.9945 * 0.6 / np.hypot(0.76, 0.8) / math.sqrt(2))
    for version, expected in (("home", 0.68), ("away", share)):
        coverage = found[0][version, "of_home"].coverage
        # As many examples made the intervals: 4 σ of both.
        assert np.all(np.abs(coverage.value - expected) < 4 * math.sqrt(2) * coverage.error)
    assert found[0]["away", "of_away"].coverage is None


def test_spectra_are_those_of_the_maps(found):
    """ρ_L of examples that are put side by side: of sums over all modes of a band."""
    batch = fake(AWAY, "test", range(41))
    bands = Bins.between(EDGES, AWAY.sky)
    kappa, lensed = (AWAY.sky.to_modes(batch[n][..., 0]) for n in ("kappa", "lensed"))
    cross, one, other = (
        bands.mean((a * b.conj()).real).sum(axis=0)
        for a, b in ((kappa, lensed), (kappa, kappa), (lensed, lensed))
    )
    expected = cross / np.sqrt(one * other)
    np.testing.assert_allclose(found[0]["away", "of_home"].rho.value, expected, rtol=1e-12)


def test_the_page_says_what_was_measured(found):
    text = page.render(*found, [HOME, AWAY], EDGES, 41, "the command", "picture.png")
    scores = found[0]["away", "of_home"]
    worst = int(np.argmax(np.abs(scores.bias.value)))
    share = f"{100 * scores.bias.value[worst]:+.2f} ± {100 * scores.bias.error[worst]:.2f} %"
    names = ("300–1,500", "1,500–4,000")
    assert f"on away**: biased by 3 σ in 2 of 2 bands, by {share} at L = {names[worst]}" in text
    assert "the command" in text and "](picture.png)" in text and "home, “as it is”" in text
    assert text.count("Bias, per cent") == 1 < text.count("ρ_L:\n") == text.count("Coverage, per")
    none = dataclasses.replace(
        scores, bias=scores.bias._replace(error=10 * np.abs(scores.bias.value))
    )
    said = page.sentence({("away", "of_home"): none}, found[1][0], "away", EDGES)
    assert "biased by 3 σ in no band; in excess by 3 σ in 2 of 2 bands" in said


def test_the_picture_has_a_row_for_each_version_but_the_first(found):
    figure = picture.draw(*found, [HOME, AWAY], EDGES)
    assert [len(axes.containers) for axes in figure.axes] == [2, 2]
    bias, excess = figure.axes
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "symlog"]  # 10 %, and 46 %
    assert "on away: bias" in bias.get_title(loc="left")
    scores = found[0]["away", "of_away"]
    for axes, one in ((bias, scores.bias), (excess, scores.excess)):
        np.testing.assert_array_equal(axes.containers[1][0].get_ydata(), one.value)


def test_estimators_are_those_of_each_theory_and_hardened_where_there_are_foregrounds(tmp_path):
    twin = dataclasses.replace(HOME, name="twin")
    found = made([HOME, AWAY, twin], (), tmp_path)
    assert [(one.home.name, one.estimator.label) for one in found] == [
        ("home", "QE TT"),
        ("away", "QE TT"),
        ("away", "QE TT, source-hardened"),
    ]


def test_gains_that_nobody_has_are_fitted_here(tmp_path):
    (one,) = (each for each in made([HOME], ("iterated",), tmp_path) if each.basis != "spectra")
    assert one.basis == "gains fitted to 64 skies"
    batch = simulate(HOME, "test", range(8))
    kappa = one.estimator.kappa(batch["lensed"], batch["index"])
    assert np.corrcoef(kappa.ravel(), batch["kappa"].ravel())[0, 1] > 0.3


def test_networks_are_those_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "uncertainty", None)  # of the networks' files, which are not there
    for model in ("unet", "iterated"):
        judged.put(tmp_path, Cell("v11", model), judged.some_metrics(), 0.5)
    found = made([VERSIONS["v11"]], ("iterated", "unet", "qe_unet"), tmp_path)
    networks = {one.estimator.label: one.basis for one in found if one.basis != "spectra"}
    assert networks == {
        "iterated": "gains fitted to 128 skies",
        "unet": "10 minutes of training",
    }


def test_a_run_of_another_version_or_network_is_refused(tmp_path):
    judged.put(tmp_path, Cell("v11", "unet"), judged.some_metrics(), 0.5)
    folder = (tmp_path / "v11-unet").rename(tmp_path / "v12-unet")
    with pytest.raises(LensingError, match=r"v12-unet is not of lensing/v12: .*npix: 128 -> 256"):
        made([VERSIONS["v12"]], ("unet",), tmp_path)
    folder.rename(tmp_path / "v11-qe_unet")
    with pytest.raises(LensingError, match=r"v11-qe_unet holds unet, not qe_unet"):
        made([VERSIONS["v11"]], ("qe_unet",), tmp_path)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--max_examples", "1"), "max_examples is 1: must be at least 2"),
        (("--page", "page.html"), "page.html is no .md: name the page docs/misspecification.md"),
    ],
)
def test_bad_flags_are_refused_by_name(capsys, flags, words):
    with pytest.raises(SystemExit) as stopped:
        script.main(flags)
    assert stopped.value.code == 2 and words in capsys.readouterr().err


def test_skies_share_what_the_page_says():
    """v16's CMB, κ and noise are v10's; v17's noise is, its κ and CMB to within a thousandth."""
    first, foregrounds, skewed = (
        simulate(
            dataclasses.replace(VERSIONS[name], name=f"small_{name}", npix=64, lx=64 * 2 / 60),
            "test",
            range(2),
        )
        for name in script.SKIES
    )
    for name in ("kappa", "unlensed"):
        np.testing.assert_array_equal(foregrounds[name], first[name])
    np.testing.assert_array_equal(foregrounds["lensed"][..., 1:], first["lensed"][..., 1:])
    added = foregrounds["lensed"][..., 0] - foregrounds["foregrounds"][..., 0]
    np.testing.assert_allclose(added, first["lensed"][..., 0], atol=1e-4)  # µK, of rounding
    for name in ("kappa", "unlensed"):
        for channel in range(first[name].shape[-1]):
            pair = (skies[name][..., channel].ravel() for skies in (first, skewed))
            assert 1 - 1e-3 < np.corrcoef(*pair)[0, 1] < 1
