"""The speed of the iterated estimator, to a factor that a busy machine does not hide."""

import numpy as np

from benchmarks.iterated_speed import Skies, fitted, rates
from lensing_tfds import VERSIONS


def test_a_stage_takes_less_than_five_quadratic_estimates():
    config, stages = VERSIONS["v11"], 3
    estimator = fitted(config, Skies(config, skies=16), stages)
    quadratic, alone, iterated = np.median(rates(config, estimator, rounds=3), axis=0)
    assert quadratic / iterated < 5 * stages
    assert quadratic > alone  # pairs that share their maps are quicker
