"""The report's section on the checks: null tests, other skies, delensing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from estimators.checks import Checks, verdict
from estimators.delensing.residual_b_modes import TRUE_KAPPA
from estimators.null_tests import NullTests
from estimators.out_of_distribution import OutOfDistribution
from estimators.reports import page
from estimators.reports.page import Html, element
from estimators.resampling import Measured, with_error

_NOTHING = {
    "unlensed": "response to κ of estimates from unlensed maps",
    "shuffled": "correlation with another example's κ",
    "curl": "correlation of the estimated rotation with κ",
}
_SYMMETRY = "rms change if the maps are turned or mirrored"
_NULL_TESTS = (
    "All values should be zero. p: the probability of values at least this far from zero, in all "
    "bands together, if nothing is wrong; below the number in the next column the test fails, "
    "which happens by chance just as often. A network need not have the symmetry: how far it is "
    "from it is measured, not tested."
)
_OTHER_SKIES = (
    "Each estimator on {:,} skies of each kind, simulated from the same random numbers with one "
    "thing changed; the estimator stays as it is. n_s: the primordial spectral index. Response: "
    "<κ̂κ>/<κκ> over all pixels. MSE: relative to estimating zero."
)
_DELENSING = (
    "What is left of the power of lensing's B modes at l = {:g} to {:g} when a template from the "
    "observed E modes and the estimate is subtracted, of {:,} skies: 1 without delensing. True κ "
    "is the limit of such a template. An estimate from this very B leaves far less of it than any "
    "forecast says, because its noise holds the same modes; on a real sky it would take primordial "
    "B modes with it. With its noise moved by half the patch, which then knows nothing of this B, "
    "it is comparable with the forecast."
)
_DELENSING_HEADS = ("", "B-mode power left", "with its noise moved", "forecast")
_FORECAST = {"quadratic": "QE, forecast", "iterated": "iterated QE, forecast"}

_NULL_HEADS = ("", "test", "value", "p", "fails below", "result")
_SKIES = "Skies off the training distribution"
_SKY_HEADS = ("", "skies", "map-level ρ", "its change", "response", "MSE")

_Row = tuple[object, ...]


def section(checks: Checks, labels: Mapping[str, str]) -> Html:
    """Returns the section.

    Args:
      checks: what was found.
      labels: of the estimators, by their names.
    """
    tests, tables = checks.null_tests, checks.out_of_distribution
    nulls = [row for name, found in tests.items() for row in _nulls(labels[name], found)]
    skies = [row for name, table in tables.items() for row in _skies(labels[name], table)]
    (number,) = {table.num_examples for table in tables.values()}
    other_skies = _OTHER_SKIES.format(number)
    parts = [
        _card("Null tests", page.grid(_NULL_HEADS, nulls, text=(0, 1, 5)), _NULL_TESTS),
        _card(_SKIES, page.grid(_SKY_HEADS, skies, text=(0, 1)), other_skies),
    ]
    if (delensing := checks.delensing) is not None:
        names = {**labels, TRUE_KAPPA: "true κ"}
        left = [
            (names[name], with_error(value), _with_error(delensing.moved_noise.get(name)), "")
            for name, value in delensing.residual.items()
        ]
        left += [(_FORECAST[n], "", "", f"{x:.4f}") for n, x in delensing.forecast.items()]
        note = _DELENSING.format(*delensing.l_range, delensing.num_examples)
        parts.append(_card("Delensing", page.grid(_DELENSING_HEADS, left), note))
    return page.section("Checks", page.below(*parts))


def _nulls(label: str, tests: NullTests) -> Iterable[_Row]:
    for test in (tests.unlensed, tests.shuffled, tests.curl):
        if test is not None:
            yield (
                label,
                _NOTHING[test.name],
                with_error(test.overall),
                f"{test.p_value:.2g}",
                f"{test.false_alarm_rate:g}",
                _verdict(test.passed),
            )
    worst, tolerance = max(tests.symmetry.relative_rms), tests.symmetry.tolerance
    allowed = "" if tolerance is None else f" (up to {tolerance:.1%})"
    yield label, _SYMMETRY, f"{worst:.1%}{allowed}", "", "", _verdict(tests.symmetry.passed)


def _skies(label: str, table: OutOfDistribution) -> Iterable[_Row]:
    for row in table.rows:
        yield (
            label,
            row.name,
            with_error(row.map_correlation),
            "" if row is table.rows[0] else with_error(row.correlation_change),
            with_error(row.response),
            f"{float(row.relative_mse.value):.1%}",
        )


def _verdict(passed: bool | None) -> Html:
    return element("span", verdict(passed), kind="failed" if passed is False else "")


def _with_error(measured: Measured | None) -> str:
    return "" if measured is None else with_error(measured)


def _card(title: str, table: Html, note: str) -> Html:
    return page.card(element("h3", title), table, element("p", note))
