"""Whether the parts of an estimate's power add up to κ's, on a small patch."""

import dataclasses

import numpy as np
import pytest

from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.trispectrum import closure
from estimators.trispectrum.crossed_skies import CrossedSimulator
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate

CONFIG = LensingConfig(
    name="small", npix=48, lx=48 * 2.0 / 60, stokes="QU", oversampling=2, beam_arcmin=1.0,
    noise_uK_arcmin=1.0,
)  # fmt: skip
EDGES = (200, 600, 1000)
FOURS = 64


def estimators():
    combined = MinimumVariance(["EE", "EB"], Observation.of(CONFIG, spectra_of(CONFIG)))
    return {"EB": combined.estimators[1], "MV": combined}


@pytest.fixture(name="found", scope="module")
def found_fixture():
    return closure.close(CONFIG, estimators(), FOURS, EDGES)


@pytest.mark.parametrize("name", ["EB", "MV"])
def test_n0_n1_and_kappa_are_all_the_power(found, name):
    """Within 3.5 of its errors, which are a few per cent; and without N1 by far not."""
    parts = found[name]
    assert (parts.closed_error < 0.05).all()
    assert (np.abs(parts.closed - 1) < 3.5 * parts.closed_error + 0.01).all()
    without = parts.closed + parts.n1 / parts.response**2
    assert ((without - 1) > 3.5 * parts.closed_error).any()


def test_n1_is_that_of_paired_skies(found):
    parts = found["EB"]
    assert (np.abs(parts.n1 - parts.n1_simulated) < 3.5 * parts.n1_error).all()
    assert (parts.n1_error < 0.3 * parts.n1).any()


def test_skies_in_fours_share_kappa_and_cmb():
    """Two of each; the sky of example 0 is the simulator's own."""
    noiseless = dataclasses.replace(CONFIG, noise_uK_arcmin=0.0)
    blocks = list(CrossedSimulator(noiseless, "test").examples(range(4)))
    kappa, sky = (np.concatenate([b[name] for b in blocks]) for name in ("kappa", "unlensed"))
    own = simulate(noiseless, "test", [0, 1])
    assert np.array_equal(kappa, own["kappa"][[0, 0, 1, 1]])
    assert np.array_equal(sky, own["unlensed"][[0, 1, 0, 1]])


def test_bad_input_is_answered_in_one_line():
    with pytest.raises(LensingError, match="3 times four skies: the errors need 16"):
        closure.close(CONFIG, estimators(), 3, EDGES)
    with pytest.raises(LensingError, match="no mode of 'small' lies in 10 <= L < 20"):
        closure.close(CONFIG, estimators(), 16, (10, 20, 400))
    edged = dataclasses.replace(CONFIG, taper=0.2)
    with pytest.raises(LensingError, match="'small' has edges"):
        closure.close(edged, estimators(), 16, EDGES)
