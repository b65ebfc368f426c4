"""All checks of one run, and what is written of them."""

import dataclasses
import types

import numpy as np
import pytest

from estimators import checks
from estimators.ensemble import SkyEnsemble
from estimators.estimator import network, zero
from estimators.reports import checks_section
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from tests.estimators.quadratic_estimates import quadratic

CONFIG = LensingConfig(
    name="polarized", npix=48, lx=2.0, stokes="QU", oversampling=2, beam_arcmin=2.0,
    noise_uK_arcmin=1.0, num_examples={"train": 8, "validation": 8, "test": 40},
)  # fmt: skip
WINDOW = np.linspace(0.9, 1.1, CONFIG.npix)[:, None]


def judged_as(config, number=40):
    """A subject and its evaluation: a lopsided network beside a quadratic estimator and zero."""
    examples = simulate(config, "test", range(40))
    asked = []

    def batches(split, number):
        asked.append((split, number))
        for start in range(0, number, 32):
            yield {name: x[start : min(start + 32, number)] for name, x in examples.items()}

    subject = types.SimpleNamespace(
        dataset=types.SimpleNamespace(batches=batches), estimates_any_map=True
    )
    kappa, _ = quadratic(config, "EB" if "Q" in config.channels else "TT")
    lopsided = network(lambda maps: kappa(maps) * WINDOW[..., None])
    filtered = dataclasses.replace(network(kappa), name="qe_mv_wiener")
    judged = [
        types.SimpleNamespace(estimator=estimator) for estimator in (lopsided, filtered, zero())
    ]
    evaluation = types.SimpleNamespace(
        split="test",
        ensemble=SkyEnsemble.of(config),
        judged=judged,
        others=judged[1:],
        skill=types.SimpleNamespace(num_examples=number),
    )
    return subject, evaluation, asked


def test_network_and_quadratic_estimator_are_checked():
    subject, evaluation, asked = judged_as(CONFIG)
    found = checks.check(subject, evaluation)
    assert set(asked) == {("test", 40)}
    assert list(found.null_tests) == list(found.out_of_distribution) == ["network", "qe_mv_wiener"]
    ours, quadratic_ones = found.null_tests.values()
    assert ours.curl is None and ours.symmetry.passed is None
    assert 0.05 < max(ours.symmetry.relative_rms) < 0.15
    assert quadratic_ones.curl.passed and quadratic_ones.symmetry.passed and quadratic_ones.passed
    assert list(found.delensing.residual) == ["true_kappa", "network", "qe_mv_wiener"]

    text = checks.summary(found)
    assert "curl       passed" in text and "symmetry   measured" in text
    assert "κ x 0.8" in text and "true_kappa" in text
    failed = dataclasses.replace(ours.unlensed, p_value=1e-4)
    tests = {"network": dataclasses.replace(ours, unlensed=failed)}
    spoilt = dataclasses.replace(found, null_tests=tests)
    assert "unlensed   FAILED" in checks.summary(spoilt)

    labels = {"network": "network <1>", "qe_mv_wiener": "QE MV"}
    html = checks_section.section(found, labels)
    assert "<1>" not in html and "FAILED" not in html
    p_value = f'<td>{ours.shuffled.p_value:.2g}</td><td>0.001</td><td class="text"><span>pass'
    assert p_value in html
    row = found.out_of_distribution["network"].rows[1]
    assert (
        f'network &lt;1&gt;</th><td class="text">κ x 0.8</td><td>{row.map_correlation.value:.4f} ±'
        in html
    )
    assert f"<td>{row.correlation_change.value:.4f} ±" in html
    left = found.delensing.residual["true_kappa"]
    assert f">true κ</th><td>{left.value:.4f} ± {left.error:.4f}</td>" in html
    assert '<span class="failed">FAILED</span>' in checks_section.section(spoilt, labels)


def test_where_theory_does_not_hold_no_curl_is_made_and_no_symmetry_claimed():
    config = dataclasses.replace(CONFIG, stokes="T", kappa_exaggeration_factor=2.0)
    subject, evaluation, asked = judged_as(config, number=30)
    found = checks.check(subject, evaluation)
    assert set(asked) == {("test", 30)}
    assert found.null_tests["qe_mv_wiener"].curl is None
    assert found.null_tests["qe_mv_wiener"].symmetry.tolerance is None
    assert found.delensing is None
    assert found.to_json()["delensing"] is None
    html = checks_section.section(found, {"network": "network", "qe_mv_wiener": "QE"})
    assert "Null tests" in html and "Delensing" not in html and "rotation" not in html


def test_a_baseline_that_could_not_be_normalised_is_not_checked():
    """It is zero, and would pass."""
    config = dataclasses.replace(CONFIG, stokes="T")
    subject, evaluation, _ = judged_as(config, number=24)
    evaluation.others[0].estimator = dataclasses.replace(
        evaluation.others[0].estimator, normalised_share=0.3
    )
    assert list(checks.check(subject, evaluation).null_tests) == ["network"]


def test_checks_that_are_not_possible_are_refused_before_any_work():
    subject, evaluation, asked = judged_as(CONFIG, number=20)
    with pytest.raises(LensingError, match="need at least 24 examples, there are 20"):
        checks.check(subject, evaluation)
    subject.estimates_any_map = False
    with pytest.raises(LensingError, match="--checks needs a run"):
        checks.require_possible(subject, 1000)
    assert asked == []
