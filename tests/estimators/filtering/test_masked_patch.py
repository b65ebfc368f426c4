"""Masks and noise: impossible ones are refused; the interior is where the mask is not."""

import numpy as np
import pytest

from estimators.filtering.masked_patch import INSIDE, MaskedPatch, interior_window
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.flat_sky import FlatSky

SKY = FlatSky(64, np.radians(6.4))
NOISE = {"P": np.full(SKY.ell.shape, 1e-6)}


def bordered(width):
    mask = np.zeros((64, 64))
    mask[width:-width, width:-width] = 1
    return mask


def spoilt(value):
    mask = np.ones((64, 64))
    mask[3, 4] = value
    return mask


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((32, 32)), r"the mask has shape \(32, 32\): must be that of the maps, \(64, 64\)"),
        (spoilt(1.5), "the mask is 1.5 in a pixel: must be from 0"),
        (spoilt(-0.1), "the mask is -0.1 in a pixel"),
        (spoilt(np.nan), "the mask is nan in a pixel"),
        (np.zeros((64, 64)), "the mask leaves no pixel"),
        (np.full((64, 64), "1"), "must be of numbers"),
    ],
)
def test_impossible_masks_are_refused(mask, message):
    with pytest.raises(LensingError, match=message):
        MaskedPatch(SKY, mask, NOISE)


@pytest.mark.parametrize(
    ("variance", "message"),
    [
        (np.ones((32, 32)), r"the noise variance has shape \(32, 32\)"),
        (spoilt(-1.0), "the noise variance is -1 in a pixel: must be above zero"),
        (spoilt(0.0), "the noise variance is 0 in a pixel"),
        (spoilt(np.nan), "the noise variance is nan in a pixel"),
        (np.full((64, 64), np.inf), "leave no pixel"),
    ],
)
def test_impossible_variances_are_refused(variance, message):
    with pytest.raises(LensingError, match=message):
        MaskedPatch(SKY, np.ones((64, 64)), NOISE, variance)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        ({"Q": NOISE["P"]}, "noise of 'Q': must be of 'T' or of 'P'"),
        ({"P": np.ones((3, 3))}, "must be a half plane"),
        ({"P": 0 * NOISE["P"]}, "finite and above zero"),
    ],
)
def test_impossible_noise_is_refused(noise, message):
    with pytest.raises(LensingError, match=message):
        MaskedPatch(SKY, np.ones((64, 64)), noise)


def test_what_is_masked_is_the_signal_or_the_maps():
    with pytest.raises(LensingError, match="must be 'signal' or 'maps'"):
        MaskedPatch(SKY, np.ones((64, 64)), NOISE, masked="noise")


def test_the_interior_without_a_mask_is_everything():
    assert np.array_equal(interior_window(np.ones((64, 64)), SKY), np.ones((64, 64)))


def test_the_interior_rises_from_the_mask_smoothly():
    """sin² of the distance, over 0.6°: six pixels."""
    window = interior_window(bordered(10), SKY)
    expected = np.sin(np.pi / 2 * (np.arange(6) + 0.5) / 6) ** 2
    np.testing.assert_allclose(window[32, 10:16], expected)
    assert not window[32, :10].any() and np.all(window[16:-16, 16:-16] == 1)
    np.testing.assert_allclose(window, window[::-1])
    np.testing.assert_allclose(window, window.T)


def test_small_holes_belong_to_the_interior_and_large_ones_do_not():
    mask = bordered(8)
    mask[30:33, 30:33] = 0
    np.testing.assert_array_equal(interior_window(mask, SKY), interior_window(bordered(8), SKY))
    mask[25:38, 25:38] = 0
    assert interior_window(mask, SKY)[31, 31] == 0


def test_a_mask_without_an_inside_is_refused():
    with pytest.raises(LensingError, match="below a half everywhere"):
        interior_window(np.full((64, 64), 0.4), SKY)
    assert interior_window(bordered(28), SKY).max() >= INSIDE  # 0.35 degrees from its middle
    with pytest.raises(LensingError, match="no pixel inside: none is 0.3 degrees or more from"):
        interior_window(bordered(30), SKY)


def test_the_observation_has_the_noise_of_the_interior():
    """Variance 4 within, 100 without: N is four times as much."""
    variance = np.where(bordered(10) > 0, 4.0, 100.0)
    from estimators.quadratic.observation import Observation
    from lensing_tfds.sky import spectra

    seen = Observation(SKY, spectra.fiducial(), 5.0)
    patch = MaskedPatch(SKY, bordered(10), NOISE, variance)
    total = patch.observation(seen).total("B", "B")
    expected = seen.beam**2 * seen.signal("B", "B") + np.where(seen.used, 4e-6, 0)
    np.testing.assert_allclose(total, expected)
