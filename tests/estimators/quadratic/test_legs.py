"""Maps that estimators share: made once, never another field's, and the estimates are the same."""

import numpy as np
import pytest

from estimators.lensing_template import LensingTemplate
from estimators.quadratic.convolution import ProductGrid
from estimators.quadratic.legs import Filter, Legs
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import PAIRS, QuadraticEstimator
from lensing_tfds.sky import spectra
from lensing_tfds.sky.flat_sky import FlatSky
from tests.estimators.quadratic.skies import observed

OBSERVATION = Observation(
    FlatSky(33, np.radians(1.2)), spectra.fiducial(), beam_arcmin=2, noise_uK_arcmin=2, lmax=3000
)
ESTIMATORS = {pair: QuadraticEstimator(pair, OBSERVATION) for pair in PAIRS}


@pytest.fixture
def fields():
    return observed(OBSERVATION, np.random.default_rng(0), 3)


@pytest.fixture
def made(monkeypatch):
    """Counts the maps that were summed from modes, in calls of one leg each."""
    counts = []
    sums = ProductGrid.filtered_maps

    def counted(self, modes, factors):
        counts.append(len(factors))
        return sums(self, modes, factors)

    monkeypatch.setattr(ProductGrid, "filtered_maps", counted)
    return counts


@pytest.mark.parametrize(("pairs", "maps"), [(["EE", "EB"], 8), (PAIRS, 17)])
def test_pairs_share_their_maps(fields, made, pairs, maps):
    """E: two gradients; flat E, B: two each. With T its gradients for TT, TE and TB, and E's."""
    legs = Legs(fields)
    for pair in pairs:
        ESTIMATORS[pair].kappa(legs)
    assert sum(made) == maps


def test_a_combination_shares_them_too(fields, made):
    quadratic = MinimumVariance(["EE", "EB"], OBSERVATION)
    quadratic.kappa(fields)
    assert sum(made) == 8


def test_estimates_are_the_same_from_shared_maps(fields):
    legs = Legs(fields)
    for estimator in ESTIMATORS.values():
        np.testing.assert_array_equal(estimator.kappa(legs), estimator.kappa(fields))


def test_a_template_makes_its_gradients_once(fields, made):
    template, legs = LensingTemplate(OBSERVATION), Legs(fields)
    kappa = 1e-3 * fields["B"]
    once = template.of(legs, kappa)
    before = sum(made)
    again = template.of(legs, 2 * kappa)
    assert sum(made) - before == 2  # of the deflection
    for name in "TEB":
        np.testing.assert_allclose(2 * once[name], again[name], rtol=1e-12)


def test_a_replaced_field_has_none_of_the_old_maps_and_the_others_keep_theirs(fields, made):
    legs = Legs(fields)
    before = {pair: ESTIMATORS[pair].kappa(legs) for pair in ("EE", "EB")}
    count = sum(made)
    other = legs.replaced({"B": 2 * fields["B"]})
    np.testing.assert_allclose(ESTIMATORS["EB"].kappa(other), 2 * before["EB"], rtol=1e-12)
    assert sum(made) - count == 2  # B's
    np.testing.assert_array_equal(ESTIMATORS["EB"].kappa(legs), before["EB"])
    both = other.replaced({"E": 3 * fields["E"]})
    np.testing.assert_allclose(ESTIMATORS["EB"].kappa(both), 6 * before["EB"], rtol=1e-12)


@pytest.mark.parametrize("npix", [8, 9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_filtered_maps_are_maps_of_filtered_modes(npix, dtype):
    """On grids of any parity, for modes inside a square, and in the modes' precision."""
    sky = FlatSky(npix, 0.1)
    rng = np.random.default_rng(npix)
    plane, modes = rng.uniform(1, 2, sky.ell.shape), sky.to_modes(rng.normal(size=(2, npix, npix)))
    modes = modes.astype(np.result_type(dtype, np.complex64))
    used = sky.inner & (np.maximum(np.abs(sky.ly), sky.lx) < 2.5 * sky.fundamental)
    for mask in (sky.inner, used):
        grid = ProductGrid(sky, mask)
        by, legs = Filter(plane * mask, sky), Legs({"T": modes})
        pixels = np.arange(grid.npix) * sky.side / grid.npix
        waves_y, waves_x = np.exp(1j * sky.ly * pixels), np.exp(1j * sky.lx.T * pixels)
        for value, factor in (
            (legs.value("T", by, grid), plane * mask),
            (legs.slope("T", by, grid)[0], 1j * sky.ly * plane * mask),
            (legs.slope("T", by, grid)[1], 1j * sky.lx * plane * mask),
        ):
            weighed = modes * factor * np.where(sky.lx > 0, 2, 1)
            expected = np.einsum("nij,iy,jx->nyx", weighed, waves_y, waves_x).real
            tolerance = 50 * np.finfo(dtype).eps * np.abs(expected).max()
            np.testing.assert_allclose(value, expected, atol=tolerance)
            assert value.dtype == dtype
