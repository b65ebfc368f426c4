"""The quadratic estimators: sums mode by mode, sign and normalisation on lensed maps, noise."""

import dataclasses

import numpy as np
import pytest

from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import PAIRS, QuadraticEstimator
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import lensing, polarization, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from tests.estimators.quadratic.skies import correlated, gaussian, observed

FIDUCIAL = spectra.fiducial()
SMALL = Observation(
    FlatSky(12, np.radians(1.2)), FIDUCIAL, beam_arcmin=5, noise_uK_arcmin=3, lmin=400, lmax=1600
)


def brute_force(pair, o, curl=False):
    """Response, N0 and estimator as loops over all pairs of modes (i, j), on integer frequencies.

    Hu & Okamoto 2002, table 1, written out from the paper, on the full plane.
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
            "dTT": c("gradient_TT", mode),
            "dEE": c("gradient_EE", mode),
            "dTE": c("gradient_TE", mode),
            "b": np.exp(-((step * np.hypot(*mode) * sigma) ** 2) / 2),
        }
        for mode in modes
    }

    def total(x, y, mode):
        """Of the observed maps divided by the beam: not how the estimator writes it."""
        name = "TE" if x + y == "ET" else x + y
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
                return p1["dTT"] * dot[0] + p2["dTT"] * dot[1]
            case "EE":
                return (p1["dEE"] * dot[0] + p2["dEE"] * dot[1]) * np.cos(angle)
            case "EB":
                return p1["dEE"] * dot[0] * np.sin(angle)
            case "TE":
                return p1["dTE"] * np.cos(angle) * dot[0] + p2["dTE"] * dot[1]
            case "TB":
                return p1["dTE"] * np.sin(angle) * dot[0]

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
    kappa = estimator.kappa(dict.fromkeys(pair, modes))
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
    gradient_TT=FIDUCIAL.TT,
    gradient_EE=FIDUCIAL.EE,
    gradient_TE=FIDUCIAL.TE,
    lensed_BB=np.where(FIDUCIAL.TT > 0, 1e-7, 0.0),  # something to divide by
)
"""For weights exact at first order in φ, where the lensed spectra are the unlensed ones."""


def lensed_teb(t, e, kappa, sky):
    deflection = lensing.deflection_from_kappa(kappa, sky)
    t, q, u = (
        sky.to_modes(lensing.remap(modes, deflection, sky))
        for modes in (t, *polarization.to_qu(e, 0 * e, sky))
    )
    e, b = polarization.to_eb(q, u, sky)
    return {"T": t, "E": e, "B": b}


@pytest.fixture(scope="module")
def lensed_pairs():
    """κ, and the same T and E lensed by κ and by −κ: (sky, κ, fields, fields)."""
    sky = FlatSky(96, np.radians(5.0))
    rng = np.random.default_rng(7)
    n = 200
    inside = (sky.ell >= 100) & (sky.ell < 1500)
    kappa = gaussian(np.where(inside, 1e-6 / inside.sum(), 0), rng, n)
    unlensed = (FIDUCIAL.TT, FIDUCIAL.EE, FIDUCIAL.TE)
    t, e = correlated(*(spectra.at_multipoles(c, sky.ell) / sky.area for c in unlensed), rng, n)
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


@pytest.mark.parametrize("pair", PAIRS)
def test_noise_is_that_of_gaussian_maps(pair):
    """N0 against the scatter of the estimates from 500 maps, in 8 bands of L, by χ²."""
    observation = Observation(
        FlatSky(48, np.radians(3.2)), FIDUCIAL, beam_arcmin=4, noise_uK_arcmin=2, lmin=200
    )
    sky = observation.sky
    estimator = QuadraticEstimator(pair, observation)
    kappa = estimator.kappa(observed(observation, np.random.default_rng(5), 500))
    excess = np.abs(kappa) ** 2 * sky.area / estimator.noise - 1
    which = np.digitize(sky.ell, np.linspace(100, 2500, 9))
    inside = np.isfinite(estimator.noise)
    sums = [excess[:, inside & (which == i)].mean(axis=1) for i in range(1, 9)]
    deviation = np.mean(sums, axis=1) / (np.std(sums, axis=1, ddof=1) / np.sqrt(500))
    assert np.sum(deviation**2) < 31.8  # 1e-4 of 8 degrees of freedom
    assert np.all(np.std(sums, axis=1) < 1)  # and one per cent would be seen in some band


@pytest.mark.parametrize(("pair", "noise", "n"), [("TT", 4.0, 240), ("EB", 1.0, 160)])
def test_normalisation_holds_where_lensing_is_strong(pair, noise, n):
    """The dataset's own simulation, lensed in full, up to the grid's Nyquist frequency: 1.5 %.

    The weights need the spectra of the lensed field with its lensed gradient: with the lensed ones
    the estimate from T is 3 % low here.
    """
    config = LensingConfig(
        "survey", npix=128, lx=128 * 2 / 60, stokes="T" if pair == "TT" else "QU",
        oversampling=2, beam_arcmin=1.4, noise_uK_arcmin=noise,
    )  # fmt: skip
    sky = config.sky
    examples = simulate(config, "test", range(n))
    modes = [sky.to_modes(maps) for maps in np.moveaxis(examples["lensed"], -1, 0)]
    if pair == "EB":
        modes = polarization.to_eb(*modes, sky)
    fields = dict(zip(config.stokes if pair == "TT" else pair, modes, strict=True))
    estimate = QuadraticEstimator(pair, Observation(sky, FIDUCIAL, 1.4, noise)).kappa(fields)
    kappa = sky.to_modes(examples["kappa"][..., 0])
    band = (sky.ell > 100) & (sky.ell < 2000)
    cross = np.sum((estimate * kappa.conj()).real[:, band], axis=1)
    auto = np.sum(np.abs(kappa[:, band]) ** 2, axis=1)
    ratio = cross.sum() / auto.sum()
    error = np.std(cross - ratio * auto) * np.sqrt(n) / auto.sum()
    assert error < 0.006
    assert abs(ratio - 1) < 0.015


def test_a_gradient_has_no_curl(lensed_pairs):
    """The estimate of the rotation: zero within its scatter, which one per cent of κ exceeds."""
    sky, kappa, plus, minus = lensed_pairs
    observation = Observation(sky, UNLENSED, noise_uK_arcmin=1.0, lmax=1800)
    estimator = QuadraticEstimator("EB", observation, curl=True)
    signal = (estimator.kappa(plus) - estimator.kappa(minus)) / 2
    cross = np.sum((signal * kappa.conj()).real, axis=(1, 2))
    auto = np.sum(np.abs(kappa) ** 2, axis=(1, 2))
    error = np.std(cross) * np.sqrt(len(cross)) / auto.sum()
    assert error < 0.01
    assert abs(cross.sum() / auto.sum()) < 4 * error


def test_single_precision_is_enough():
    """complex64 in, complex64 out, within 1e-5 of complex128's rms in every band of L."""
    observation = Observation(
        FlatSky(128, np.radians(5.0)), FIDUCIAL, beam_arcmin=1, noise_uK_arcmin=1
    )
    sky = observation.sky
    fields = observed(observation, np.random.default_rng(3), 2)
    singles = {name: modes.astype(np.complex64) for name, modes in fields.items()}
    for pair in PAIRS:
        estimator = QuadraticEstimator(pair, observation)
        double, single = estimator.kappa(fields), estimator.kappa(singles)
        assert single.dtype == np.complex64
        for low in range(50, 4500, 500):
            band = (sky.ell >= low) & (sky.ell < low + 500)
            error = np.std((single - double)[:, band]) / np.std(double[:, band])
            assert error < 1e-5


def test_examples_do_not_depend_on_their_neighbours():
    maps = np.random.default_rng(9).standard_normal((300, 12, 12))
    modes = SMALL.sky.to_modes(maps)
    estimator = QuadraticEstimator("TT", SMALL)
    together = estimator.kappa({"T": modes})
    np.testing.assert_allclose(together[299:], estimator.kappa({"T": modes[299:]}), rtol=1e-10)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"E": np.zeros((1, 12, 7), complex)}, r"the EB estimator needs B, got \['E'\]"),
        (
            {"E": np.zeros((1, 12, 7), complex), "B": np.zeros((12, 7), complex)},
            r"B has shape \(12, 7\) .* must be complex half planes of shape \(n, 12, 7\)",
        ),
        (
            {"E": np.zeros((1, 12, 7), complex), "B": np.zeros((1, 12, 7))},
            "B has .* dtype float64",
        ),
        (
            {"E": np.zeros((1, 12, 7), complex), "B": np.zeros((2, 12, 7), complex)},
            "1 maps of E, but 2 of B",
        ),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(LensingError, match=message):
        QuadraticEstimator("EB", SMALL).kappa(fields)


def test_unknown_pair():
    with pytest.raises(LensingError, match="'ET' is unknown: choose among TT, EE, EB, TE, TB"):
        QuadraticEstimator("ET", SMALL)
