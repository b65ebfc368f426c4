"""Maps are evaluated between their pixels as `lensing.remap` does, in double precision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.lensing import remap
from trainer.networks.remapping import Remapping

ROUNDING = 1e-5  # rms, of white fields of unit variance; seen are 4e-6


def rms(values):
    return np.sqrt(np.mean(np.square(values, dtype=float)))


def drawn(sky, pixels, seed=0, n=2):
    """Modes of two white fields as one complex map's, what they are made of, and a deflection."""
    rng = np.random.default_rng(seed)
    maps = rng.standard_normal((2, n, sky.npix, sky.npix))
    deflection = (pixels * sky.pixel * rng.standard_normal(maps.shape)).astype(np.float32)
    plane = np.fft.fft2(maps[0] + 1j * maps[1]) / sky.npix**2
    return (plane.real.astype(np.float32), plane.imag.astype(np.float32)), maps, deflection


@settings(max_examples=15)
@given(st.integers(8, 60), st.sampled_from([0.0, 0.3, 3.0]), st.integers(0, 99))
def test_it_is_the_exact_sum_on_all_sizes(npix, pixels, seed):
    """White fields have all their power at high l, and odd and even sizes other Nyquist lines."""
    sky = FlatSky(npix, 0.3)
    modes, maps, deflection = drawn(sky, pixels, seed)
    (found,) = Remapping(sky).at([modes], tuple(deflection))
    exact = tuple(d.astype(float) for d in deflection)
    for part, values in zip(found, maps, strict=True):
        assert rms(np.asarray(part) - remap(sky.to_modes(values), exact, sky)) < ROUNDING


@pytest.mark.parametrize("npix", [32, 33])
def test_points_far_beyond_the_edge_are_those_of_the_next_patch(npix):
    sky = FlatSky(npix, 0.3)
    modes, maps, deflection = drawn(sky, 10 * npix)
    (found,) = Remapping(sky).at([modes], tuple(deflection))
    exact = tuple(d.astype(float) for d in deflection)
    # Positions of 300 pixels are known to 2e-5 of one.
    assert rms(found[0] - remap(sky.to_modes(maps[0]), exact, sky)) < 10 * ROUNDING
    # Whole periods change nothing but that.
    (again,) = Remapping(sky).at([modes], tuple(deflection - np.float32(0.6)))
    assert rms(np.asarray(again) - np.asarray(found)) < 10 * ROUNDING


def test_several_fields_are_remapped_as_each_by_itself():
    sky = FlatSky(16, 0.1)
    one, _, deflection = drawn(sky, 1.0)
    other, _, _ = drawn(sky, 1.0, seed=1)
    remapping = Remapping(sky)
    both = remapping.at([one, other], tuple(deflection))
    for found, modes in zip(both, (one, other), strict=True):
        (alone,) = remapping.at([modes], tuple(deflection))
        np.testing.assert_allclose(np.asarray(found), np.asarray(alone), atol=1e-6)


def test_its_gradients_are_differences():
    """Of a weighted sum of the values, along a change of the field and along one of the points."""
    tf = pytest.importorskip("tensorflow")

    sky = FlatSky(20, 0.2)
    modes, _, deflection = drawn(sky, 1.0)
    weights = np.random.default_rng(3).standard_normal((2, 20, 20)).astype(np.float32)
    remapping = Remapping(sky)
    inputs = [tf.constant(x) for x in (*modes, *deflection)]

    def total(re, im, d_y, d_x):
        ((values, _),) = remapping.at([(re, im)], (d_y, d_x))
        return tf.reduce_sum(values * weights)

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = total(*inputs)
    gradients = tape.gradient(value, inputs)
    rng = np.random.default_rng(4)
    for i, (x, gradient) in enumerate(zip(inputs, gradients, strict=True)):
        step = rng.standard_normal(x.shape).astype(np.float32) * (
            0.01 if i < 2 else 1e-3 * sky.pixel
        )
        moved = [total(*(y + s * step * (j == i) for j, y in enumerate(inputs))) for s in (1, -1)]
        found = float(tf.reduce_sum(gradient * step))
        scale = float(tf.norm(gradient) * np.linalg.norm(step)) / np.sqrt(step.size)
        assert float(moved[0] - moved[1]) / 2 == pytest.approx(found, abs=0.05 * scale)
        assert abs(found) > 0.1 * scale


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_point_that_is_nowhere_has_no_value_and_does_no_harm(value):
    sky = FlatSky(16, 0.1)
    modes, _, deflection = drawn(sky, 1.0)
    remapping = Remapping(sky)
    (expected,) = remapping.at([modes], tuple(deflection))
    spoilt = deflection.copy()
    spoilt[:, 0, 3, 5] = value
    (found,) = remapping.at([modes], tuple(spoilt))
    other = np.arange(256).reshape(16, 16) != 3 * 16 + 5
    if value != 1e30:
        assert np.isnan(found[0][0, 3, 5])
    np.testing.assert_array_equal(found[0][0][other], expected[0][0][other])
    np.testing.assert_array_equal(found[0][1], expected[0][1])
