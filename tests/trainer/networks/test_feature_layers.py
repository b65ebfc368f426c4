"""Features become maps of unit variance; corrections are added as they are."""

import numpy as np
import pytest

from estimators.iterated.iterated_estimator import rings_of
from lensing_tfds.sky.flat_sky import FlatSky
from trainer.networks.feature_layers import Corrected, FilteredFeatures

RNG = np.random.default_rng(5)


def whole(modes, sky):
    full = sky.full_plane(modes)
    return full.real.astype(np.float32), full.imag.astype(np.float32)


@pytest.mark.parametrize("npix", [16, 15])
@pytest.mark.parametrize("number", [2, 3])
def test_maps_are_the_filtered_features_and_the_sum_is_what_gains_make_of_them(npix, number):
    sky = FlatSky(npix, 0.1)
    rings = rings_of(sky)
    filters, gains = RNG.random((2, number, rings.num))
    layer = FilteredFeatures.of(sky, filters)
    features = sky.to_modes(RNG.normal(size=(number, 4, npix, npix)))
    given = [whole(feature, sky) for feature in features]
    filtered = features * rings.spread(filters)[:, None]
    maps, total = layer(given)
    expected = np.moveaxis(sky.to_map(filtered), 0, -1)
    np.testing.assert_allclose(maps, expected, atol=1e-5)
    np.testing.assert_allclose(total, 0, atol=1e-6)
    layer.gains.assign(gains)
    total = np.asarray(layer(given)[1])[..., 0]
    summed = sky.to_map((filtered * rings.spread(gains)[:, None]).sum(axis=0))
    np.testing.assert_allclose(total, summed, atol=1e-5)
    assert [weight.path.split("/")[-1] for weight in layer.trainable_weights] == ["gains"]


def test_a_correction_is_added_in_the_unit_of_the_field():
    sky = FlatSky(16, 0.1)
    field, correction = RNG.normal(size=(2, 3, 16, 16)).astype(np.float32)
    re, im = Corrected(16, 0.1, 0.25)(whole(sky.to_modes(field), sky), correction[..., None])
    found = np.asarray(re) + 1j * np.asarray(im)
    expected = sky.full_plane(sky.to_modes(field + 0.25 * correction))
    np.testing.assert_allclose(found, expected, atol=1e-6)
