"""Tests of each channel's pixels, wherever they are: mean, variance, skewness and kurtosis.

Unlensed fields and κ are Gaussian, so that skewness and excess kurtosis are zero. Lensed maps are
not, and only their mean and variance are tested. Of foregrounds and a lognormal κ the skewness is
known, and the kurtosis is not tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats

from pipelines.validation.moments import Moments
from pipelines.validation.observables import Field
from pipelines.validation.outcome import Trial
from pipelines.validation.skewness import ERROR as SKEWNESS_ERROR
from pipelines.validation.theory import FAINTEST, Theory

_ROUNDING = 1e-6  # of a mean, relative to the rms: a box's modes have none at l = 0

# Of n maps of Gaussian pixels with correlations ρ, a moment's variance is factor ⟨ρ^order⟩ / n.
_SCATTER = {"variance": (2, 2.0), "skewness": (3, 6.0), "excess kurtosis": (4, 24.0)}

_LARGEST = {"variance": 0.07, "skewness": 0.08, "excess kurtosis": 0.1}
"""Errors up to which a moment of Gaussian pixels scatters nearly like a Gaussian number: those of
400, 1,000 and 2,400 independent ones. (The variance's is relative.)"""


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
    """Yields the tests of a channel, of what its maps have waves enough for.

    Args:
      field: the channel.
      moments: of the means of x, x², x³, x⁴, one vector an example.
      theory: of the config.
    """
    lensed, count = field.feature == "lensed", moments.count
    if theory.config.fixed_unlensed and field.feature != "kappa":
        return  # the pixels of one sky are those of its few waves
    if field.feature == "kappa" and not theory.knows_kappa:
        return
    variance = theory.variance(field)
    if variance < FAINTEST:
        return  # a beam as wide as the patch leaves nothing
    expected = {"mean": theory.mean(field), "variance": variance}
    if not lensed:
        expected |= {"skewness": 0.0, "excess kurtosis": 0.0}
        if third := theory.third_moment(field):
            expected["skewness"] = third / variance**1.5
            del expected["excess kurtosis"]
    elif not theory.knows_lensed:
        del expected["variance"]
    m2 = moments.mean[1]
    for name, value, error in pixel_statistics(moments):
        if name not in expected:
            continue
        target = expected[name]
        if lensed and name == "variance":
            error = math.hypot(error, theory.relative_error("TT") * target)
        if not lensed and name in _SCATTER:  # few examples may scatter less by chance
            order, factor = _SCATTER[name]
            scatter = math.sqrt(factor * max(theory.correlation(field, order), 0.0) / count)
            error = max(error, scatter * (variance if order == 2 else 1.0))
        scale = m2 if name == "variance" else max(1.0, abs(target))
        if error > _LARGEST.get(name, math.inf) * scale:
            continue
        if name == "skewness":
            error = math.hypot(error, SKEWNESS_ERROR * target)
        sigmas = (value - target) / error if error > 0 else 0.0
        words = f"{value:.4g} ± {error:.2g}, should be {target:.4g}"
        yield Trial(
            f"{field.name}: {name}",
            f"{sigmas:+.1f} σ",
            float(2 * stats.t.sf(abs(sigmas), count - 1)),
            words,
            f"the {name} of {field.name} is {words} ({sigmas:+.1f} σ)",
        )
