"""The posterior of κ: its value against dense matrices, its gradient, the way to its maximum."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg

from estimators.filtering.masked_patch import MaskedPatch
from estimators.posterior.maximum_a_posteriori import MaximumAPosteriori
from estimators.posterior.mean_field import MeanField, likelihood_gradient, true_kappa
from estimators.posterior.quasi_newton import InverseHessian
from estimators.posterior.sky_model import SkyModel, dot
from lensing_tfds import simulate
from lensing_tfds.config_fields.hits import Hits
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.config_fields.one_over_f import OneOverF
from lensing_tfds.config_fields.rotation import Rotation
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
UNEVEN = {"mask": Mask(edge=0.15, multiplies="signal"), "hits": Hits(3.0)}
HOLES = {"mask": Mask(border=0.03, edge=0.1, holes=2, hole_radius_arcmin=3.0)}
ONE_OVER_F = {
    "T": OneOverF(T_knee=1500.0),
    "QU": OneOverF(P_knee=900.0),
    "TQU": OneOverF(T_knee=1500.0, P_knee=900.0),
}
MASKED = dataclasses.replace(
    PATCH, name="masked", mask=Mask(border=0.1, edge=0.2, multiplies="signal")
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


@pytest.mark.parametrize("fields", [UNEVEN, HOLES], ids=["signal", "maps"])
@pytest.mark.parametrize("stokes", ["T", "QU", "TQU"])
def test_the_value_inside_a_mask_is_that_of_dense_matrices(stokes, fields):
    """Of observed pixels: mask, holes, uneven and correlated noise; B of a rotation."""
    rotation = None if "T" in stokes else Rotation(1e-3)
    one_over_f = ONE_OVER_F[stokes] if fields is UNEVEN else None
    config = dataclasses.replace(
        TINY, stokes=stokes, rotation=rotation, one_over_f=one_over_f, **fields
    )
    model = SkyModel(config, spectra_of(config), tolerance=1e-12, dtype=np.float64)
    example = simulate(config, "test", [0])
    maps, mask = example["lensed"][0].astype(float), example["mask"][0, ..., 0].astype(float)
    fine, sky, rng = config.internal, config.sky, np.random.default_rng(0)
    x = white(fine, rng)
    deflection, columns = model.deflection(x), []
    for pixel in np.eye(len(model.prior.roots) * fine.npix**2):
        e = fine.to_modes(pixel.reshape(-1, fine.npix, fine.npix)) * fine.npix
        seen = model.observed.observe(model.prior.stokes(e), deflection)
        columns.append(sky.to_map(seen).ravel())
    assert model.prior.has_b == ("T" not in stokes)
    matrix = np.array(columns).T
    rms = np.ones(mask.shape)
    if config.hits is not None:
        rms = np.sqrt(example["noise_variance"][0, ..., 0].astype(float))
        rms /= np.sqrt(np.mean(rms**2))
    blocks = []
    for channel in config.channels:
        power = config.noise_power(channel, np.maximum(sky.ell, sky.fundamental)) / sky.area
        pixels = rms * np.eye(rms.size).reshape(-1, *rms.shape)
        rows = rms * sky.to_map(power * sky.to_modes(pixels)) * rms.size
        blocks.append(rows.reshape(rms.size, -1))
    noise = scipy.linalg.block_diag(*blocks)
    data, all_masks = np.moveaxis(maps, -1, 0).flatten(), np.tile(mask.ravel(), len(stokes))
    if config.mask.multiplies == "signal":
        matrix, kept = all_masks[:, None] * matrix, np.ones(len(data), bool)
    else:
        kept = all_masks > 0
        assert 0 < np.sum(~kept) < len(kept)
        data[kept] /= all_masks[kept]
    covariance = (matrix @ matrix.T + noise)[np.ix_(kept, kept)]
    expected = 0.5 * data[kept] @ np.linalg.solve(covariance, data[kept]) + 0.5 * dot(x, x, fine)
    for known in (None, mask):
        found = model.at(x, model.data(maps, known))
        assert found.filtered and found.value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("fields", [{}, UNEVEN, HOLES], ids=["periodic", "signal", "maps"])
@pytest.mark.parametrize("stokes", ["T", "QU", "TQU"])
def test_the_gradient_is_that_of_finite_differences(stokes, fields):
    """In double precision, along white directions: the error of a step h is of order h²."""
    config = dataclasses.replace(TINY, stokes=stokes, npix=12, lx=0.6, **fields)
    model = SkyModel(config, spectra_of(config), tolerance=1e-13, dtype=np.float64)
    data = model.data(simulate(config, "test", [1])["lensed"][0].astype(float))
    rng = np.random.default_rng(2)
    x = white(config.internal, rng)
    mean_field = white(config.internal, rng)
    gradient = model.at(x, data, None, mean_field).gradient
    for _ in range(2):
        direction = white(config.internal, rng)
        step = 1e-5
        up, down = (
            model.at(x + sign * step * direction, data, None, mean_field).value for sign in (1, -1)
        )
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


def test_a_mask_that_hides_nothing_changes_nothing():
    """Nor does a variance of 1: the same steps, and κ to the rounding of float32."""
    table, sky = spectra_of(PATCH), PATCH.sky
    ones = np.ones((sky.npix, sky.npix))
    noise = {"P": PATCH.noise_power("Q", sky.ell)}
    maps = simulate(PATCH, "test", [0])["lensed"][0]
    periodic = MaximumAPosteriori(PATCH, table).ascend(maps)
    for masked in ("signal", "maps"):
        patch = MaskedPatch(sky, ones, noise, ones, masked)
        model = SkyModel(PATCH, table, patch=patch)
        found = MaximumAPosteriori(PATCH, table, model=model).ascend(maps, mask=ones)
        assert found.converged and len(found.log_posterior) == len(periodic.log_posterior)
        assert found.log_posterior[-1] == pytest.approx(periodic.log_posterior[-1], abs=0.1)
        off = found.kappa - periodic.kappa
        assert dot(off, off, sky) < 1e-6 * dot(periodic.kappa, periodic.kappa, sky)


def test_inside_a_mask_the_posterior_rises_and_with_it_the_correlation():
    table, sky = spectra_of(MASKED), MASKED.sky
    model = SkyModel(MASKED, table)
    mean_field = MeanField.measured(model, MASKED, 8)
    estimator = MaximumAPosteriori(MASKED, table, model=model, mean_field=mean_field)
    window = model.patch.interior
    better = []
    for index in range(3):
        example, points = simulate(MASKED, "test", [index]), []
        ascent = estimator.ascend(example["lensed"][0], points.append)
        assert ascent.converged and np.all(np.diff(ascent.log_posterior) > 0)
        end, fine = points[-1], model.prior.sky
        without = model.at(end.x, model.data(example["lensed"][0]), end.e)
        off = end.gradient - without.gradient - mean_field.gradient
        size = dot(mean_field.gradient, mean_field.gradient, fine)
        assert size > 1 and dot(off, off, fine) < 0.05 * size
        kappa, first, last = (
            window * kappa
            for kappa in (
                example["kappa"][0, ..., 0],
                sky.to_map(estimator.on_patch(points[0].x)),
                sky.to_map(ascent.kappa),
            )
        )
        rho = [np.corrcoef(kappa.ravel(), one.ravel())[0, 1] for one in (first, last)]
        better.append(rho[1] / rho[0])
    assert np.mean(better) > 1.03


def test_the_mean_field_is_minus_the_mean_gradient_where_that_is_more_than_scatter():
    model = SkyModel(MASKED, spectra_of(MASKED))
    sky, rng = model.prior.sky, np.random.default_rng(0)
    low = (sky.ell < 3000).astype(np.float32)
    mean = white(sky, rng).astype(np.complex64) * low
    gradients = [mean + 0.5 * white(sky, rng).astype(np.complex64) for _ in range(16)]
    found = MeanField.of_gradients(gradients, model)
    assert found.skies == 16
    off = found.gradient + mean
    inside, outside = sky.ell < 2500, sky.ell > 3500
    # The scatter's part of the mean is 0.5² / 16 = 0.016; beyond, most rings are set to zero.
    assert np.mean(np.abs(off[inside]) ** 2) == pytest.approx(0.016, rel=0.2)
    assert np.mean(np.abs(off[outside]) ** 2) < 0.25 * 0.016
    with pytest.raises(LensingError, match="a mean field of 1 skies"):
        MeanField.of_gradients(gradients[:1], model)


@pytest.mark.parametrize(
    ("fields", "difference"),
    [
        (
            {"mask": Mask(border=0.15, edge=0.2, multiplies="signal")},
            "mask: {'border': 0.15, .* ->",
        ),
        ({"hits": {"contrast": 4.0}}, "hits: {'contrast': 4.0} -> None"),
        ({"noise_uK_arcmin": 1.5}, "noise_uK_arcmin: 1.5 -> 1.0"),
        ({"one_over_f": {"P_knee": 900.0}}, "one_over_f: .* -> None"),
    ],
)
def test_a_mean_field_of_other_maps_on_the_same_grid_is_refused(fields, difference):
    other = dataclasses.replace(MASKED, name="other", **fields)
    table, rng = spectra_of(MASKED), np.random.default_rng(0)
    model = SkyModel(other, table)
    gradients = [white(model.prior.sky, rng) for _ in range(2)]
    measured = MeanField.of_gradients(gradients, model)
    MaximumAPosteriori(other, table, mean_field=measured)
    with pytest.raises(LensingError, match=rf"other maps than those of 'masked' \({difference}"):
        MaximumAPosteriori(MASKED, table, mean_field=measured)
    # Seeds make other skies of the same kind.
    again = dataclasses.replace(other, name="again", seed=9)
    MaximumAPosteriori(again, table, mean_field=measured)


def test_a_mean_field_of_another_patch_of_one_config_is_refused():
    table, ones = spectra_of(PATCH), np.ones((48, 48))
    noise, holed = {"P": PATCH.noise_power("Q", PATCH.sky.ell)}, ones.copy()
    holed[20:24, 20:24] = 0
    whole, other, uneven = (
        SkyModel(PATCH, table, patch=MaskedPatch(PATCH.sky, mask, noise, variance))
        for mask, variance in ((ones, None), (holed, None), (ones, 2 * ones))
    )
    gradients = [white(whole.prior.sky, np.random.default_rng(i)) for i in range(2)]
    measured = MeanField.of_gradients(gradients, whole)
    MaximumAPosteriori(PATCH, table, model=whole, mean_field=measured)
    for model in (other, uneven):
        with pytest.raises(LensingError, match="the mask or the noise of its SkyModel's patch"):
            MaximumAPosteriori(PATCH, table, model=model, mean_field=measured)


def test_the_true_kappa_is_that_of_the_masked_example():
    model = SkyModel(MASKED, spectra_of(MASKED))
    none = MeanField(np.zeros(model.prior.sky.ell.shape), 2, MASKED, model.patch)
    estimator = MaximumAPosteriori(MASKED, spectra_of(MASKED), mean_field=none)
    on_patch = MASKED.sky.to_map(estimator.on_patch(true_kappa(model, MASKED, 3)))
    kappa = simulate(MASKED, "train", [3])["kappa"][0, ..., 0]
    # But for the Nyquist lines of the internal grid, where no κ is estimated.
    np.testing.assert_allclose(on_patch, kappa, atol=1e-3 * kappa.std())


def test_the_gradient_at_the_true_kappa_is_less_than_at_another_s():
    """Without a mask its mean power is the information on κ, which noise limits."""
    model = SkyModel(MASKED, spectra_of(MASKED))
    sky, data = model.prior.sky, model.data(simulate(MASKED, "train", [5])["lensed"][0])
    found = likelihood_gradient(model, MASKED, 5)
    other = true_kappa(model, MASKED, 6)
    away = model.at(other, data).gradient - other
    assert dot(found, found, sky) < 0.1 * dot(away, away, sky)


def test_what_a_mask_needs_is_asked_for():
    table, maps = spectra_of(MASKED), simulate(MASKED, "test", [0])["lensed"][0]
    with pytest.raises(LensingError, match="'masked' has a mask or uneven noise.*give mean_field"):
        MaximumAPosteriori(MASKED, table)
    model = SkyModel(MASKED, table)
    with pytest.raises(LensingError, match=r"the mask has shape \(24, 24\)"):
        model.data(maps, np.ones((24, 24)))
    holes = dataclasses.replace(
        MASKED, mask=Mask(holes=2, hole_radius_arcmin=3.0, multiplies="signal")
    )
    with pytest.raises(LensingError, match="signal of 'masked' has holes.*give the maps' mask"):
        SkyModel(holes, table).data(maps)
    with pytest.raises(LensingError, match="the mask differs in .*% of the pixels from that of"):
        model.data(maps, np.ones((48, 48)))
    observed = dataclasses.replace(MASKED, mask=Mask(border=0.1, edge=0.2, multiplies="observed"))
    hidden = simulate(observed, "test", [0])["lensed"][0]
    hidden[20:28, 20:28] = 0
    with pytest.raises(LensingError, match="map 0 of 1 is zero in 2.8% of its pixels, where"):
        SkyModel(observed, table).data(hidden)
    other = MeanField(np.zeros((48, 25), np.complex64), 2, MASKED, model.patch)
    with pytest.raises(LensingError, match=r"the mean field has shape \(48, 25\): must be"):
        MaximumAPosteriori(MASKED, table, model=model, mean_field=other)
    with pytest.raises(LensingError, match="a mask was given, and 'patch' has none"):
        SkyModel(PATCH, table).data(maps, np.ones((48, 48)))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"noise_uK_arcmin": 0.0}, "no noise"),
        ({"padding": 2.0}, "cut out of larger ones"),
        ({"fixed_unlensed": True}, "one unlensed sky"),
        ({"stokes": "TQU", "tensors": {"r_min": 0.0, "r_max": 0.1}}, "T has tensors"),
        ({"stokes": "TQU", "rotation": {"amplitude": 1e-6}}, "turned or dimmed"),
        ({"stokes": "T", "optical_depth": {"rms": 0.01, "L_c": 500}}, "turned or dimmed"),
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
