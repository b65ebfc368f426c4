"""The hardened estimator: blind to sources, right for κ, and as noisy as it says."""

import numpy as np
import pytest

from estimators.quadratic.hardened import HardenedEstimator
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import foreground_spectra, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from tests.estimators.quadratic.skies import gaussian, observed

SKY = FlatSky(48, np.radians(48 * 4 / 60))
OBSERVATION = Observation(
    SKY, spectra.fiducial(), beam_arcmin=4.0, noise_uK_arcmin=5.0, lmin=100, lmax=2400
)
RINGS = (SKY.ell > 120) & (SKY.ell < 1500) & SKY.inner


@pytest.fixture(scope="module")
def plain():
    return QuadraticEstimator("TT", OBSERVATION)


@pytest.mark.parametrize("profile", ["source", "tsz"])
def test_a_field_of_sources_leaves_nothing(profile, plain):
    """White sources, modulated by a field s with a beam: each estimate's part that is odd in s."""
    hardened = HardenedEstimator(OBSERVATION, profile)
    rng = np.random.default_rng(7)
    shape = np.ones(SKY.ell.shape)
    if profile == "tsz":
        shape = np.sqrt(foreground_spectra.spectrum("tsz", SKY.ell))
    modulation = gaussian(np.where(SKY.ell < 800, 1.0, 0.0) / SKY.npix**2, rng, 1)
    count = 400
    white = SKY.to_map(gaussian(np.full(SKY.ell.shape, 1e3), rng, count))
    modulated = 0.3 * SKY.to_map(modulation) * white
    seen = {
        sign: SKY.to_modes(white + sign * modulated) * shape * OBSERVATION.beam for sign in (1, -1)
    }
    found = {}
    ring = RINGS & (SKY.ell < 800)
    for name, estimator in (("plain", plain), ("hardened", hardened)):
        odd = estimator.kappa({"T": seen[1]}) - estimator.kappa({"T": seen[-1]})
        # By the plain response to s, so that no mode outweighs the others.
        cross = (odd * modulation[0].conj()).real[:, ring] @ plain.noise[ring] ** -0.5
        found[name] = cross.mean() / (cross.std() / np.sqrt(count))
    assert abs(found["plain"]) > 15 and abs(found["hardened"]) < 4


def test_noise_is_what_it_says_and_a_little_more_than_the_plain_ones(plain):
    hardened = HardenedEstimator(OBSERVATION)
    ratio = hardened.noise[RINGS] / plain.noise[RINGS]
    assert (ratio > 1).all() and ratio.mean() < 3
    fields = observed(OBSERVATION, np.random.default_rng(8), 800)
    power = np.mean(np.abs(hardened.kappa({"T": fields["T"]})) ** 2, axis=0) * SKY.area
    measured = power[RINGS] / hardened.noise[RINGS]
    # 800 maps of some 500 modes: the mean of all is known to 0.2 %, but modes share pairs.
    assert abs(measured.mean() - 1) < 0.02
    # The plain estimator's N0 is of the same form.
    np.testing.assert_allclose(
        (SKY.ell**2 / 2)[RINGS] / plain.response[RINGS], plain.noise[RINGS], rtol=1e-6
    )


def test_estimates_of_lensed_maps_have_kappa():
    """Differences of lensed and unlensed maps, whose noise cancels: response 1 within 4 %."""
    config = LensingConfig("lensed", npix=48, lx=48 * 4 / 60, oversampling=4, beam_arcmin=4.0)
    maps = simulate(config, "train", range(400))
    hardened = HardenedEstimator(OBSERVATION)
    lensed, unlensed = (
        hardened.kappa({"T": SKY.to_modes(maps[name][..., 0].astype(float))})
        for name in ("lensed", "unlensed")
    )
    kappa = SKY.to_modes(maps["kappa"][..., 0].astype(float))
    for low, high in ((100, 400), (400, 900)):
        ring = (SKY.ell > low) & (SKY.ell < high) & SKY.inner
        cross = ((lensed - unlensed) * kappa.conj()).real[:, ring].mean(1)
        power = (np.abs(kappa) ** 2)[:, ring].mean(1)
        response = cross.mean() / power.mean()
        error = cross.std() / np.sqrt(len(cross)) / power.mean()
        assert error < 0.04 and abs(response - 1) < 4 * error + 0.02


def test_an_unknown_profile_is_named():
    with pytest.raises(LensingError, match="profile 'cluster' is unknown: choose among source"):
        HardenedEstimator(OBSERVATION, "cluster")
