"""What is judged beats a baseline, or not, only where there is a baseline to beat."""

import dataclasses
import types

import numpy as np
import pytest

from estimators.baselines import BaselineComparison, beside_baselines
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator, zero
from estimators.judge import Judged, judge_estimators
from estimators.metrics_json import Metrics
from estimators.references import references
from estimators.resampling import Measured
from estimators.results import summary
from lensing_tfds.configs import LensingConfig
from lensing_tfds.simulation import simulate
from tests.estimators import skies
from tests.estimators.reports.test_run_page import rendered

NOISY = LensingConfig("noisy", npix=16, lx=10.0, noise_uK_arcmin=200.0, seed=1)


def compared(difference, error, rho=0.5, share=1.0):
    skill = types.SimpleNamespace(map_correlation=Measured(np.array(rho), np.array(0.01)))
    estimator = Estimator("qe_tt_wiener", "QE TT", lambda _: None, "some examples", share)
    above = Measured(np.array(difference), np.array(error))
    return BaselineComparison("network 1x4-3", Judged(estimator, skill), above)


@pytest.mark.parametrize(
    ("difference", "error", "rho", "verdict"),
    [
        (0.03, 0.01, 0.5, "beats"),
        (-0.03, 0.01, 0.5, "is beaten by"),
        (0.01, 0.01, 0.5, "matches"),
        (-0.15, 0.1, 0.1, "cannot be told from"),  # a network at -0.05, on few examples
        (0.0, 0.0, 0.5, "matches"),
        (0.01, 0.01, 0.0, "cannot be told from"),
    ],
)
def test_a_verdict_needs_a_significant_difference_or_a_small_error(difference, error, rho, verdict):
    comparison = compared(difference, error, rho)
    assert comparison.verdict == verdict
    assert f"The network 1x4-3 {verdict} QE TT: map-level ρ differs by {difference:+.4f}" in (
        comparison.sentence
    )


def test_a_baseline_that_could_not_be_normalised_gives_no_verdict():
    comparison = compared(-0.046, 0.1, rho=0.0, share=0.2)
    assert comparison.verdict is None
    assert "No verdict on the network 1x4-3 and QE TT" in comparison.sentence
    assert comparison.sentence.endswith("was not found above zero (some examples).")
    assert "beaten" not in comparison.sentence and "matches" not in comparison.sentence


@pytest.fixture(name="hopeless", scope="module")
def hopeless_fixture():
    """A network that knows nothing beside estimators calibrated on eight maps of mostly noise."""
    ensemble = SkyEnsemble.of(NOISY)
    quadratic = references(ensemble, lambda: [simulate(NOISY, "train", range(8))], "eight")
    network = dataclasses.replace(zero(), name="network", label="network 1x4-3")
    return judge_estimators(
        [simulate(NOISY, "test", range(12))],
        [network, *quadratic],
        ensemble,
        "test",
        np.random.default_rng(0),
    )


def test_a_response_that_was_not_found_is_no_baseline_to_match(hopeless):
    """As issue 11 has it: "matches QE TT" of an estimator that is zero by default."""
    comparisons = beside_baselines(hopeless)
    assert [c.baseline.estimator.name for c in comparisons] == [
        "qe_tt_ordinary_wiener", "qe_tt_all_wiener",
    ]  # fmt: skip
    estimator = comparisons[0].baseline.estimator
    assert estimator.normalised_share < 0.5 and not estimator.is_normalised
    assert f"eight, in modes with {estimator.normalised_share:.0%} of κ's power" in estimator.basis
    assert comparisons[0].verdict is None


def test_metrics_and_summary_say_that_there_is_no_verdict(hopeless):
    metrics = Metrics.of("lensing/noisy", "1x4-3", hopeless).to_json()["estimators"]
    ordinary = metrics["qe_tt_ordinary_wiener"]
    assert ordinary["verdict"] is None and ordinary["normalised_share"] < 0.5
    subject = types.SimpleNamespace(
        name="1x4-3", caution="", dataset=types.SimpleNamespace(name="lensing/noisy")
    )
    text = summary(subject, hopeless)
    assert "No verdict on the network 1x4-3 and QE TT, ordinary modes, Wiener" in text
    assert "matches QE TT, ordinary" not in text
    (scores,) = [line for line in text.splitlines() if line.startswith("QE TT, all modes, Wiener")]
    assert scores.split()[-1] == "–"  # the scores of zero are not its own


def test_the_report_says_that_there_is_no_verdict(tmp_path):
    baseline = dataclasses.replace(zero(), name="qe_tt_wiener", label="QE TT", normalised_share=0.0)
    html = rendered(skies.CONFIG, tmp_path, (baseline,)).html
    assert "No verdict on the network and QE TT" in html and "beats" not in html
    assert "QE TT</th><td>–</td><td>–</td><td>–</td><td>–</td>" in html


def test_a_tie_is_not_a_victory():
    kappa = skies.kappa_maps(40, np.random.default_rng(0))
    estimate = kappa + np.roll(kappa, 1, axis=0)
    (network,) = skies.oracle(estimate)
    (twin,) = skies.oracle(2 * estimate)
    twin = dataclasses.replace(twin, name="qe_tt_wiener", label="twin")
    evaluation = judge_estimators(
        skies.batches(kappa), [network, twin], skies.ENSEMBLE, "test", np.random.default_rng(0)
    )
    (comparison,) = beside_baselines(evaluation)
    assert comparison.verdict == "matches"
    assert comparison.sentence.endswith("0.0000 ± 0.0000.")  # errors are those of pairs


def test_theory_normalises_all_of_kappas_power():
    survey = LensingConfig(
        "survey", npix=32, lx=1.0, oversampling=2, beam_arcmin=1.0, noise_uK_arcmin=1.0
    )
    estimators = references(SkyEnsemble.of(survey), lambda: [], "none")
    assert [estimator.normalised_share for estimator in estimators] == [1.0, 1.0]
