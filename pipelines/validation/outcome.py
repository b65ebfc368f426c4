"""Outcomes of a validation: tests, curves and numbers, without how they were found.

A verdict is kept as JSON beside the dataset (`FILE`), where a card finds it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from pipelines.validation.observables import Observables, Spectrum

FILE = "validation.json"
"""Name of a verdict in a dataset's folder."""

SCHEMA = 1
"""Of a verdict as JSON; another number if a field is removed or changes its meaning."""

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

    def to_json(self) -> dict[str, Any]:
        """Returns the fields, as JSON's types."""
        return {
            "name": self.name,
            "passed": self.passed,
            "statistic": self.statistic,
            "p_value": None if self.p_value is None else _finite(self.p_value),
            "message": self.message,
        }


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
      tested: whether the bin's power is above what rounding may do to it, and of modes enough to
        scatter like a Gaussian number; bool.
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
        """The average of `mean_deviation` by the scatter of the examples alone."""
        if not self.tested.any():
            return math.nan
        relative = self.error[self.tested] / self.scale[self.tested]
        return float(math.sqrt(2 / math.pi) * relative.mean())

    def to_json(self) -> dict[str, Any]:
        """Returns the spectrum's name and all numbers, as JSON's types."""
        return {
            "name": self.spectrum.name,
            "nyquist": self.spectrum.nyquist,
            "compared": self.compared,
            "mean_deviation": _finite(self.mean_deviation),
            "chance_deviation": _finite(self.chance_deviation),
            "ell": _to_list(self.ell),
            "ell_min": _to_list(self.limits[0]),
            "ell_max": _to_list(self.limits[1]),
            "measured": _to_list(self.measured),
            "error": _to_list(self.error),
            "expected": _to_list(self.expected),
            "expected_error": _to_list(self.expected_error),
            "scale": _to_list(self.scale),
            "tested": self.tested.tolist(),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any], spectrum: Spectrum) -> Curve:
        """The inverse of `to_json`; null is NaN."""
        names = ("ell", "measured", "error", "expected", "expected_error", "scale")
        numbers = {name: np.array(found[name], float) for name in names}
        limits = np.array([found["ell_min"], found["ell_max"]], float)
        tested = np.array(found["tested"])
        shapes = {values.shape for values in (*limits, *numbers.values(), tested)}
        if len(shapes) != 1 or tested.dtype != bool:
            raise ValueError(f"{spectrum.name}: its lists do not belong together")
        return cls(
            spectrum=spectrum, limits=limits, tested=tested, compared=found["compared"], **numbers
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Response:
    """The response of a quadratic estimate to κ; 1 if all is right.

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

    def to_json(self) -> dict[str, Any]:
        """Returns all numbers, as JSON's types."""
        return {
            "pair": self.pair,
            "L_min": _to_list(self.limits[0]),
            "L_max": _to_list(self.limits[1]),
            "response": _to_list(self.value),
            "error": _to_list(self.error),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Response:
        """The inverse of `to_json`."""
        limits = np.array([found["L_min"], found["L_max"]], float)
        value, error = (np.array(found[name], float) for name in ("response", "error"))
        return cls(found["pair"], limits, value, error)


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """The verdict on a dataset.

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
        """Says whether every test passed."""
        return not self.failures

    @property
    def failures(self) -> list[Test]:
        """The tests that did not."""
        return [test for test in self.tests if not test.passed]

    def to_json(self, dataset_version: str) -> dict[str, Any]:
        """Returns what the file holds.

        Args:
          dataset_version: of the data.

        Returns:
          `schema`: see `SCHEMA`. `dataset`, `dataset_version`, `config` (all its fields),
          `num_examples` (of each split), `passed`, `false_alarm_rate` (of all tests together).
          `tests`: objects with `name`, `passed`, `statistic` (text), `p_value` (null for a test
          without chance), `message`. `spectra`: objects with `name`, `nyquist` (whether over the
          grid's Nyquist row and column, in this order, rather than rings), `compared` (whether it
          is tested), `mean_deviation` (the mean of |measured - expected| / scale over tested bins),
          `chance_deviation` (what that is by the scatter of the examples alone), and lists with a
          number a bin: `ell` (mean multipole), `ell_min`, `ell_max`, `measured`, `error`,
          `expected`, `expected_error`, `scale` (sqrt(C11 C22)) in µK² sr, µK sr or sr, and
          `tested`. `responses`: objects with `pair`, and lists `L_min`, `L_max`, `response`,
          `error`. `numbers`: `name` and `words` of what is not judged. Numbers that are not finite
          are null.
        """
        return {
            "schema": SCHEMA,
            "dataset": f"lensing/{self.config.name}",
            "dataset_version": dataset_version,
            "config": self.config.to_json(),
            "num_examples": dict(self.num_examples),
            "passed": self.passed,
            "false_alarm_rate": FALSE_ALARMS,
            "tests": [test.to_json() for test in self.tests],
            "spectra": [curve.to_json() for curve in self.curves],
            "responses": [response.to_json() for response in self.responses],
            "numbers": [{"name": name, "words": words} for name, words in self.numbers],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any], source: str) -> Verdict:
        """The inverse of `to_json`.

        Args:
          found: the JSON object.
          source: where it is from, the error's first words.

        Raises:
          LensingError: it is not a verdict, or one of another schema, or contradicts itself.
        """
        again = "write it again by python -m pipelines.validate"
        try:
            if found["schema"] != SCHEMA:
                raise LensingError(
                    f"{source} has the schema {found['schema']!r}, not {SCHEMA}: {again}"
                )
            config = LensingConfig.from_json(found["config"])
            spectra = {spectrum.name: spectrum for spectrum in Observables(config, 2).spectra}
            verdict = cls(
                config,
                {split: int(count) for split, count in found["num_examples"].items()},
                tuple(Test(**test) for test in found["tests"]),
                tuple(Curve.from_json(one, spectra[one["name"]]) for one in found["spectra"]),
                tuple(map(Response.from_json, found["responses"])),
                tuple((number["name"], number["words"]) for number in found["numbers"]),
            )
            if verdict.passed != found["passed"]:
                raise ValueError("its tests and its result differ")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, LensingError):
                raise
            raise LensingError(f"{source} is not a verdict ({error}): {again}") from error
        return verdict


def _to_list(values: NDArray[np.float64]) -> list[float | None]:
    return [_finite(value) for value in values.tolist()]


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
