"""Tests of spectra: band powers with their covariance over examples against theory's."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lensing_tfds.realism import is_periodic
from pipelines.validation.moments import Moments
from pipelines.validation.observables import (
    KAPPA,
    NOISE_FEATURES,
    Field,
    Observables,
    Spectrum,
)
from pipelines.validation.outcome import Curve, Test, Trial
from pipelines.validation.statistics import Statistics
from pipelines.validation.theory import FAINTEST, Theory

ROUNDING = 3e-7
"""Of the simulation's Fourier transforms, in single precision: white noise of so many times a map's
rms. Measured are 0.5e-7 to 1.5e-7."""

_MUCH = 300  # times the rounding: power that can be tested to a fraction of a per cent
_NONE = 0.1  # times the rounding: power that counts as none
_SINGLE = 1e-5
"""Relative error of any power, from the maps' single precision: where a few waves make all bins,
combinations of these scatter by less."""


_LARGEST = 0.07
"""Relative error up to which a power scatters nearly like a Gaussian number: that of 400 modes."""

_SAME = 1e-5  # relative scatter of what is the same sky in each example


def curve(
    spectrum: Spectrum, statistics: Statistics, observables: Observables, theory: Theory
) -> Curve:
    """Puts together what was measured of a spectrum and what should be."""
    moments = statistics.moments[spectrum.name]
    bins = observables.bins_of(spectrum)
    scale = theory.scale(spectrum)
    tested = np.ones(bins.num, bool)
    for field in (spectrum.first, spectrum.second):
        auto = theory.expected(Spectrum(field, field, spectrum.nyquist))
        tested &= auto > _MUCH * _floor(field, theory)
        if not observables.is_one_sky(Spectrum(field, field)):
            of_auto = statistics.moments[Spectrum(field, field, spectrum.nyquist).name]
            tested &= of_auto.error <= _LARGEST * of_auto.mean
    error = moments.error
    if observables.is_one_sky(spectrum):  # the scatter that other skies would have
        autos = scale**2 + theory.expected(spectrum) ** 2
        error = np.sqrt(autos / theory.independent_modes(spectrum))
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
        compared=_is_known(spectrum, theory),
    )


def trials(
    curve: Curve, statistics: Statistics, observables: Observables, theory: Theory
) -> Iterator[Trial]:
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
            yield _one_sky(curve, moments, theory)
        return
    chosen = curve.tested
    open_error = curve.expected_error[chosen] / curve.scale[chosen]
    covariance = moments.covariance[np.ix_(chosen, chosen)]
    covariance /= np.outer(curve.scale[chosen], curve.scale[chosen])
    covariance += np.outer(open_error, open_error) + np.diag(open_error**2 + _SINGLE**2)
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


def empty_bins(curve: Curve, statistics: Statistics, theory: Theory) -> Iterator[Test]:
    """Yields a test of the bins where nothing should be, if there are any, without lensing."""
    field = curve.spectrum.first
    if not curve.spectrum.is_auto or field.feature in ("lensed", *NOISE_FEATURES):
        return
    floor = np.broadcast_to(_floor(field, theory), curve.ell.shape)
    empty = curve.expected <= _NONE * floor
    # The few waves of one sky, or of few, may be higher than they are on average.
    maps = _maps_of(field)
    measured = max(statistics.moments[f"pixels {of.name}"].mean[1] for of in maps)
    floor = floor * max(1.0, measured / max(*map(theory.variance, maps), FAINTEST))
    if not empty.any():
        return
    worst = int(np.argmax(np.where(empty, curve.measured / floor, -np.inf)))
    if curve.measured[worst] <= floor[worst]:
        yield Test(f"no {curve.spectrum.name}", True, f"none in {empty.sum()} bins, but rounding")
        return
    yield Test(
        f"no {curve.spectrum.name}",
        False,
        f"{curve.spectrum.name}: there should be none at l = {curve.ell[worst]:.0f}, measured is "
        f"{curve.measured[worst]:.2g}",
    )


def _is_known(spectrum: Spectrum, theory: Theory) -> bool:
    """Says whether a right dataset must have the expected spectrum.

    One unlensed sky that is seen in a window is correlated with κ: the window mixes modes.
    """
    if spectrum.first == spectrum.second == KAPPA:
        return theory.knows_kappa
    lensed = [field for field in (spectrum.first, spectrum.second) if field.feature == "lensed"]
    if len(lensed) == 2:
        return theory.knows_lensed
    one_sky = theory.config.fixed_unlensed and not is_periodic(theory.config)
    return not (lensed and one_sky)


def _one_sky(curve: Curve, moments: Moments, theory: Theory) -> Trial:
    """Tests the one sky that all examples have: each bin's sum of modes is a χ² of its own.

    The bins' two-sided p-values are combined by Fisher's method. Of a part of a larger box, whose
    modes are not independent, no more is tested than that all have it.
    """
    chosen, name = curve.tested, curve.spectrum.name
    same = bool((moments.error[chosen] <= _SAME * moments.mean[chosen]).all())
    right = "one sky, the same in all examples"
    differs = f"{name}: the unlensed sky is not the same in all examples"
    if theory.config.padding > 1 or not same:
        return Trial(name, "", float(same), right, differs)
    ratio = curve.measured[chosen] / curve.expected[chosen]
    modes = theory.independent_modes(curve.spectrum)[chosen]
    lower = stats.chi2.cdf(ratio * modes, modes)
    p_values = 2 * np.minimum(lower, stats.chi2.sf(ratio * modes, modes))
    total = float(-2 * np.log(np.maximum(p_values, 1e-300)).sum())
    statistic = f"χ² {total:.1f} / {2 * len(ratio)}"
    off = f"is not that of one sky drawn from its spectrum ({statistic})"
    return Trial(
        name,
        statistic,
        float(stats.chi2.sf(total, 2 * len(ratio))),
        right,
        f"{name} {off}",
    )


def _maps_of(field: Field) -> tuple[Field, ...]:
    """The channels that a field is made of."""
    if field.component in "EB" and field.feature != "unlensed_E":
        return Field(field.feature, "Q"), Field(field.feature, "U")
    return (field,)


def _floor(field: Field, theory: Theory) -> NDArray[np.float64]:
    """Power that rounding may have in a field's rings, µK² sr or sr.

    It is white, but for B, into which E's modes leak in proportion, as Q and U are rounded.
    """
    white = max(map(theory.variance, _maps_of(field))) * theory.config.sky.pixel**2
    leaked: NDArray[np.float64] | float = 0.0
    if field.component == "B":
        of_e = Field(field.feature, "E")
        leaked = theory.expected(Spectrum(of_e, of_e))
    return ROUNDING**2 * np.asarray(white + leaked) + FAINTEST * theory.config.sky.pixel**2


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
