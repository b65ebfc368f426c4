"""Statistics of a dataset against theory: tests, each with what it says in words.

Tests that have a false-alarm rate share `FALSE_ALARMS` evenly (Bonferroni): a right dataset fails
any of them with at most that probability. The others have none: a NaN is there or not.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lensing_tfds.configs import SPLITS, LensingConfig
from lensing_tfds.spectra import PowerSpectra
from pipelines.validation.observables import Field, Observables, Spectrum
from pipelines.validation.statistics import Moments, Statistics
from pipelines.validation.theory import Theory, why_not_camb

FALSE_ALARMS = 1e-3
"""Probability that a right dataset fails."""

THEORY_ERROR = {"TT": 0.0015, "EE": 0.0015, "TE": 0.0015, "BB": 0.005}
"""Of CAMB's lensed spectra, relative (TE's relative to sqrt(TT EE))."""

ROUNDING = 3e-7
"""Of the Fourier transforms in single precision: white noise of so many times a map's rms."""

_MUCH = 300  # times the rounding: power that can be tested to a fraction of a per cent
_SHOWN = 5  # of many examples that are wrong


@dataclasses.dataclass(frozen=True)
class Test:
    """One comparison with what should be.

    Attributes:
      name: of what was tested.
      passed: whether it is as it should be.
      message: the result in words; what is off, if it did not pass.
      statistic: e.g. "χ² 23.1 / 22"; empty if there is none.
      p_value: probability of something as unlikely; None for a test without chance.
    """

    name: str
    passed: bool
    message: str
    statistic: str = ""
    p_value: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """A measured spectrum and what it should be, bin by bin.

    Attributes:
      spectrum: which.
      ell: mean multipole of each bin's modes, float64 of shape (bins,).
      measured: mean over examples, µK² sr, µK sr or sr.
      error: standard error of it.
      expected: by theory; that of CAMB's table even where the maps do not follow it.
      scale: sqrt(C₁₁ C₂₂) by theory, what deviations are relative to.
      tested: whether the bin takes part in the test.
      compared: whether the spectrum is tested against `expected` at all.
    """

    spectrum: Spectrum
    ell: NDArray[np.float64]
    measured: NDArray[np.float64]
    error: NDArray[np.float64]
    expected: NDArray[np.float64]
    scale: NDArray[np.float64]
    tested: NDArray[np.bool_]
    compared: bool

    @property
    def deviation(self) -> NDArray[np.float64]:
        """(measured − expected) / scale; 0 where the scale is."""
        difference = self.measured - self.expected
        return np.divide(
            difference, self.scale, out=np.zeros_like(difference), where=self.scale > 0
        )

    @property
    def mean_deviation(self) -> float:
        """The mean over tested bins of |deviation|; NaN without any."""
        return float(np.abs(self.deviation[self.tested]).mean()) if self.tested.any() else math.nan


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """What is to be said of a dataset.

    Attributes:
      config: its config.
      num_examples: of each split that was read.
      tests: all tests, in the order of a report.
      curves: all spectra.
      numbers: what was measured and is not judged, in words.
    """

    config: LensingConfig
    num_examples: Mapping[str, int]
    tests: tuple[Test, ...]
    curves: tuple[Curve, ...]
    numbers: tuple[tuple[str, str], ...]

    @property
    def passed(self) -> bool:
        """Whether every test passed."""
        return all(test.passed for test in self.tests)

    @property
    def failures(self) -> list[Test]:
        """The tests that did not."""
        return [test for test in self.tests if not test.passed]


def judge(
    statistics: Statistics,
    observables: Observables,
    table: PowerSpectra,
    num_examples: Mapping[str, int],
) -> Verdict:
    """Compares a dataset's statistics with theory.

    Args:
      statistics: of all its examples.
      observables: what was measured.
      table: the spectra that its skies were drawn from.
      num_examples: how many each split should have.
    """
    return _Judge(statistics, observables, table).verdict(num_examples)


class _Judge:
    def __init__(self, statistics: Statistics, observables: Observables, table: PowerSpectra):
        self.statistics = statistics
        self.observables = observables
        self.config = observables.config
        self.theory = Theory(observables, table)

    def verdict(self, num_examples: Mapping[str, int]) -> Verdict:
        tests = [*self._data(num_examples)]
        if not self.statistics.moments:  # not one example is finite
            return Verdict(self.config, num_examples, tuple(tests), (), ())
        curves = [self._curve(spectrum) for spectrum in self.observables.spectra]
        uncertain = [*self._spectra(curves), *self._pixels()]
        limit = FALSE_ALARMS / max(1, len(uncertain))
        for name, messages, statistic, p_value in uncertain:
            passed = p_value >= limit
            tests.append(Test(name, passed, messages[passed], statistic, p_value))
        tests += self._zeros(curves)
        return Verdict(self.config, num_examples, tuple(tests), tuple(curves), tuple(self._numbers(curves)))

    # Every test with a false-alarm rate: name, (message if failed, if passed), statistic, p-value.

    def _spectra(self, curves: Sequence[Curve]) -> Iterator[tuple[str, tuple[str, str], str, float]]:
        for curve in curves:
            if not curve.compared or not curve.tested.any():
                continue
            moments = self.statistics.moments[curve.spectrum.name]
            covariance = moments.covariance + self._theory_covariance(curve)
            count, chosen = moments.count, curve.tested
            difference = (curve.measured - curve.expected)[chosen]
            scale = curve.scale[chosen]
            covariance = covariance[np.ix_(chosen, chosen)] / np.outer(scale, scale)
            t2 = float(difference / scale @ np.linalg.solve(covariance, difference / scale))
            p = int(chosen.sum())
            p_value = float(stats.f.sf(t2 * (count - p) / (p * (count - 1)), p, count - p))
            statistic = f"χ² {t2:.1f} / {p}"
            off = f"{curve.spectrum.name}: {_where_off(curve, covariance)} ({statistic})"
            mean = f"deviation {curve.mean_deviation:.2%} in the mean of {p} bins"
            yield curve.spectrum.name, (off, mean), statistic, p_value

    def _pixels(self) -> Iterator[tuple[str, tuple[str, str], str, float]]:
        follows = not why_not_camb(self.config)
        for field in self.observables.channels:
            lensed = field.feature == "lensed"
            if self._is_fixed(field):
                continue
            moments = self.statistics.moments[f"pixels {field.name}"]
            expected = self.theory.variance(field) if follows or not lensed else None
            for what, value, error, target in pixel_statistics(moments, expected):
                if target is None or (lensed and what not in ("mean", "variance")):
                    continue
                sigmas = (value - target) / error if error > 0 else 0.0
                if what == "variance" and lensed:
                    error = math.hypot(error, THEORY_ERROR["TT"] * target)
                    sigmas = (value - target) / error
                p_value = float(2 * stats.norm.sf(abs(sigmas)))
                words = f"{value:.4g} ± {error:.2g}, should be {target:.4g}"
                yield (
                    f"{field.name}: {what}",
                    (f"{what} of {field.name} is {words} ({sigmas:+.1f} σ)", words),
                    f"{sigmas:+.1f} σ",
                    p_value,
                )

    def _zeros(self, curves: Sequence[Curve]) -> Iterator[Test]:
        """Bins in which nothing should be, and nothing but rounding may."""
        for curve in curves:
            if not curve.spectrum.is_auto or curve.spectrum.first.feature == "lensed":
                continue
            floor = self._floor(curve.spectrum.first)
            empty = curve.expected < 1e-3 * floor
            if not empty.any():
                continue
            worst = float((curve.measured[empty] / floor).max())
            yield Test(
                f"{curve.spectrum.name}: none",
                worst < 1,
                f"{curve.spectrum.name}: power where none should be, at l = "
                f"{curve.ell[empty][np.argmax(curve.measured[empty])]:.0f}"
                if worst >= 1
                else f"no power in {empty.sum()} bins where none should be",
            )

    def _data(self, num_examples: Mapping[str, int]) -> Iterator[Test]:
        yield self._finite()
        yield self._indices(num_examples)
        yield self._duplicates()

    def _finite(self) -> Test:
        bad = self.statistics.not_finite
        named = [f"{split} {index} ({feature})" for split, index, feature in bad]
        passed = "no NaN and no infinity"
        return Test("finite", not bad, f"NaN or infinity in {_listed(named)}" if bad else passed)

    def _indices(self, num_examples: Mapping[str, int]) -> Test:
        problems = []
        for split, count in num_examples.items():
            rows = self.statistics.addresses
            found = np.sort(rows["index"][rows["split"] == SPLITS.index(split)])
            twice = np.unique(found[1:][found[1:] == found[:-1]])
            missing = np.setdiff1d(np.arange(count), found)
            strange = np.setdiff1d(found, np.arange(count))
            for indices, what in ((twice, "twice"), (missing, "missing"), (strange, "not of it")):
                if len(indices):
                    problems.append(f"{split} {_listed([str(i) for i in indices])} {what}")
        total = sum(num_examples.values())
        message = "indices: " + "; ".join(problems) if problems else f"all {total:,}, each once"
        return Test("indices", not problems, message)

    def _duplicates(self) -> Test:
        groups: dict[int, list[str]] = collections.defaultdict(list)
        rows = self.statistics.addresses
        hashes, counts = np.unique(rows["hash"], return_counts=True)
        for row in np.sort(rows[np.isin(rows["hash"], hashes[counts > 1])], order=["split", "index"]):
            groups[int(row["hash"])].append(f"{SPLITS[row['split']]} {row['index']}")
        named = [" and ".join(group[:_SHOWN]) for group in groups.values()]
        message = "no two examples have the same κ"
        if named:
            message = f"examples {_listed(named)} are the same (they have the same κ)"
        return Test("duplicates", not named, message)

    def _numbers(self, curves: Sequence[Curve]) -> Iterator[tuple[str, str]]:
        return iter(())

    def _curve(self, spectrum: Spectrum) -> Curve:
        moments = self.statistics.moments[spectrum.name]
        scale = self.theory.scale(spectrum)
        features = {spectrum.first.feature, spectrum.second.feature}
        compared = features != {"lensed"} or not why_not_camb(self.config)
        if not spectrum.is_auto:
            floor = np.sqrt(self._floor(spectrum.first) * self._floor(spectrum.second))
        else:
            floor = self._floor(spectrum.first)
        return Curve(
            spectrum=spectrum,
            ell=self.observables.bins_of(spectrum).ell,
            measured=moments.mean,
            error=moments.error,
            expected=self.theory.expected(spectrum),
            scale=scale,
            tested=scale > _MUCH * floor,
            compared=compared,
        )

    def _theory_covariance(self, curve: Curve) -> NDArray[np.float64]:
        """Of a lensed spectrum: a factor in common, and one for each bin."""
        spectrum = curve.spectrum
        relative = THEORY_ERROR.get(spectrum.first.component + spectrum.second.component)
        if relative is None or spectrum.first.feature != "lensed":
            return np.zeros((len(curve.ell),) * 2)
        if spectrum.is_auto:
            signal = self.theory.signal(spectrum)
        else:
            signal = curve.scale
        error = relative * signal
        return np.outer(error, error) + np.diag(error**2)

    def _floor(self, field: Field) -> float:
        """Power that rounding may have in a field's modes."""
        field = Field(field.feature, "Q") if field.component == "B" else field
        return ROUNDING**2 * self.theory.variance(field) * self.config.sky.pixel**2

    def _is_fixed(self, field: Field) -> bool:
        return self.config.fixed_unlensed and field.feature in ("unlensed", "unlensed_E")


def pixel_statistics(
    moments: Moments, variance: float | None
) -> Iterator[tuple[str, float, float, float | None]]:
    """Yields (what, value, standard error, what it should be) of a channel's pixels.

    Args:
      moments: of the means of x, x², x³, x⁴.
      variance: by theory, if known.
    """
    m1, m2, m3, m4 = moments.mean
    covariance = moments.covariance

    def error(gradient: Sequence[float]) -> float:
        g = np.array(gradient)
        return math.sqrt(max(float(g @ covariance @ g), 0.0))

    rms = math.sqrt(m2)
    yield "mean", m1, error([1, 0, 0, 0]), 0.0
    yield "variance", m2, error([0, 1, 0, 0]), variance
    yield "skewness", m3 / rms**3, error([0, -1.5 * m3 / rms**5, 1 / rms**3, 0]), 0.0
    yield "excess kurtosis", m4 / m2**2 - 3, error([0, -2 * m4 / m2**3, 0, 1 / m2**2]), 0.0


def _where_off(curve: Curve, covariance: NDArray[np.float64]) -> str:
    """Says by how much and where a spectrum is off: the run of bins that is so most significantly."""
    deviation, ell = curve.deviation[curve.tested], curve.ell[curve.tested]
    weights = 1 / np.diag(covariance)
    best, chosen = 0.0, (0, len(ell))
    for first in range(len(ell)):
        for stop in range(first + 1, len(ell) + 1):
            part = slice(first, stop)
            significance = abs((deviation * weights)[part].sum()) / math.sqrt(weights[part].sum())
            if significance > best:
                best, chosen = significance, (first, stop)
    part = slice(*chosen)
    mean = (deviation * weights)[part].sum() / weights[part].sum()
    where = f"at l = {ell[part][0]:.0f}" + (f"–{ell[part][-1]:.0f}" if len(ell[part]) > 1 else "")
    if curve.spectrum.nyquist:
        where = "on the " + {0: "row", 1: "column"}.get(chosen[0], "") * (len(ell[part]) == 1)
        where = "on the row and the column" if len(ell[part]) > 1 else where
    if curve.spectrum.is_auto:
        return f"{abs(mean):.2g} times theory {'above' if mean > 0 else 'below'} it {where}" if abs(mean) > 1 else f"{abs(mean):.1%} {'above' if mean > 0 else 'below'} theory {where}"
    return f"correlation {mean:+.3f} off theory {where}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
