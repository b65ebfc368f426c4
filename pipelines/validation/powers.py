"""Tests of spectra: band powers with their covariance over examples against theory's."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lensing_tfds.realism import follows_camb
from pipelines.validation.observables import Field, Observables, Spectrum
from pipelines.validation.outcome import Curve, Test, Trial
from pipelines.validation.statistics import Moments, Statistics
from pipelines.validation.theory import Theory

ROUNDING = 3e-7
"""Of the simulation's Fourier transforms, in single precision: white noise of so many times a map's
rms. Measured are 0.5e-7 to 1.5e-7."""

_MUCH = 300  # times the rounding: power that can be tested to a fraction of a per cent
_NONE = 0.1  # times the rounding: power that counts as none
_SAME = 1e-5  # relative scatter of what is the same sky in each example


def curve(
    spectrum: Spectrum, statistics: Statistics, observables: Observables, theory: Theory
) -> Curve:
    """Puts together what was measured of a spectrum and what should be."""
    moments = statistics.moments[spectrum.name]
    bins = observables.bins_of(spectrum)
    scale = theory.scale(spectrum)
    lensed = spectrum.first.feature == spectrum.second.feature == "lensed"
    tested = np.ones(bins.num, bool)
    for field in (spectrum.first, spectrum.second):
        auto = theory.expected(Spectrum(field, field, spectrum.nyquist))
        tested &= auto > _MUCH * _floor(field, theory)
    error = moments.error
    if observables.is_one_sky(spectrum):  # the scatter that other skies would have
        autos = scale**2 + theory.expected(spectrum) ** 2
        error = np.sqrt(autos / bins.num_modes)
    return Curve(
        spectrum=spectrum,
        ell=bins.ell,
        limits=bins.limits,
        measured=moments.mean,
        error=error,
        expected=theory.expected(spectrum),
        expected_error=theory.error(spectrum),
        scale=scale,
        tested=tested,
        compared=not lensed or follows_camb(theory.config),
    )


def trials(curve: Curve, statistics: Statistics, observables: Observables) -> Iterator[Trial]:
    """Yields the test of a spectrum, if there is one: Hotelling's T² of its deviations.

    With the covariance S of the mean over n examples, T² = dᵀ S⁻¹ d of p bins is distributed as
    p (n − 1) / (n − p) times F(p, n − p) (Anderson 2003, section 5.2). What theory leaves
    open is added to S: a factor in common to all bins, and one for each.
    """
    if not curve.compared or not curve.tested.any():
        return
    moments = statistics.moments[curve.spectrum.name]
    if observables.is_one_sky(curve.spectrum):
        if curve.spectrum.is_auto:
            yield _one_sky(curve, moments, observables.bins_of(curve.spectrum).num_modes)
        return
    chosen = curve.tested
    open_error = curve.expected_error[chosen] / curve.scale[chosen]
    covariance = moments.covariance[np.ix_(chosen, chosen)]
    covariance /= np.outer(curve.scale[chosen], curve.scale[chosen])
    covariance += np.outer(open_error, open_error) + np.diag(open_error**2)
    deviation = curve.deviation[chosen]
    try:
        t2 = float(deviation @ np.linalg.solve(covariance, deviation))
    except np.linalg.LinAlgError:  # power that is the same in all examples: no sky is like that
        t2 = math.inf
    n, p = moments.count, len(deviation)
    statistic = f"χ² {t2:.1f} / {p}"
    yield Trial(
        curve.spectrum.name,
        statistic,
        float(stats.f.sf(t2 * (n - p) / (p * (n - 1)), p, n - p)),
        _words(curve),
        f"{curve.spectrum.name}: {_where_off(curve, np.diag(covariance))} ({statistic})",
    )


def empty_bins(curve: Curve, theory: Theory) -> Iterator[Test]:
    """Yields a test of the bins where nothing should be, if there are any, without lensing."""
    if not curve.spectrum.is_auto or curve.spectrum.first.feature == "lensed":
        return
    floor = np.broadcast_to(_floor(curve.spectrum.first, theory), curve.ell.shape)
    empty = curve.expected < _NONE * floor
    if not empty.any():
        return
    worst = int(np.argmax(np.where(empty, curve.measured / floor, -np.inf)))
    if curve.measured[worst] < floor[worst]:
        yield Test(f"no {curve.spectrum.name}", True, f"none in {empty.sum()} bins, but rounding")
        return
    yield Test(
        f"no {curve.spectrum.name}",
        False,
        f"{curve.spectrum.name}: there should be none at l = {curve.ell[worst]:.0f}, measured is "
        f"{curve.measured[worst]:.2g}",
    )


def _one_sky(curve: Curve, moments: Moments, num_modes: NDArray[np.float64]) -> Trial:
    """Tests the one sky that all examples have: each bin's sum of modes is a χ² of its own.

    The bins' two-sided p-values are combined by Fisher's method.
    """
    chosen, name = curve.tested, curve.spectrum.name
    same = bool((moments.error[chosen] <= _SAME * moments.mean[chosen]).all())
    ratio = curve.measured[chosen] / curve.expected[chosen]
    modes = num_modes[chosen]
    lower = stats.chi2.cdf(ratio * modes, modes)
    p_values = 2 * np.minimum(lower, stats.chi2.sf(ratio * modes, modes))
    total = float(-2 * np.log(np.maximum(p_values, 1e-300)).sum())
    statistic = f"χ² {total:.1f} / {2 * len(ratio)}"
    off = f"is not that of one sky drawn from its spectrum ({statistic})"
    return Trial(
        name,
        statistic,
        float(stats.chi2.sf(total, 2 * len(ratio))) if same else 0.0,
        "one sky, the same in all examples",
        f"{name} {off}" if same else f"{name}: the unlensed sky is not the same in all examples",
    )


def _floor(field: Field, theory: Theory) -> NDArray[np.float64]:
    """Power that rounding may have in a field's rings, µK² sr or sr.

    It is white, but for B, into which E's modes leak in proportion, as Q and U are rounded.
    """
    component = {"E": "Q", "B": "U"}.get(field.component, field.component)
    if field.feature == "unlensed_E":
        component = "E"
    white = theory.variance(Field(field.feature, component)) * theory.config.sky.pixel**2
    leaked: NDArray[np.float64] | float = 0.0
    if field.component == "B":
        of_e = Field(field.feature, "E")
        leaked = theory.expected(Spectrum(of_e, of_e))
    return ROUNDING**2 * np.asarray(white + leaked)


def _words(curve: Curve) -> str:
    what = "off theory" if curve.spectrum.is_auto else "of the highest possible off theory"
    return (
        f"{curve.mean_deviation:.2%} {what} in the mean of {curve.tested.sum()} bins; chance alone "
        f"gives {curve.chance_deviation:.2%}"
    )


def _where_off(curve: Curve, variance: NDArray[np.float64]) -> str:
    """Says by how much and where a spectrum is off: in that run of bins that is so most clearly."""
    deviation = curve.deviation[curve.tested]
    weights = np.divide(1, variance, out=np.ones_like(variance), where=variance > 0)
    clearest, run = -1.0, slice(0, len(deviation))
    for first in range(len(deviation)):
        for stop in range(first + 1, len(deviation) + 1):
            part = slice(first, stop)
            pull = abs((deviation * weights)[part].sum()) / math.sqrt(weights[part].sum())
            if pull > clearest:
                clearest, run = pull, part
    mean = float((deviation * weights)[run].sum() / weights[run].sum())
    low, high = curve.limits[0, curve.tested][run][0], curve.limits[1, curve.tested][run][-1]
    where = f"at l = {low:.0f}–{high:.0f}"
    if curve.spectrum.nyquist:
        lines = ("row", "column")[run]
        where = f"on the Nyquist {' and '.join(lines)}"
    if not curve.spectrum.is_auto:
        return f"the correlation is {mean:+.3f} off {where}"
    if abs(mean) > 1:
        return f"{1 + mean:.3g} times theory {where}"
    return f"{abs(mean):.1%} {'above' if mean > 0 else 'below'} theory {where}"
