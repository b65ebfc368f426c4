"""Whether the parts of an estimate's power add up to κ's, on a small patch."""

import dataclasses

import numpy as np
import pytest

from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from estimators.trispectrum import closure
from estimators.trispectrum.crossed_skies import CrossedSimulator
from lensing_tfds import VERSIONS
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power, spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky.binning import Bins

CONFIG = LensingConfig(
    name="small", npix=48, lx=48 * 2.0 / 60, stokes="QU", oversampling=2, beam_arcmin=1.0,
    noise_uK_arcmin=1.0,
)  # fmt: skip
KAPPA_POWER = kappa_power(CONFIG, spectra_of(CONFIG), CONFIG.sky.ell)
EDGES = (200, 600, 1000)
EIGHTS = 64


def estimators():
    combined = MinimumVariance(["EE", "EB"], Observation.of(CONFIG, spectra_of(CONFIG)))
    return {"EB": combined.estimators[1], "MV": combined}


@pytest.fixture(name="found", scope="module")
def found_fixture():
    return closure.close(CONFIG, estimators(), EIGHTS, EDGES)


@pytest.mark.parametrize("name", ["EB", "MV"])
def test_n0_n1_and_kappa_are_all_the_power(found, name):
    """Within 3.5 of its errors, which are a few per cent; and without N1 by far not."""
    parts = found[name]
    error = parts.errors["closed"]
    assert (error < 0.05).all()
    assert (np.abs(parts.closed - 1) < 3.5 * error + 0.01).all()
    without = parts.closed + parts.n1 / parts.response**2
    assert ((without - 1) > 3.5 * error).any()


def test_n1_is_that_of_paired_skies(found):
    parts = found["EB"]
    error = parts.errors["n1_simulated"]
    assert (np.abs(parts.n1 - parts.n1_simulated) < 3.5 * error).all()
    assert (error < 0.3 * parts.n1).any()


def test_n0_is_theorys_where_skies_have_theorys_spectra(monkeypatch):
    """Mode by mode: rings are so wide that averages over them would be off by more than this."""
    seen, kappa = Observation.of(CONFIG, spectra_of(CONFIG)), KAPPA_POWER

    def skies(config, eights):
        rng = np.random.default_rng(1)
        for _ in range(eights):
            turns = np.exp(2j * np.pi * rng.random((3, 8, *kappa.shape)))
            planes = seen.total("E", "E"), seen.total("B", "B"), kappa
            e, b, k = (
                np.sqrt(plane / CONFIG.sky.area) * turn
                for plane, turn in zip(planes, turns, strict=True)
            )
            yield {"E": e, "B": b}, k

    monkeypatch.setattr(closure, "crossed_skies", skies)
    one = {"EE": QuadraticEstimator("EE", seen)}
    found = closure.close(CONFIG, one, closure.BLOCKS, EDGES)["EE"]
    bands = Bins.between(EDGES, CONFIG.sky)
    expected = bands.mean(np.nan_to_num(one["EE"].noise_covariance(one["EE"], seen), posinf=0))
    np.testing.assert_allclose(found.n0, expected / bands.mean(kappa), rtol=1e-4)


def test_second_orders_are_told_from_first_by_their_sign():
    """Of an "estimate" that is the square of 1 + κ + κ², the same for all CMBs: written out."""
    drawn = np.random.default_rng(0).standard_normal((2, 1, 1))
    kappa = drawn[[0, 0, 1, 1]]
    kappa = np.concatenate([kappa, -kappa])
    field = (1 + kappa + kappa**2).astype(complex)

    class Square:
        def kappa(self, fields):
            return fields["E"] ** 2

    planes = closure._planes(Square(), {"E": field}, kappa.astype(complex))
    one, two = (np.array([value, -value]) for value in drawn.ravel())

    def mean(first, second):
        of = (1 + first + first**2) * (1 + second + second**2)
        return np.mean((2 * of) ** 2 / 2)

    assert planes[3] == pytest.approx((mean(one, one) + mean(two, two)) / 2)
    assert planes[4] == pytest.approx((mean(one, -one) + mean(two, -two)) / 2)
    assert planes[5] == pytest.approx((mean(one, two) + mean(one, -two)) / 2)
    even = [np.mean((1 + k + k**2) ** 2) for k in (one, two)]
    assert planes[6] == pytest.approx((even[0] - even[1]) ** 2 / 2)


def test_skies_in_eights_share_kappa_and_cmb():
    """Four of each, and half of κ turned; the sky of example 0 is the simulator's own."""
    noiseless = dataclasses.replace(CONFIG, noise_uK_arcmin=0.0)
    blocks = list(CrossedSimulator(noiseless, "test").examples(range(8)))
    kappa, sky = (np.concatenate([b[name] for b in blocks]) for name in ("kappa", "unlensed"))
    own = simulate(noiseless, "test", [0, 1])
    assert np.array_equal(kappa[:4], own["kappa"][[0, 0, 1, 1]])
    np.testing.assert_allclose(kappa[4:], -kappa[:4], atol=1e-6 * kappa.std())
    assert np.array_equal(sky, own["unlensed"][[0, 1] * 4])
    lensed = np.concatenate([b["lensed"] for b in blocks])
    assert np.abs(lensed[4] - lensed[0]).max() > 0.01 * lensed.std()


def test_bad_input_is_answered_in_one_line():
    with pytest.raises(LensingError, match="3 times eight skies: the errors need 16"):
        closure.close(CONFIG, estimators(), 3, EDGES)
    with pytest.raises(LensingError, match="no mode of 'small' lies in 10 <= L < 20"):
        closure.close(CONFIG, estimators(), 16, (10, 20, 400))
    edged = dataclasses.replace(CONFIG, taper=0.2)
    for config in (edged, VERSIONS["v16"], VERSIONS["v17"]):
        with pytest.raises(LensingError, match=f"which those of '{config.name}' are not"):
            closure.close(config, estimators(), 16, EDGES)
