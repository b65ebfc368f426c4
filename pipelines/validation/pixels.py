"""Tests of each channel's pixels, wherever they are: mean, variance, skewness and kurtosis.

Unlensed fields and κ are Gaussian, so that skewness and excess kurtosis are zero. Lensed maps are
not, and only their mean and variance are tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats

from pipelines.validation.observables import Field
from pipelines.validation.outcome import Trial
from pipelines.validation.statistics import Moments
from pipelines.validation.theory import FAINTEST, Theory

_ROUNDING = 1e-6  # of a mean, relative to the rms: a box's modes have none at l = 0


class PixelStatistic(NamedTuple):
    """A number of a channel's pixels.

    Attributes:
      name: "mean", "variance", "skewness" or "excess kurtosis".
      value: over all pixels of all examples.
      error: standard error, from the scatter of the examples.
    """

    name: str
    value: float
    error: float


def pixel_statistics(moments: Moments) -> tuple[PixelStatistic, ...]:
    """Returns all four, from the means of x, x², x³ and x⁴; errors by linear propagation."""
    m1, m2, m3, m4 = moments.mean
    covariance = moments.covariance

    def error(*gradient: float) -> float:
        g = np.array(gradient)
        return math.sqrt(max(float(g @ covariance @ g), 0.0))

    return (
        PixelStatistic("mean", m1, math.hypot(error(1, 0, 0, 0), _ROUNDING * m2**0.5)),
        PixelStatistic("variance", m2, error(0, 1, 0, 0)),
        PixelStatistic("skewness", m3 / m2**1.5, error(0, -1.5 * m3 / m2**2.5, 1 / m2**1.5, 0)),
        PixelStatistic("excess kurtosis", m4 / m2**2 - 3, error(0, -2 * m4 / m2**3, 0, 1 / m2**2)),
    )


def trials(field: Field, moments: Moments, theory: Theory) -> Iterator[Trial]:
    """Yields the tests of a channel.

    Args:
      field: the channel.
      moments: of the means of x, x², x³, x⁴, one vector an example.
      theory: of the config.
    """
    lensed = field.feature == "lensed"
    if theory.config.fixed_unlensed and field.feature != "kappa":
        return  # the pixels of one sky are those of its few waves
    variance = theory.variance(field)
    if variance < FAINTEST:
        return  # a beam as wide as the patch leaves nothing
    expected = {"mean": 0.0, "variance": variance}
    if not lensed:
        expected |= {"skewness": 0.0, "excess kurtosis": 0.0}
    elif not theory.knows_lensed:
        del expected["variance"]
    for name, value, error in pixel_statistics(moments):
        if name not in expected:
            continue
        target = expected[name]
        if lensed and name == "variance":
            error = math.hypot(error, theory.relative_error("TT") * target)
        sigmas = (value - target) / error if error > 0 else 0.0
        words = f"{value:.4g} ± {error:.2g}, should be {target:.4g}"
        yield Trial(
            f"{field.name}: {name}",
            f"{sigmas:+.1f} σ",
            float(2 * stats.norm.sf(abs(sigmas))),
            words,
            f"the {name} of {field.name} is {words} ({sigmas:+.1f} σ)",
        )
