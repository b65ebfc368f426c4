"""The checks of a judged run, beyond its scores: `python -m trainer.evaluate --checks`.

In metrics.json `checks` holds

    null_tests          an object an estimator: see `null_tests.NullTests.to_json`
    out_of_distribution an object an estimator: see `out_of_distribution.OutOfDistribution.to_json`
    delensing           see `residual_b_modes.Delensing.to_json`; null where there are no B modes
                        to delens

The network is checked, and the best Wiener-filtered quadratic estimator that it was judged beside,
if that could be normalised. Delensing is measured for every filtered estimator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.baselines import is_baseline
from estimators.delensing.residual_b_modes import Delensing, residual_b_modes
from estimators.ensemble import SkyEnsemble
from estimators.estimator import network
from estimators.judge import Evaluation
from estimators.null_tests import CurlEstimator, NullTests, null_tests, require_enough
from estimators.out_of_distribution import OutOfDistribution, out_of_distribution
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from estimators.resampling import with_error
from estimators.subject import Subject
from lensing_tfds import realism
from lensing_tfds.errors import LensingError

_MAX_EXAMPLES = 200
"""Of each kind of skies: errors of a few per cent of the scores, in minutes."""

_ROUNDING = 1e-3  # of a quadratic estimate in single precision, generously


@dataclasses.dataclass(frozen=True, eq=False)
class Checks:
    """The results.

    Attributes:
      null_tests: by the estimator's name.
      out_of_distribution: likewise.
      delensing: None where there are no B modes to delens.
    """

    null_tests: Mapping[str, NullTests]
    out_of_distribution: Mapping[str, OutOfDistribution]
    delensing: Delensing | None

    def to_json(self) -> dict[str, Any]:
        """Returns what metrics.json holds of them, as the module's docstring lists it."""
        return {
            "null_tests": {name: tests.to_json() for name, tests in self.null_tests.items()},
            "out_of_distribution": {
                name: table.to_json() for name, table in self.out_of_distribution.items()
            },
            "delensing": None if self.delensing is None else self.delensing.to_json(),
        }


def require_possible(subject: Subject, num_examples: int) -> None:
    """Refuses checks that could not be made, before any work is done.

    Args:
      subject: what would be checked.
      num_examples: how many examples there are for it.

    Raises:
      LensingError: it cannot estimate κ of new maps, or there are too few examples for the null
        tests.
    """
    if not subject.estimates_any_map:
        raise LensingError(
            "--checks needs a run: null tests and other skies ask for estimates of new maps, "
            "which a folder of predictions does not hold"
        )
    require_enough(num_examples)


def check(subject: Subject, evaluation: Evaluation) -> Checks:
    """Runs all checks on a judged subject, on 200 of the examples it was judged on, or fewer.

    Args:
      subject: what is checked.
      evaluation: how it was judged, and beside what.

    Raises:
      LensingError: the checks are not possible, or an estimate is not finite.
    """
    ensemble, split = evaluation.ensemble, evaluation.split
    lensing = ensemble.config
    number = min(evaluation.skill.num_examples, _MAX_EXAMPLES)
    require_possible(subject, number)

    def batches() -> Iterator[dict[str, NDArray]]:
        return subject.dataset.batches(split, number)

    # What could not be normalised is next to zero, and zero passes every null test.
    filtered = [
        other.estimator
        for other in evaluation.others
        if is_baseline(other) and other.estimator.is_normalised
    ]
    first = evaluation.judged[0].estimator
    tests, tables = {}, {}
    for estimator in (first, *filtered[:1]):
        # Where weights are measured, a quadratic estimator has the symmetry of what it saw.
        exact = estimator is not first and realism.estimator_theory_holds(lensing)
        tests[estimator.name] = null_tests(
            batches(),
            estimator,
            ensemble,
            np.random.default_rng(0),
            _curl_estimator(ensemble) if exact else None,
            _ROUNDING if exact else None,
        )
        tables[estimator.name] = out_of_distribution(
            estimator, ensemble, range(number), np.random.default_rng(0), split
        )
    delensing = None
    if realism.b_is_lensings(lensing):
        delensing = residual_b_modes(
            batches(), [first, *filtered], ensemble, np.random.default_rng(0), split
        )
    return Checks(tests, tables, delensing)


def summary(checks: Checks) -> str:
    """Returns the results in some lines of text."""
    lines = []
    for name, tests in checks.null_tests.items():
        lines.append(f"null tests of {name}")
        for test in (tests.unlensed, tests.shuffled, tests.curl):
            if test is not None:
                lines.append(
                    f"  {test.name:9}  {verdict(test.passed)}  {with_error(test.overall)}, "
                    f"p = {test.p_value:.2g} (fails below {test.false_alarm_rate:g})"
                )
        worst = max(tests.symmetry.relative_rms)
        lines.append(
            f"  symmetry   {verdict(tests.symmetry.passed)}  turned maps change the estimate by "
            f"{worst:.1%} rms"
        )
    for name, table in checks.out_of_distribution.items():
        lines.append(f"{name:14}  map-level rho     its change        response          MSE")
        for row in table.rows:
            lines.append(
                f"  {row.name:12}  {with_error(row.map_correlation)}  "
                f"{with_error(row.correlation_change)}  {with_error(row.response)}  "
                f"{float(row.relative_mse.value):.1%}"
            )
    if checks.delensing is not None:
        low, high = checks.delensing.l_range
        lines.append(f"lensing B modes left, l = {low:g} to {high:g}")
        for name, left in checks.delensing.residual.items():
            moved = checks.delensing.moved_noise.get(name)
            comparable = "" if moved is None else f"  noise moved: {with_error(moved)}"
            lines.append(f"  {name:20}  {with_error(left)}{comparable}")
        for name, expected in checks.delensing.forecast.items():
            lines.append(f"  forecast, {name:10}                   noise moved: {expected:.4f}")
    return "\n".join(lines)


def verdict(passed: bool | None) -> str:
    """Names the outcome of a test: passed, failed, or (None) measured without a limit."""
    return {None: "measured", True: "passed", False: "FAILED"}[passed]


def _curl_estimator(ensemble: SkyEnsemble) -> CurlEstimator:
    """The rotation from EB, or from TT where there is no polarization."""
    lensing = ensemble.config
    sky, pair = lensing.sky, "EB" if "Q" in lensing.channels else "TT"
    observation = Observation.of(lensing, ensemble.theory)
    quadratic = QuadraticEstimator(pair, observation, curl=True)

    def predict(lensed: NDArray[np.float32]) -> NDArray[np.floating]:
        fields = fields_of(lensed, lensing.channels, sky)
        return sky.to_map(quadratic.kappa(fields))[..., None]

    return CurlEstimator(network(predict, f"curl {pair}"), quadratic.noise)
