"""The quadratic estimators on simulated skies: a quick version of the benchmark, which is longer
and of the survey versions."""

import numpy as np
import pytest

from benchmarks import estimator_proof
from lensing_tfds import LensingConfig, simulate

EDGES = (200, 600, 1200, 2000)
PAIRS_OF_SKIES = 400


def config(stokes, noise):
    return LensingConfig(
        "quick", npix=80, lx=80 * 2 / 60, stokes=stokes, oversampling=2, beam_arcmin=1.4,
        noise_uK_arcmin=noise,
    )  # fmt: skip


@pytest.fixture(scope="module")
def proofs():
    found = {}
    for version in (config("T", 6.0), config("QU", 1.0)):
        estimators = estimator_proof.estimators_of(version)
        found |= estimator_proof.prove(version, estimators, PAIRS_OF_SKIES, EDGES)
    return found


def test_what_is_proven(proofs):
    assert list(proofs) == ["TT", "EE", "EB", "MV"]


@pytest.mark.parametrize("name", ["TT", "EE", "EB", "MV"])
def test_normalisation(name, proofs):
    """2 %, in bands of which each is known to 0.8 %."""
    proof = proofs[name]
    assert np.all(proof.normalisation_error < 0.008)
    assert np.all(np.abs(proof.normalisation - 1) < 0.02)


@pytest.mark.parametrize("name", ["TT", "EE", "EB", "MV"])
def test_noise_is_n0_n1_and_n2(name, proofs):
    """Within the errors, of 2.5 % at most; N0 alone is not enough, and N2 hardly counts."""
    proof = proofs[name]
    assert np.all(proof.rest_error < 0.025)
    assert np.all(np.abs(proof.noise - proof.n0_n1 - proof.n2) < 4 * proof.rest_error)
    assert np.all(proof.n0_n1 - 1 > 5 * proof.n0_n1_error)
    assert np.any(proof.noise - 1 > 0.05 + 5 * proof.noise_error)
    assert np.all(np.abs(proof.n2) < 0.05)


@pytest.mark.parametrize("name", ["TT", "EE", "EB", "MV"])
def test_correlation_of_maps(name, proofs):
    """That of N0 + N1 is the measured one, which is known to 0.5 %; that of N0 is not."""
    proof = proofs[name]
    assert proof.correlation_error < 0.005 * proof.correlation
    assert abs(proof.correlation - proof.correlation_n1) < 3 * proof.correlation_error
    assert proof.correlation_n0 - proof.correlation > 3 * proof.correlation_error


def test_skies_of_a_pair_share_kappa_and_nothing_else():
    version = config("QU", 1.0)
    simulator = estimator_proof.PairedSimulator(version, "test")
    blocks = list(simulator.examples(range(4)))
    examples = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    kappa, unlensed = examples["kappa"], examples["unlensed"]
    np.testing.assert_array_equal(kappa[0::2], kappa[1::2])
    assert not np.array_equal(kappa[0], kappa[2])
    assert abs(np.corrcoef(unlensed[0].ravel(), unlensed[1].ravel())[0, 1]) < 0.2
    ours = simulate(version, "test", range(2))
    np.testing.assert_array_equal(kappa[2], ours["kappa"][1])
    np.testing.assert_array_equal(unlensed[1], ours["unlensed"][1])


def test_prints_its_tables(capsys):
    estimator_proof.print_tables(["v11"], pairs=2)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| v11 ") for line in lines) == 12
    assert any("| N0 alone | N0 + N1 | measured |" in line for line in lines)
