"""What a validation comes to: tests, curves and numbers, without how they were found."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingConfig
from pipelines.validation.observables import Spectrum

FALSE_ALARMS = 1e-3
"""Probability that a right dataset fails: all tests that chance plays a part in share it evenly."""


@dataclasses.dataclass(frozen=True)
class Test:
    """One comparison with what should be.

    Attributes:
      name: of what was tested.
      passed: whether it is as it should be.
      message: the result in words; what is off, if it did not pass.
      statistic: e.g. "χ² 23.1 / 22"; empty if there is none.
      p_value: probability of something as unlikely in a right dataset; None for a test without
        chance.
    """

    name: str
    passed: bool
    message: str
    statistic: str = ""
    p_value: float | None = None


class Trial(NamedTuple):
    """A test with chance in it, before it is known among how many it is.

    Attributes:
      name: as of a `Test`, like the next two.
      statistic: in words.
      p_value: as there.
      right: the result in words, if it passes.
      wrong: what is off, if it does not.
    """

    name: str
    statistic: str
    p_value: float
    right: str
    wrong: str

    def among(self, count: int) -> Test:
        """Decides, so that `count` such tests have `FALSE_ALARMS` together (Bonferroni)."""
        passed = self.p_value >= FALSE_ALARMS / count
        message = self.right if passed else self.wrong
        return Test(self.name, passed, message, self.statistic, self.p_value)


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """A measured spectrum and what it should be, bin by bin; in µK² sr, µK sr or sr.

    Attributes:
      spectrum: which.
      ell: mean multipole of each bin's modes, float64 of shape (bins,), as are the others.
      limits: their smallest and largest multipole, shape (2, bins).
      measured: mean over examples.
      error: standard error of it, or of the one sky if all examples have the same.
      expected: by theory: that of CAMB's table even where the maps do not follow it.
      expected_error: what theory leaves open.
      scale: sqrt(C₁₁ C₂₂) by theory, what deviations are relative to.
      tested: whether the bin's power is above what rounding may do to it; bool.
      compared: whether the spectrum is tested against `expected` at all.
    """

    spectrum: Spectrum
    ell: NDArray[np.float64]
    limits: NDArray[np.float64]
    measured: NDArray[np.float64]
    error: NDArray[np.float64]
    expected: NDArray[np.float64]
    expected_error: NDArray[np.float64]
    scale: NDArray[np.float64]
    tested: NDArray[np.bool_]
    compared: bool

    @property
    def deviation(self) -> NDArray[np.float64]:
        """(measured − expected) / scale; 0 where nothing is expected."""
        difference = self.measured - self.expected
        return np.divide(
            difference, self.scale, out=np.zeros_like(difference), where=self.scale > 0
        )

    @property
    def sigmas(self) -> NDArray[np.float64]:
        """(measured − expected) in units of both errors; 0 where there is none."""
        error = np.hypot(self.error, self.expected_error)
        difference = self.measured - self.expected
        return np.divide(difference, error, out=np.zeros_like(difference), where=error > 0)

    @property
    def mean_deviation(self) -> float:
        """The mean over tested bins of |deviation|; NaN without any."""
        return float(np.abs(self.deviation[self.tested]).mean()) if self.tested.any() else math.nan

    @property
    def chance_deviation(self) -> float:
        """What `mean_deviation` is on average by the scatter of the examples alone."""
        if not self.tested.any():
            return math.nan
        relative = self.error[self.tested] / self.scale[self.tested]
        return float(math.sqrt(2 / math.pi) * relative.mean())


@dataclasses.dataclass(frozen=True, eq=False)
class Response:
    """How strongly a quadratic estimate responds to κ; 1 if all is right.

    Attributes:
      pair: "TT" or "EB".
      limits: smallest and largest |L| of each band's modes, shape (2, bands).
      value: ⟨κ̂ κ*⟩ / ⟨|κ|²⟩ in each band.
      error: standard error of it.
    """

    pair: str
    limits: NDArray[np.float64]
    value: NDArray[np.float64]
    error: NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """What is to be said of a dataset.

    Attributes:
      config: its config.
      num_examples: of each split that was read.
      tests: all tests, in the order of a report.
      curves: all spectra; none if no example is finite.
      responses: of each quadratic estimator.
      numbers: what was measured and is not judged: name, words.
    """

    config: LensingConfig
    num_examples: Mapping[str, int]
    tests: tuple[Test, ...]
    curves: tuple[Curve, ...] = ()
    responses: tuple[Response, ...] = ()
    numbers: tuple[tuple[str, str], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every test passed."""
        return not self.failures

    @property
    def failures(self) -> list[Test]:
        """The tests that did not."""
        return [test for test in self.tests if not test.passed]
