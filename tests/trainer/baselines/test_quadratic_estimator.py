"""The quadratic estimators: their sums mode by mode, their sign and normalisation on lensed maps."""

import dataclasses

import numpy as np
import pytest

from lensing_tfds import lensing, spectra
from lensing_tfds.configs import LensingError
from lensing_tfds.flat_sky import FlatSky
from lensing_tfds.gaussian_fields import GaussianField
from trainer.baselines.observation import Observation
from trainer.baselines.quadratic_estimator import PAIRS, QuadraticEstimator

FIDUCIAL = spectra.fiducial()
SMALL = Observation(
    FlatSky(12, np.radians(1.2)), FIDUCIAL, beam_arcmin=5, noise_uK_arcmin=3, lmin=400, lmax=1600
)


def brute_force(pair, o, curl=False):
    """Response, N0 and estimator as loops over all pairs of modes (i, j), on integer frequencies.

    Hu & Okamoto 2002, table 1 and eqs. 6-9, written out from the paper, on the full plane.
    Returns functions of the frequency (j, i) of L.
    """
    step, area = o.sky.fundamental, o.sky.area
    depth = np.radians(o.noise_uK_arcmin / 60)
    sigma = np.radians(o.beam_arcmin / 60) / np.sqrt(8 * np.log(2))
    top = (o.sky.npix - 1) // 2
    modes = [
        (j, i)
        for j in range(-top, top + 1)
        for i in range(-top, top + 1)
        if o.lmin <= step * np.hypot(j, i) <= (o.lmax or np.inf)
    ]

    def c(name, mode):
        return spectra.at_multipoles(getattr(FIDUCIAL, name), np.array(step * np.hypot(*mode)))

    power = {
        mode: {
            "TT": c("lensed_TT", mode),
            "EE": c("lensed_EE", mode),
            "TE": c("lensed_TE", mode),
            "BB": c("lensed_BB", mode),
            "b": np.exp(-((step * np.hypot(*mode) * sigma) ** 2) / 2),
        }
        for mode in modes
    }

    def total(x, y, mode):
        """Of the observed maps divided by the beam: not how the estimator writes it."""
        name = "".join(sorted(x + y, reverse=True)) if "B" not in x + y else x + y
        signal = power[mode].get(name, 0)
        noise = (depth / power[mode]["b"]) ** 2 * (1 if x == "T" else 2) if x == y else 0
        return signal + noise

    def coupling(one, two):
        big = (one[0] + two[0], one[1] + two[1])
        if curl:
            dot = [step**2 * (big[1] * m[0] - big[0] * m[1]) for m in (one, two)]
        else:
            dot = [step**2 * (big[0] * m[0] + big[1] * m[1]) for m in (one, two)]
        angle = 2 * (np.arctan2(*one) - np.arctan2(*two))
        p1, p2 = power[one], power[two]
        match pair:
            case "TT":
                return p1["TT"] * dot[0] + p2["TT"] * dot[1]
            case "EE":
                return (p1["EE"] * dot[0] + p2["EE"] * dot[1]) * np.cos(angle)
            case "EB":
                return p1["EE"] * dot[0] * np.sin(angle)
            case "TE":
                return p1["TE"] * np.cos(angle) * dot[0] + p2["TE"] * dot[1]
            case "TB":
                return p1["TE"] * np.sin(angle) * dot[0]

    x, y = pair

    def weight(one, two):
        half = 0.5 if x == y else 1
        return half * coupling(one, two) / (total(x, x, one) * total(y, y, two))

    def pairs_of(big):
        for one in modes:
            two = (big[0] - one[0], big[1] - one[1])
            if two in power:
                yield one, two

    def response(big):
        ell2 = step**2 * (big[0] ** 2 + big[1] ** 2)
        return 2 / (ell2 * area) * sum(weight(*p) * coupling(*p) for p in pairs_of(big))

    def noise(big):
        variance = 0
        for one, two in pairs_of(big):
            direct = weight(one, two) * total(x, x, one) * total(y, y, two)
            crossed = weight(two, one) * total(x, y, one) * total(x, y, two)
            variance += weight(one, two) * (direct + crossed)
        return variance / area / response(big) ** 2

    def estimate(big, x_plane, y_plane):
        """From full planes of the observed modes."""
        q = 0
        for one, two in pairs_of(big):
            deconvolved = x_plane[one] / power[one]["b"] * y_plane[two] / power[two]["b"]
            q += weight(one, two) * deconvolved
        return q / response(big)

    return response, noise, estimate


@pytest.mark.parametrize("curl", [False, True])
@pytest.mark.parametrize("pair", PAIRS)
def test_is_the_sum_over_all_pairs_of_modes(pair, curl):
    """Response, N0 and estimate, at every L of a 12 x 12 grid (L to the corners)."""
    sky = SMALL.sky
    estimator = QuadraticEstimator(pair, SMALL, curl)
    maps = np.random.default_rng(1).standard_normal((2, 3, sky.npix, sky.npix))
    x, y = sky.to_modes(maps)
    if pair[0] == pair[1]:
        y = x
    kappa = estimator.kappa({pair[0]: x, pair[1]: y})
    response, noise, estimate = brute_force(pair, SMALL, curl)
    x_plane, y_plane = sky.full_plane(x)[1], sky.full_plane(y)[1]
    scale = np.abs(kappa[1]).max()
    for j in range(-5, 6):
        for i in range(6):
            if (j, i) == (0, 0):
                continue
            assert estimator.response[j, i] == pytest.approx(response((j, i)), rel=1e-9)
            assert estimator.noise[j, i] == pytest.approx(noise((j, i)), rel=1e-9)
            expected = estimate((j, i), x_plane, y_plane)
            assert kappa[1, j, i] == pytest.approx(expected, rel=1e-8, abs=1e-10 * scale)


@pytest.mark.parametrize("pair", PAIRS)
def test_modes_that_cannot_be_estimated(pair):
    """L = 0 and the Nyquist lines: no response, infinite noise, and zero, not NaN, in κ̂."""
    estimator = QuadraticEstimator(pair, SMALL)
    shape = SMALL.sky.ell.shape
    nothing = np.zeros(shape, bool)
    nothing[0, 0] = nothing[6] = nothing[:, -1] = True
    rng = np.random.default_rng(0)
    modes = (rng.standard_normal((1, *shape)) + 1j * rng.standard_normal((1, *shape))) * 1e3
    kappa = estimator.kappa({name: modes for name in pair})
    np.testing.assert_array_equal(estimator.response == 0, nothing)
    np.testing.assert_array_equal(np.isinf(estimator.noise), nothing)
    np.testing.assert_array_equal(kappa[0] == 0, nothing)


def test_no_pair_of_modes_adds_up_to_a_short_wave():
    """With l <= 500 there is nothing at L > 1000, and no noise's leftovers either."""
    sky = FlatSky(64, np.radians(8.0))
    estimator = QuadraticEstimator("TT", Observation(sky, FIDUCIAL, lmax=500))
    maps = np.random.default_rng(2).standard_normal((1, 64, 64))
    kappa = estimator.kappa({"T": sky.to_modes(maps)})[0]
    assert not kappa[sky.ell > 1000].any()
    assert np.isinf(estimator.noise[sky.ell > 1000]).all()
    inside = (sky.ell > 0) & (sky.ell < 950)
    assert np.isfinite(estimator.noise[inside]).all()
    assert kappa[inside].all()


UNLENSED = dataclasses.replace(
    FIDUCIAL,
    lensed_TT=FIDUCIAL.TT,
    lensed_EE=FIDUCIAL.EE,
    lensed_TE=FIDUCIAL.TE,
    lensed_BB=1e-7 * (FIDUCIAL.TT > 0),  # something to divide by
)
"""Weights exact at first order in φ, where the lensed spectra are the unlensed ones."""


def gaussian(power, rng, n):
    field = GaussianField(power)
    return field.modes(rng.standard_normal((n, field.size), np.float32)).astype(complex)


def correlated_t_and_e(sky, rng, n):
    tt, ee, te = (
        spectra.at_multipoles(table, sky.ell) / sky.area
        for table in (FIDUCIAL.TT, FIDUCIAL.EE, FIDUCIAL.TE)
    )
    ratio = np.divide(te, tt, out=np.zeros_like(te), where=tt > 0)
    t = gaussian(tt, rng, n)
    return t, t * ratio + gaussian(np.maximum(ee - te * ratio, 0), rng, n)


def angles(sky):
    phi = np.arctan2(*np.broadcast_arrays(sky.ly, sky.lx))
    return np.cos(2 * phi), np.sin(2 * phi)


def lensed_teb(t, e, kappa, sky):
    """Lenses T, Q and U, with (Q + iU)(l) = (E + iB)(l) exp(2iφ_l)."""
    deflection = lensing.deflection_from_kappa(kappa, sky)
    cos, sin = angles(sky)
    t, q, u = (
        sky.to_modes(lensing.remap(modes, deflection, sky)) for modes in (t, e * cos, e * sin)
    )
    return {"T": t, "E": q * cos + u * sin, "B": u * cos - q * sin}


@pytest.fixture(scope="module")
def lensed_pairs():
    """κ, and the same T and E lensed by κ and by −κ: (sky, κ, fields, fields)."""
    sky = FlatSky(96, np.radians(5.0))
    rng = np.random.default_rng(7)
    n = 200
    inside = (sky.ell >= 100) & (sky.ell < 1500)
    kappa = gaussian(np.where(inside, 1e-6 / inside.sum(), 0), rng, n)
    t, e = correlated_t_and_e(sky, rng, n)
    for modes in (t, e):
        modes *= sky.ell < 0.95 * sky.nyquist
    plus, minus = (lensed_teb(t, e, sign * kappa, sky) for sign in (1, -1))
    return sky, kappa, plus, minus


@pytest.mark.parametrize("pair", PAIRS)
def test_estimates_kappa_of_lensed_maps(pair, lensed_pairs):
    """Sign and normalisation, in two bands of L, against the project's own lensing.

    κ is small, 1e-3 rms, and white, and what the same T and E give when lensed by κ and by −κ is
    subtracted: only the first order is left, scattered by the finite number of modes.
    """
    sky, kappa, plus, minus = lensed_pairs
    observation = Observation(sky, UNLENSED, noise_uK_arcmin=1.0, lmax=1800)
    estimator = QuadraticEstimator(pair, observation)
    signal = (estimator.kappa(plus) - estimator.kappa(minus)) / 2
    for low, high in ((100, 800), (800, 1500)):
        band = (sky.ell >= low) & (sky.ell < high)
        cross = np.sum((signal * kappa.conj()).real[:, band], axis=1)
        auto = np.sum(np.abs(kappa[:, band]) ** 2, axis=1)
        ratio = cross.sum() / auto.sum()
        error = np.std(cross - ratio * auto, ddof=1) * np.sqrt(len(kappa)) / auto.sum()
        assert error < 0.02
        assert abs(ratio - 1) < 4 * error
