"""The Wiener filter of masked maps: that of modes without a mask, else that of dense matrices."""

import dataclasses

import numpy as np
import pytest

from estimators.filtering.conjugate_gradients import solve
from estimators.filtering.masked_patch import MaskedPatch
from estimators.filtering.wiener_filter import NotConvergedWarning, WienerFilter
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from lensing_tfds.config_fields.foregrounds import Foregrounds
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import foreground_spectra, polarization, spectra
from lensing_tfds.sky.flat_sky import FlatSky

TABLE = spectra.fiducial()
DEPTH = np.radians(5.0 / 60) ** 2  # µK² sr: E at l of 1,000 is 50 times, B a tenth of it


def sky_of(npix):
    return FlatSky(npix, np.radians(npix * 6 / 60))


def red(sky):
    """A noise spectrum with 1/f."""
    return DEPTH * (1 + (np.maximum(sky.ell, sky.fundamental) / 500) ** -3.0)


def patch_of(sky, masked="signal", noise=None):
    """A patch with a border, a hole, and noise that varies fivefold."""
    rng = np.random.default_rng(7)
    mask = np.ones((sky.npix, sky.npix))
    mask[:2], mask[-1], mask[:, 0] = 0, 0.3, 0
    mask[7:9, 5:7] = 0
    noise = {"T": red(sky) / 2, "P": red(sky)} if noise is None else noise
    return MaskedPatch(sky, mask, noise, rng.uniform(0.5, 2.5, mask.shape), masked)


@pytest.mark.parametrize("npix", [16, 15])
@pytest.mark.parametrize(
    ("channels", "dtype", "bound"),
    [
        ("TQU", np.float32, 1e-5),
        ("QU", np.float64, 1e-12),
    ],
)
def test_without_a_mask_fields_are_those_of_the_maps(npix, channels, dtype, bound):
    """x = (b²C + N)/b f̂/C is d then; float32 rounds 1e-6 of the largest mode."""
    sky = sky_of(npix)
    white = np.full(sky.ell.shape, DEPTH)
    patch = MaskedPatch(sky, np.ones((npix, npix)), {"T": white, "P": white})
    observation = patch.observation(Observation(sky, TABLE, 4.0))
    maps = np.random.default_rng(0).standard_normal((3, npix, npix, len(channels))).astype(dtype)
    by = WienerFilter(patch, observation, channels, tolerance=1e-13, dtype=dtype, most_steps=3)
    if dtype == np.float32:
        by = WienerFilter(patch, observation, channels, tolerance=1e-6, dtype=dtype)
    found = by.fields(maps)
    for name, modes in fields_of(maps, tuple(channels), sky).items():
        expected = np.where(observation.used, modes, 0)
        assert np.abs(found[name] - expected).max() < bound * np.abs(expected).max()
        assert found[name].dtype == modes.dtype


def test_foregrounds_are_filtered_as_more_of_the_sky():
    """Power that is not lensed is to the filter as a sky with as much more power."""
    sky = sky_of(16)
    patch = patch_of(sky)
    loud = Foregrounds(radio=100.0, dusty=100.0)
    power = foreground_spectra.total(loud.amplitudes, np.arange(TABLE.lmax + 1))
    brighter = dataclasses.replace(TABLE, lensed_TT=TABLE.lensed_TT + power)
    maps = np.random.default_rng(0).standard_normal((2, 16, 16, 1))
    found, expected = (
        WienerFilter(patch, patch.observation(seen), "T", tolerance=1e-7, dtype=np.float64).fields(
            maps
        )["T"]
        for seen in (
            Observation(sky, TABLE, 4.0, foregrounds=loud),
            Observation(sky, brighter, 4.0),
        )
    )
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()  # spectra between whole l


def columns(function, shape, sky):
    """A linear function's matrix, of the pixels of some fields."""
    found = [function(unit.reshape(shape)) for unit in np.eye(int(np.prod(shape)))]
    return np.array(found).reshape(len(found), -1).T


@pytest.mark.parametrize("npix", [16, 15])
@pytest.mark.parametrize("masked", ["signal", "maps"])
def test_masked_maps_are_filtered_as_by_dense_matrices(npix, masked):
    """f̂ = (C⁻¹ + Aᵗ N⁻¹ A)⁻¹ Aᵗ N⁻¹ d in pixels of E and B, to 1e-6."""
    sky = sky_of(npix)
    patch = patch_of(sky, masked)
    observation = patch.observation(Observation(sky, TABLE, 4.0))
    rng = np.random.default_rng(1)
    maps = rng.standard_normal((2, npix, npix, 2))
    by = WienerFilter(patch, observation, "QU", tolerance=1e-10, most_steps=2000, dtype=np.float64)
    found = by.fields(maps)

    signal = [observation.signal(name, name) / sky.area for name in "EB"]
    noise = patch.noise["P"] / sky.area
    inverse_variance = 1 / np.sqrt(patch.variance)
    seen, data = patch.mask * inverse_variance, inverse_variance * np.ones_like(patch.mask)
    if masked == "maps":
        seen = np.where(patch.mask > 0, inverse_variance, 0)
        data = np.divide(seen, patch.mask, out=np.zeros_like(seen), where=patch.mask > 0)

    def observe(white):  # of y
        e, b = (np.sqrt(c) * sky.to_modes(f) for c, f in zip(signal, white, strict=True))
        q, u = polarization.to_qu(observation.beam * e, observation.beam * b, sky)
        return np.stack([sky.to_map(q), sky.to_map(u)]) * seen

    def whiten(stokes):
        return np.stack([sky.to_map(sky.to_modes(one) / np.sqrt(noise)) for one in stokes])

    shape = (2, npix, npix)
    matrix = columns(lambda white: whiten(observe(white)), shape, sky)
    right = np.moveaxis(maps, -1, 1) * data
    solved = np.linalg.solve(
        np.eye(len(matrix)) + matrix.T @ matrix,
        matrix.T @ np.array([whiten(one).ravel() for one in right]).T,
    ).T.reshape(2, *shape)
    for i, name in enumerate("EB"):
        wiener = observation.beam * observation.signal(name, name) * observation.inverse(name)
        expected = np.where(observation.used, np.sqrt(signal[i]) * sky.to_modes(solved[:, i]), 0)
        assert np.abs(wiener * found[name] - expected).max() < 1e-6 * np.abs(expected).max()


def test_the_operator_is_symmetric():
    """Conjugate gradients need <a, A b> = <A a, b>; both by the filter's own linear system."""
    sky = sky_of(16)
    patch = patch_of(sky)
    by = WienerFilter(
        patch,
        patch.observation(Observation(sky, TABLE)),
        "QU",
        dtype=np.float64,
        tolerance=1e-12,
        most_steps=3000,
    )
    one, two = np.random.default_rng(2).standard_normal((2, 1, 16, 16, 2))
    # The filter is symmetric in maps: d₁ᵗ N⁻¹ A b f̂(d₂) is d₂ᵗ N⁻¹ A b f̂(d₁).
    products = []
    for first, second in ((one, two), (two, one)):
        observation, weighted = by.observation, by.weighted(second)
        found = by.fields(first)
        sky_fields = {
            name: observation.beam * observation.signal(name, name) * observation.inverse(name) * x
            for name, x in found.items()
        }
        left = by.less(weighted, sky_fields)
        seen = [weighted.maps[c] - left.maps[c] for c in "QU"]
        filtered = [
            sky.to_map(sky.to_modes(maps) / patch.noise["P"]) for maps in weighted.maps.values()
        ]
        products.append(sum(np.sum(a * b) for a, b in zip(seen, filtered, strict=True)))
    assert products[0] == pytest.approx(products[1], rel=1e-9)


def test_maps_with_their_own_masks_are_filtered_by_them():
    sky = sky_of(16)
    patch, rng = patch_of(sky), np.random.default_rng(3)
    maps, masks = rng.standard_normal((2, 16, 16, 2)), np.stack([patch.mask] * 2)
    masks[1, 10:13, 10:13] = 0
    by = WienerFilter(patch, patch.observation(Observation(sky, TABLE)), "QU", dtype=np.float64)
    found, common = by.fields(maps, masks), by.fields(maps)
    other = MaskedPatch(sky, masks[1], patch.noise, patch.variance)
    alone = WienerFilter(other, by.observation, "QU", dtype=np.float64, tolerance=1e-9)
    exact = WienerFilter(patch, by.observation, "QU", dtype=np.float64, tolerance=1e-9)
    assert np.array_equal(found["E"][0], common["E"][0])
    np.testing.assert_allclose(
        exact.fields(maps, masks)["E"][1], alone.fields(maps)["E"][1], atol=1e-7
    )
    assert np.abs(found["E"][1] - common["E"][1]).max() > 1e-3 * np.abs(common["E"][1]).max()


def test_splits_are_filtered_alike_so_that_their_mean_is_that_of_the_mean():
    """The filter is linear, but for where conjugate gradients stop."""
    sky = sky_of(16)
    patch = patch_of(sky)
    by = WienerFilter(
        patch, patch.observation(Observation(sky, TABLE)), "QU", tolerance=1e-10, most_steps=2000,
        dtype=np.float64,
    )  # fmt: skip
    splits = np.random.default_rng(9).standard_normal((2, 16, 16, 6))
    found = by.fields_of_splits(splits)
    mean = by.fields(splits.reshape(2, 16, 16, 3, 2).mean(axis=3))
    assert len(found) == 3
    for name in "EB":
        expected = sum(fields[name] for fields in found) / 3
        np.testing.assert_allclose(mean[name], expected, atol=1e-7 * np.abs(expected).max())
    with pytest.raises(LensingError, match=r"must be \(n, npix, npix, splits x 2\)"):
        by.fields_of_splits(splits[..., :5])


def test_a_map_is_filtered_the_same_beside_any_other():
    sky = sky_of(16)
    patch = patch_of(sky)
    by = WienerFilter(patch, patch.observation(Observation(sky, TABLE)), "QU")
    maps = np.random.default_rng(4).standard_normal((3, 16, 16, 2)).astype(np.float32)
    maps[1] *= 1e3
    np.testing.assert_allclose(
        by.fields(maps)["B"][:1],
        by.fields(maps[:1])["B"],
        rtol=1e-4,
        atol=1e-6 * np.abs(by.fields(maps[:1])["B"]).max(),
    )


def test_a_good_first_guess_saves_steps_and_gives_the_same():
    sky = sky_of(16)
    patch = patch_of(sky)
    observation = patch.observation(Observation(sky, TABLE))
    maps = np.random.default_rng(5).standard_normal((1, 16, 16, 2))
    exact = WienerFilter(patch, observation, "QU", tolerance=1e-9, dtype=np.float64)
    found = exact.fields(maps)
    few = WienerFilter(patch, observation, "QU", tolerance=1e-6, most_steps=1, dtype=np.float64)
    again = few.of_weighted(few.weighted(maps), found)
    np.testing.assert_allclose(again["E"], found["E"], atol=1e-6 * np.abs(found["E"]).max())


def test_a_filter_that_stops_early_says_so():
    sky = sky_of(16)
    patch = patch_of(sky)
    by = WienerFilter(patch, patch.observation(Observation(sky, TABLE)), "QU", most_steps=2)
    with pytest.warns(NotConvergedWarning, match="1 of 1 maps stopped after 2 steps"):
        by.fields(np.random.default_rng(6).standard_normal((1, 16, 16, 2)))


def test_what_ends_unsolved_has_a_residual_that_says_so():
    """A preconditioner that is not positive, by rounding, ends them: it was a residual of zero."""
    right = np.ones((1, 1, 1, 2))

    def dot(one, other):
        return np.sum(one * other, axis=(0, 2, 3))

    for signs in ((1, -2), (1, np.nan)):
        solution = solve(lambda x: 2 * x, right, lambda x, s=signs: x * s, dot, 1e-3, 9)
        assert not solution.residual <= 1e-3


def test_conjugate_gradients_solve_each_right_hand_side_by_itself():
    rng = np.random.default_rng(8)
    root = rng.standard_normal((6, 6))
    matrix = root @ root.T + np.eye(6)
    right = rng.standard_normal((1, 2, 1, 6)) * np.array([1.0, 1e6])[:, None, None]
    solution = solve(
        lambda x: x @ matrix,
        right,
        lambda x: x / np.diag(matrix),
        lambda a, b: (a * b).sum((0, 2, 3)),
        1e-12,
        50,
    )
    np.testing.assert_allclose(solution.x @ matrix, right, rtol=1e-9)
    assert np.all(solution.residual <= 1e-12)


@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        (np.zeros((1, 8, 8, 2)), None, r"maps have shape \(1, 8, 8, 2\): must be \(n, 16, 16, 2\)"),
        (np.full((1, 16, 16, 2), np.nan), None, "not finite"),
        (np.zeros((1, 16, 16, 2)), np.ones((2, 16, 16)), "2 masks of 1 maps"),
        (np.zeros((1, 16, 16, 2)), np.zeros((1, 16, 16)), "leaves no pixel"),
    ],
)
def test_maps_that_cannot_be_filtered_are_refused(maps, masks, message):
    sky = sky_of(16)
    patch = patch_of(sky)
    by = WienerFilter(patch, patch.observation(Observation(sky, TABLE)), "QU")
    with pytest.raises(LensingError, match=message):
        by.fields(maps, masks)


def test_noise_of_every_channel_is_needed():
    sky = sky_of(16)
    patch = patch_of(sky, noise={"P": red(sky)})
    with pytest.raises(LensingError, match="no noise spectrum for T"):
        WienerFilter(patch, patch.observation(Observation(sky, TABLE)), "TQU")
