"""The speed of the quadratic estimators: both codes do the same work."""

import dataclasses

import pytest

from benchmarks import quadratic_estimator
from lensing_tfds import VERSIONS

SMALL = dataclasses.replace(VERSIONS["v10"], name="small", npix=64, lx=64 * 2 / 60)


@pytest.mark.parametrize("pair", ["TT", "EB"])
def test_both_codes_make_the_same_estimates(pair):
    """To 1e-4 of the rms at 100 < L < 3000: ours is in single precision."""
    case = quadratic_estimator.case(SMALL, pair, 3500, maps=2)
    assert case.ours().shape == (2, 64, 64)
    assert case.difference < 1e-4


def test_keeping_the_algebra_changes_nothing():
    case = quadratic_estimator.case(SMALL, "TT", 3500, maps=2)
    before = case.theirs()
    with quadratic_estimator.KeptAlgebra():
        assert case.theirs() == pytest.approx(before, rel=1e-12)
        assert case.theirs() == pytest.approx(before, rel=1e-12)
