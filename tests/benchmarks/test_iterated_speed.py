"""The speed of the iterated estimator, to a factor that a busy machine does not hide."""

import numpy as np

from benchmarks.iterated_speed import Skies, fitted, posterior_step, rates
from lensing_tfds import VERSIONS, LensingConfig


def test_a_stage_takes_less_than_five_quadratic_estimates():
    config, stages = VERSIONS["v11"], 3
    estimator = fitted(config, Skies(config, skies=16), stages)
    quadratic, alone, iterated = np.median(rates(config, estimator, rounds=3), axis=0)
    assert quadratic / iterated < 5 * stages
    assert quadratic > alone  # pairs that share their maps are quicker


def test_a_posterior_step_is_timed():
    small = LensingConfig(
        "small", npix=32, lx=32 * 2.5 / 60, stokes="QU", oversampling=2, noise_uK_arcmin=5.0
    )
    assert 0 < posterior_step(small) < 10
