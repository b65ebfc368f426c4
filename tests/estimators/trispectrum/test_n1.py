"""N1 against the double sum over all pairs of modes, written out; and against lensed skies."""

import itertools

import numpy as np
import pytest

from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import PAIRS, QuadraticEstimator
from estimators.trispectrum.n1 import FirstOrderNoise, n1, node_modes
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import spectra
from lensing_tfds.sky.flat_sky import FlatSky

FIDUCIAL = spectra.fiducial()
SIDE = np.radians(1.2)
SMALL = Observation(
    FlatSky(12, SIDE), FIDUCIAL, beam_arcmin=5, noise_uK_arcmin=3, lmin=400, lmax=1600
)
LENSING = FlatSky(18, SIDE)  # finer than the maps: modes beyond their own lens them too
KAPPA = spectra.at_multipoles(FIDUCIAL.kappa, LENSING.ell)


def frequencies():
    """All modes used, (n, 2), in units of the fundamental."""
    top = range(-5, 6)
    modes = np.array(list(itertools.product(top, top)))
    ell = SMALL.sky.fundamental * np.hypot(*modes.T)
    return modes[(ell >= 400) & (ell <= 1600)]


def spectrum(name, modes):
    ell = SMALL.sky.fundamental * np.hypot(modes[..., 0], modes[..., 1])
    return spectra.at_multipoles(getattr(FIDUCIAL, name), ell)


def total(x, modes):
    """Of maps divided by the beam."""
    ell = SMALL.sky.fundamental * np.hypot(modes[..., 0], modes[..., 1])
    sigma = np.radians(5 / 60) / np.sqrt(8 * np.log(2))
    depth = np.radians(3 / 60) ** 2 * (1 if x == "T" else 2)
    return spectrum(f"lensed_{x}{x}", modes) + depth * np.exp(ell**2 * sigma**2)


def coupling(x, y, one, two, curl=False):
    """Hu & Okamoto 2002, table 1, of modes (..., 2) with L = l₁ + l₂."""
    step = SMALL.sky.fundamental
    big = one + two
    if curl:
        big = np.stack([big[..., 1], -big[..., 0]], axis=-1)
    along_one, along_two = (step**2 * np.sum(big * mode, axis=-1) for mode in (one, two))
    angle = 2 * (np.arctan2(one[..., 0], one[..., 1]) - np.arctan2(two[..., 0], two[..., 1]))
    match x + y:
        case "TT":
            return (
                spectrum("gradient_TT", one) * along_one + spectrum("gradient_TT", two) * along_two
            )
        case "EE":
            both = (
                spectrum("gradient_EE", one) * along_one + spectrum("gradient_EE", two) * along_two
            )
            return both * np.cos(angle)
        case "TE":
            te = "gradient_TE"
            return spectrum(te, one) * np.cos(angle) * along_one + spectrum(te, two) * along_two
        case "EB":
            return spectrum("gradient_EE", one) * np.sin(angle) * along_one
        case "TB":
            return spectrum("gradient_TE", one) * np.sin(angle) * along_one
        case "BB":
            return np.zeros(along_one.shape)
    return coupling(y, x, two, one)


def weight(pair, one, two, curl=False):
    half = 0.5 if pair[0] == pair[1] else 1.0
    below = total(pair[0], one) * total(pair[1], two)
    return half * coupling(*pair, one, two, curl) / below


def double_sum(first, second, mode, responses, curl=False):
    """N1 at one L, from all l₁ and l₁'."""
    big = np.array(mode)
    one = frequencies()
    two = big - one
    ell = SMALL.sky.fundamental * np.hypot(*two.T)
    inside = (np.abs(two).max(axis=1) <= 5) & (ell >= 400) & (ell <= 1600)
    one, two = one[inside], two[inside]
    a, b = one[:, None], two[:, None]
    c, d = one[None], two[None]

    def phi(difference):
        """C_φφ of the modes of the finer grid, but for its Nyquist lines."""
        ell = SMALL.sky.fundamental * np.hypot(difference[..., 0], difference[..., 1])
        kappa = spectra.at_multipoles(FIDUCIAL.kappa, ell)
        there = (np.abs(difference).max(axis=-1) <= 8) & (ell > 0)
        return np.where(there, 4 * kappa / np.where(ell > 0, ell, 1) ** 4, 0)

    (x, y), (v, w) = first, second
    joined = coupling(x, v, a, -c) * coupling(y, w, b, -d) * phi(a - c)
    joined += coupling(x, w, a, -d) * coupling(y, v, b, -c) * phi(a - d)
    sums = weight(first, one, two, curl) @ joined @ weight(second, one, two, curl)
    return sums / (SMALL.sky.area**2 * responses[0] * responses[1])


MODES = [(0, 2), (3, 1), (-4, 3), (5, 5)]
TWO = list(itertools.combinations_with_replacement(PAIRS, 2))


@pytest.fixture(scope="module")
def estimators():
    return {pair: QuadraticEstimator(pair, SMALL) for pair in PAIRS}


@pytest.mark.parametrize("mode", MODES)
def test_is_the_double_sum_over_all_pairs_of_modes(estimators, mode):
    """Every pair of estimators, to rounding; also of EE and EB, say, that have no common N0."""
    found = FirstOrderNoise(tuple(estimators.values()), KAPPA, LENSING).covariance(mode)
    for one, two in TWO:
        responses = [estimators[pair].response[mode] for pair in (one, two)]
        expected = double_sum(one, two, mode, responses)
        measured = found[PAIRS.index(one), PAIRS.index(two)]
        assert measured == pytest.approx(expected, rel=1e-9), (one, two)
        assert found[PAIRS.index(two), PAIRS.index(one)] == measured


def test_of_the_curl_is_the_double_sum_too():
    """Lensing joins the fields of curl estimates as well, though they do not respond to it."""
    curl = QuadraticEstimator("EB", SMALL, curl=True)
    found = FirstOrderNoise([curl], KAPPA, LENSING).covariance((3, 1))[0, 0]
    expected = double_sum("EB", "EB", (3, 1), [curl.response[3, 1]] * 2, curl=True)
    assert found == pytest.approx(expected, rel=1e-9)


def test_curve_interpolates_the_sums():
    """Of a version-like patch: between its nodes right within 1 % of N0, MV with its weights."""
    observation = Observation(
        FlatSky(48, np.radians(4)), FIDUCIAL, beam_arcmin=1, noise_uK_arcmin=1
    )
    combined = MinimumVariance(["EE", "EB"], observation)
    sky = observation.sky
    kappa = spectra.at_multipoles(FIDUCIAL.kappa, sky.ell)
    curve = n1(combined, kappa, sky)
    assert np.array_equal(np.isfinite(curve), np.isfinite(combined.noise))
    sums = FirstOrderNoise(combined.estimators, kappa, sky)
    for mode in [(0, 2), (2, 3), (6, 1), (9, 9), (17, 4)]:
        weights = combined.weights[:, mode[0], mode[1]]
        expected = weights @ sums.covariance(mode) @ weights
        assert curve[mode] == pytest.approx(expected, abs=0.01 * combined.noise[mode])
        assert expected > 0.03 * combined.noise[mode]


def test_nodes_are_modes_of_increasing_multipole():
    sky = FlatSky(32, np.radians(3))
    estimated = sky.inner & (sky.ell > 0)
    straight, oblique = (np.array(node_modes(sky, estimated, d, 12)) for d in (False, True))
    assert (straight[:, 0] == 0).all()
    assert np.array_equal(oblique[:, 0], oblique[:, 1])
    for modes in (straight, oblique):
        assert len(modes) >= 8
        assert (np.diff(modes[:, 1]) > 0).all()
        assert list(modes[[0, -1], 1]) == [1, 15]
    with pytest.raises(LensingError, match="use more of the maps' modes"):
        node_modes(sky, sky.ell < 1, False, 12)


def test_modes_that_are_not_estimated_have_infinite_noise(estimators):
    """As N0: half a patch beyond all sums of two modes."""
    few = Observation(SMALL.sky, FIDUCIAL, beam_arcmin=5, noise_uK_arcmin=3, lmin=400, lmax=700)
    estimator = QuadraticEstimator("EB", few)
    curve = n1(estimator, KAPPA, LENSING, nodes=3)
    assert np.isinf(curve[~np.isfinite(estimator.noise)]).all()
    assert np.isinf(FirstOrderNoise([estimator], KAPPA, LENSING).covariance((5, 5))).all()


def test_bad_input_is_answered_in_one_line(estimators):
    eb = estimators["EB"]
    with pytest.raises(LensingError, match=r"patch is 1.2 degrees wide.*lens 2:"):
        FirstOrderNoise([eb], KAPPA, FlatSky(18, np.radians(2)))
    with pytest.raises(LensingError, match=r"C_κκ has shape \(3, 3\)"):
        FirstOrderNoise([eb], np.zeros((3, 3)), LENSING)
    with pytest.raises(LensingError, match="one and the same observation"):
        other = Observation(SMALL.sky, FIDUCIAL, noise_uK_arcmin=3, lmin=400, lmax=1600)
        FirstOrderNoise([eb, QuadraticEstimator("EB", other)], KAPPA, LENSING)
    wrapped = Observation(SMALL.sky, FIDUCIAL, noise_uK_arcmin=3, lmin=400, wrapped=True)
    with pytest.raises(LensingError, match="paired simulations"):
        n1(QuadraticEstimator("TT", wrapped), KAPPA, LENSING)
    with pytest.raises(LensingError, match="nodes is 1"):
        n1(eb, KAPPA, LENSING, nodes=1)
