"""The posterior of κ: its value against dense matrices, its gradient, the way to its maximum."""

import dataclasses

import numpy as np
import pytest

from estimators.posterior.maximum_a_posteriori import MaximumAPosteriori
from estimators.posterior.quasi_newton import InverseHessian
from estimators.posterior.sky_model import SkyModel, dot
from lensing_tfds import simulate
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.flat_sky import FlatSky

TINY = LensingConfig(
    "tiny", npix=8, lx=0.4, stokes="TQU", oversampling=2, beam_arcmin=2.0, noise_uK_arcmin=2.0
)
PATCH = LensingConfig(
    "patch", npix=48, lx=1.6, stokes="QU", oversampling=2, beam_arcmin=1.0, noise_uK_arcmin=1.0
)


def white(sky, rng, *shape):
    """Modes of unit power of real maps."""
    return sky.to_modes(rng.standard_normal((*shape, sky.npix, sky.npix))) * sky.npix


@pytest.mark.parametrize("stokes", ["T", "QU", "TQU"])
def test_the_value_is_that_of_dense_matrices(stokes):
    """½ dᵗ (A Aᵗ + N)⁻¹ d + ½ |x|², with A made column by column."""
    config = dataclasses.replace(TINY, stokes=stokes)
    model = SkyModel(config, spectra_of(config), tolerance=1e-12, dtype=np.float64)
    maps = simulate(config, "test", [0])["lensed"][0].astype(float)
    fine, rng = config.internal, np.random.default_rng(0)
    x = white(fine, rng)
    deflection, columns = model.deflection(x), []
    for pixel in np.eye(len(model.prior.roots) * fine.npix**2):
        e = fine.to_modes(pixel.reshape(-1, fine.npix, fine.npix)) * fine.npix
        seen = model.observed.observe(model.prior.stokes(e), deflection)
        columns.append(config.sky.to_map(seen).ravel())
    matrix = np.array(columns).T
    pixel_arcmin = np.degrees(config.sky.pixel) * 60
    rms = [2.0 * (1 if s == "T" else np.sqrt(2)) / pixel_arcmin for s in stokes]
    covariance = matrix @ matrix.T + np.diag(np.repeat(np.square(rms), config.npix**2))
    data = np.moveaxis(maps, -1, 0).ravel()
    expected = 0.5 * data @ np.linalg.solve(covariance, data) + 0.5 * dot(x, x, fine)
    assert model.at(x, model.data(maps)).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("stokes", ["T", "QU", "TQU"])
def test_the_gradient_is_that_of_finite_differences(stokes):
    """In double precision, along white directions: the error of a step h is of order h²."""
    config = dataclasses.replace(TINY, stokes=stokes, npix=12, lx=0.6)
    model = SkyModel(config, spectra_of(config), tolerance=1e-13, dtype=np.float64)
    data = model.data(simulate(config, "test", [1])["lensed"][0].astype(float))
    rng = np.random.default_rng(2)
    x = white(config.internal, rng)
    gradient = model.at(x, data).gradient
    for _ in range(2):
        direction = white(config.internal, rng)
        step = 1e-5
        up, down = (model.at(x + sign * step * direction, data).value for sign in (1, -1))
        along = dot(gradient, direction, config.internal)
        assert (up - down) / (2 * step) == pytest.approx(along, rel=1e-5)


def test_the_posterior_rises_to_above_that_of_the_truth_and_the_correlation_above_the_starts():
    fine = dataclasses.replace(
        PATCH, npix=PATCH.internal.npix, oversampling=1, beam_arcmin=0.0, noise_uK_arcmin=0.0
    )
    table, sky = spectra_of(PATCH), PATCH.sky
    model = SkyModel(PATCH, table)
    estimator = MaximumAPosteriori(PATCH, table, model=model)
    better = []
    for index in range(3):
        example = simulate(PATCH, "test", [index])
        points = []
        ascent = estimator.ascend(example["lensed"][0], points.append)
        assert ascent.converged and np.all(np.diff(ascent.log_posterior) > 0)
        assert ascent.log_posterior == tuple(-point.value for point in points)
        # The same draw on a grid of internal pixels has the true κ in all its modes.
        drawn = PATCH.internal.to_modes(simulate(fine, "test", [index])["kappa"][0, ..., 0])
        root = model.prior.kappa_root
        truth = np.divide(drawn, root, out=np.zeros_like(drawn), where=root > 0)
        data = model.data(example["lensed"][0])
        assert ascent.log_posterior[-1] > -model.at(truth, data).value
        kappa = sky.to_modes(example["kappa"][0, ..., 0])
        first, last = (
            dot(kappa, estimate, sky) / np.sqrt(dot(estimate, estimate, sky))
            for estimate in (estimator.on_patch(points[0].x), ascent.kappa)
        )
        better.append(last / first)
    assert np.mean(better) > 1.03


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"noise_uK_arcmin": 0.0}, "no noise"),
        ({"taper": 0.1}, "edges"),
        ({"padding": 2.0}, "edges"),
        ({"fixed_unlensed": True}, "one unlensed sky"),
        ({"tensors": {"r_min": 0.0, "r_max": 0.1}}, "tensors"),
        ({"rotation": {"amplitude": 1e-6}}, "turned or dimmed"),
        ({"optical_depth": {"rms": 0.01, "L_c": 500}}, "turned or dimmed"),
        ({"kappa": {"correlated": True}}, "not independent"),
    ],
)
def test_maps_without_such_a_posterior_are_refused(fields, reason):
    config = dataclasses.replace(PATCH, name="refused", **fields)
    with pytest.raises(LensingError, match=f"'refused'.*{reason}"):
        MaximumAPosteriori(config, spectra_of(config))


def test_temperature_at_low_noise_is_climbed_by_way_of_more_noise():
    """From the quadratic estimate at once it would end at once, below."""
    config = dataclasses.replace(PATCH, stokes="T")
    estimator = MaximumAPosteriori(config, spectra_of(config))
    example, sky, points = simulate(config, "test", [0]), config.sky, []
    ascent = estimator.ascend(example["lensed"][0], points.append)
    assert ascent.converged and np.all(np.diff(ascent.log_posterior) > 0)
    # Half of χ² is half the number of the maps' and the unknowns' real numbers that they determine.
    assert -ascent.log_posterior[-1] == pytest.approx(config.npix**2 / 2, rel=0.1)
    kappa = sky.to_modes(example["kappa"][0, ..., 0])
    first, last = (
        dot(kappa, estimate, sky) / np.sqrt(dot(estimate, estimate, sky))
        for estimate in (estimator.on_patch(points[0].x), ascent.kappa)
    )
    assert last > 1.05 * first


def test_an_ascent_over_plateaus_ends_where_nothing_is_left():
    """One step on the way promises 0.2 nats, with more than 4 still to come."""
    config = dataclasses.replace(PATCH, stokes="T", noise_uK_arcmin=6.0, beam_arcmin=1.4)
    table = spectra_of(config)
    maps = simulate(config, "test", [0])["lensed"][0]
    ends = [MaximumAPosteriori(config, table, gain=gain).ascend(maps) for gain in (0.5, 0.02)]
    assert all(ascent.converged for ascent in ends)
    usual, longer = (ascent.log_posterior[-1] for ascent in ends)
    assert longer - usual < 0.5


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda maps: maps[..., :1], r"shape \(48, 48, 1\): must be \(48, 48, 2\), of Q, U"),
        (lambda maps: maps[:40, :40], r"shape \(40, 40, 2\)"),
        (lambda maps: maps[None], r"shape \(1, 48, 48, 2\)"),
        (lambda maps: np.where(maps == maps.max(), np.nan, maps), "not finite"),
        (lambda maps: np.where(maps == maps.max(), np.inf, maps), "not finite"),
    ],
)
def test_maps_of_another_shape_and_those_not_finite_are_refused(spoil, message):
    maps = simulate(PATCH, "test", [0])["lensed"][0]
    with pytest.raises(LensingError, match=message):
        MaximumAPosteriori(PATCH, spectra_of(PATCH)).ascend(spoil(maps))


def test_an_inverse_hessian_takes_the_last_change_to_its_step_and_points_downhill():
    """The secant equation; steps along which the function curves downwards teach nothing."""
    sky, rng = FlatSky(6, 1.0), np.random.default_rng(0)
    learnt = InverseHessian(np.ones(sky.ell.shape), sky)
    for _ in range(5):
        step = white(sky, rng)
        change = (1 + sky.ell) * step
        learnt.learn(step, change)
        np.testing.assert_allclose(learnt.times(change), step, rtol=0, atol=1e-10)
        learnt.learn(step, -change)
        np.testing.assert_allclose(learnt.times(change), step, rtol=0, atol=1e-10)
        gradient = white(sky, rng)
        assert dot(gradient, learnt.times(gradient), sky) > 0


@pytest.mark.parametrize(("unit", "is_said"), [(1.0, False), (1e-6, True)])
def test_maps_in_other_units_are_said_to_be_unlikely(unit, is_said, recwarn):
    maps = simulate(PATCH, "test", [0])["lensed"][0] * np.float32(unit)
    MaximumAPosteriori(PATCH, spectra_of(PATCH)).ascend(maps)
    assert any("are they in µK" in str(w.message) for w in recwarn) == is_said
