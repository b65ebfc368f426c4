"""The benchmark compares the same estimates, of all pairs."""

import dataclasses

import numpy as np

from benchmarks.quadratic_layer import Both, full_plane
from lensing_tfds import VERSIONS


def test_layers_and_estimators_estimate_the_same_from_the_same_modes():
    small = dataclasses.replace(VERSIONS["v10"], name="small", npix=32, lx=16 / 15)
    both = Both(small, maps=2)
    assert len(both.estimators()) == len(both.layers()) == 5
    assert both.difference() < 1e-3  # of the mode that is furthest off
    # One for two values, one a term for its gradient, and one back: of 1, 2, 2, 3 and 2 terms.
    assert both.transforms_of_one == {(48, 48): 3 + 4 + 4 + 6 + 4}


def test_a_whole_plane_is_that_of_a_real_map():
    maps = np.random.default_rng(0).normal(size=(2, 6, 6))
    np.testing.assert_allclose(full_plane(np.fft.rfft2(maps)), np.fft.fft2(maps), atol=1e-12)
