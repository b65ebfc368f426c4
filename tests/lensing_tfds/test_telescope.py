"""Maps as a telescope sees them: 1/f noise, hits, masks, splits."""

import dataclasses

import numpy as np
import pytest

from lensing_tfds import LensingConfig, simulate
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky import instrument

WHITE = LensingConfig("white", npix=32, lx=4.0, stokes="TQU", noise_uK_arcmin=100.0, seed=5)
INDICES = range(160)


def noise_of(**fields):
    """The noise of many examples, µK, (n, npix, npix, 3), and their other maps."""
    config = dataclasses.replace(WHITE, name="noisy", **fields)
    quiet = dataclasses.replace(
        WHITE, name="quiet", noise_uK_arcmin=0.0, mask=fields.get("mask"), taper=config.taper
    )
    maps = simulate(config, "train", INDICES)
    signal = simulate(quiet, "train", INDICES)
    return config, maps["lensed"] - signal["lensed"].astype(float), maps


def test_noise_has_its_spectrum_in_every_ring_and_none_at_the_origin():
    """Temperature with one knee, Q and U with another: 5 sigma of each ring, about 3 %."""
    config, noise, _ = noise_of(one_over_f={"T_knee": 1500, "P_knee": 700, "slope": -3})
    sky = config.sky
    modes = sky.to_modes(np.moveaxis(noise, -1, 0))
    power = np.mean(abs(modes) ** 2, axis=1) * sky.area
    ring = np.round(sky.ell / sky.fundamental).astype(int)
    for channel, measured in zip("TQU", power, strict=True):
        white = np.radians(100 * (1 if channel == "T" else 2**0.5) / 60) ** 2
        knee = 1500 if channel == "T" else 700
        for number in range(1, 16):
            inside = (ring == number) & sky.inner
            expected = np.mean(white * (1 + (sky.ell[inside] / knee) ** -3.0))
            got = np.mean(measured[inside])
            sigma = expected / np.sqrt(inside.sum() * len(INDICES))
            assert abs(got - expected) < 5 * sigma * 1.5, (channel, number)
        assert measured[0, 0] < 1e-6 * white


def test_temperature_may_have_a_knee_where_polarization_is_white():
    _, with_knee, _ = noise_of(one_over_f={"T_knee": 1500})
    _, white, _ = noise_of()
    np.testing.assert_allclose(with_knee[..., 1:], white[..., 1:], atol=1e-4)
    assert np.std(with_knee[..., 0]) > 1.2 * np.std(white[..., 0])


def test_the_variance_falls_from_the_corners_to_the_middle_and_has_the_mean_of_the_depth():
    config, noise, maps = noise_of(hits={"contrast": 4})
    variance = maps["noise_variance"][0, ..., 0].astype(float)
    assert (maps["noise_variance"] == maps["noise_variance"][0]).all()
    assert variance.mean() == pytest.approx((100 / 7.5) ** 2, rel=1e-5)
    # The pixels next to the corners and the middle are half a pixel from them.
    assert variance.max() / variance.min() == pytest.approx(4, rel=0.1)
    for channel, factor in zip(range(3), (1, 2, 2), strict=True):
        scaled = np.mean(noise[..., channel] ** 2, axis=0) / variance / factor
        radius = np.hypot(*np.indices((32, 32)) - 15.5).astype(int)
        for number in range(0, 22, 3):
            inside = (radius >= number) & (radius < number + 3)
            scatter = np.sqrt(2 / (inside.sum() * len(INDICES)))
            assert abs(np.mean(scaled[inside]) - 1) < 5 * scatter


def test_splits_are_independent_and_their_mean_is_the_map():
    _, noise, maps = noise_of(splits=3)
    splits = maps["splits"].reshape(len(INDICES), 32, 32, 3, 3)
    np.testing.assert_allclose(splits.mean(axis=3), maps["lensed"], atol=1e-3)
    alone = splits - (maps["lensed"] - noise)[..., None, :]
    scatter = np.sqrt(1 / alone[..., 0, 0].size)
    for channel, factor in zip(range(3), (1, 2, 2), strict=True):
        covariance = np.cov(alone[..., channel].reshape(-1, 3).T) / ((100 / 7.5) ** 2 * factor)
        np.testing.assert_allclose(covariance, 3 * np.eye(3), atol=5 * 3 * 2**0.5 * scatter)


def test_one_split_is_the_map_that_it_was_without():
    white = simulate(WHITE, "train", [3])["lensed"]
    mask = {"holes": 1, "hole_radius_arcmin": 8}
    masked = simulate(dataclasses.replace(WHITE, name="m", mask=mask), "train", [3])
    np.testing.assert_array_equal(masked["lensed"], white * masked["mask"])


@pytest.mark.parametrize("multiplies", ["signal", "observed"])
def test_a_mask_multiplies_what_it_says(multiplies):
    """The zero border, the cosine edge by its formula, and noise there only if it comes after."""
    mask = {"border": 0.5, "edge": 1.0, "multiplies": multiplies}
    masked = simulate(dataclasses.replace(WHITE, name="m", mask=mask), "train", [3])
    degrees = (np.arange(32) + 0.5) * 4 / 32
    along = np.clip((np.minimum(degrees, 4 - degrees) - 0.5) / 1.0, 0, 1)
    window = np.sin(np.pi / 2 * along) ** 2
    np.testing.assert_allclose(masked["mask"][0, ..., 0], np.outer(window, window), atol=1e-6)
    plain = simulate(WHITE, "train", [3])["lensed"]
    signal = simulate(dataclasses.replace(WHITE, name="q", noise_uK_arcmin=0.0), "train", [3])
    expected = plain * masked["mask"]
    if multiplies == "signal":
        expected = plain - signal["lensed"] * (1 - masked["mask"])
    np.testing.assert_allclose(masked["lensed"], expected, atol=1e-3)


def test_holes_are_discs_at_places_of_their_own_in_each_example():
    """As many pixels as the discs' area on average, and any pixel may be in one."""
    mask = {"holes": 4, "hole_radius_arcmin": 20}
    config = dataclasses.replace(WHITE, name="h", mask=mask, noise_uK_arcmin=0.0)
    masks = simulate(config, "train", range(400))["mask"][..., 0]
    assert set(np.unique(masks)) == {0, 1}
    assert len({m.tobytes() for m in masks}) == 400
    share = np.pi * (20 / 240) ** 2
    expected = (1 - share) ** 4
    assert abs(masks.mean() - expected) < 5 * np.std(masks.mean(axis=(1, 2))) / 20
    # Every row and column alike: a hole goes on at the opposite edge.
    for axis in (1, 2):
        rows = masks.mean(axis=(0, axis))
        assert np.std(rows) < 2 * np.sqrt(expected * (1 - expected) / 400 / 3)


def test_a_hole_is_where_it_was_put_and_wraps():
    mask = np.ones((40, 40), np.float32)
    instrument.cut_holes(mask, np.array([[0.0, 0.5]]), 0.1)
    y, x = (np.indices((40, 40)) + 0.5) / 40
    distance = np.hypot(np.minimum(y, 1 - y), x - 0.5)
    np.testing.assert_array_equal(mask == 0, distance < 0.1)


def test_looks_share_the_sky_and_the_mask_and_not_the_noise():
    mask = {"border": 0.5, "holes": 2, "hole_radius_arcmin": 20}
    config = dataclasses.replace(WHITE, name="l", mask=mask, hits={"contrast": 4}, splits=2)
    looks, _ = next(Simulator(config, "train").looks([7], 2))
    example = simulate(config, "train", [7])
    np.testing.assert_array_equal(looks[0], example["lensed"])
    hidden = example["mask"][0, ..., 0] == 0
    assert (looks[1][0][hidden] == 0).all() and (looks[1] != looks[0])[0][~hidden].all()
