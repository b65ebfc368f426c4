"""The report's section on the checks: what should be nothing, other skies, delensing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from estimators.checks import Checks, verdict
from estimators.delensing import TRUE_KAPPA, Delensing
from estimators.null_tests import NullTests
from estimators.out_of_distribution import OutOfDistribution
from estimators.resampling import with_error

_NOTHING = {
    "unlensed": "response to κ of estimates from unlensed maps",
    "shuffled": "correlation with another example’s κ",
    "curl": "correlation of the estimated rotation with κ",
}
_SYMMETRY = "rms change if the maps are turned or mirrored"
_NULL_TESTS = (
    "All should be zero. p: how likely values so far from zero are if nothing is wrong, in all "
    "bands together; a test fails below its false-alarm rate, that is, so often by chance. No "
    "symmetry is asked of a network: how far it is from having one is measured."
)
_OTHER_SKIES = (
    "Each estimator on {:,} skies of each kind, simulated from the same random numbers with one "
    "thing changed, of which it is not told. n_s: the primordial spectral index. Response: "
    "<κ̂κ>/<κκ> over all pixels. MSE: relative to estimating zero."
)
_DELENSING = (
    "What is left of the power of lensing's B modes at l = {:g} to {:g} when a template from the "
    "observed E modes and the estimate is subtracted, of {:,} skies: 1 without delensing. True κ "
    "is the limit of such a template."
)

Row = tuple[str, Sequence[str]]
"""A head and its cells, all HTML."""


def section(checks: Checks, labels: Mapping[str, str]) -> str:
    """Returns the section as HTML.

    Args:
      checks: what was found.
      labels: of the estimators, by their names; plain text.
    """
    shown = {name: escape(label) for name, label in labels.items()}
    nulls = [
        row for name, tests in checks.null_tests.items() for row in _null_rows(shown[name], tests)
    ]
    tables = checks.out_of_distribution
    skies = [row for name, table in tables.items() for row in _sky_rows(shown[name], table)]
    (number,) = {table.num_examples for table in tables.values()}
    cards = [
        _card("Null tests", ("", "value", "p", "fails below", "result"), nulls, _NULL_TESTS),
        _card(
            "Skies off the training distribution",
            ("", "map-level ρ", "its change", "response", "MSE"),
            skies,
            _OTHER_SKIES.format(number),
        ),
    ]
    if checks.delensing is not None:
        cards.append(_delensing_card(checks.delensing, shown))
    return f'<h2>Checks</h2>\n<div class="stack">{"".join(cards)}</div>'


def _null_rows(label: str, tests: NullTests) -> Iterable[Row]:
    for test in (tests.unlensed, tests.shuffled, tests.curl):
        if test is not None:
            yield (
                f"{label}: {_NOTHING[test.name]}",
                (
                    with_error(test.overall),
                    f"{test.p_value:.2g}",
                    f"{test.false_alarm_rate:g}",
                    _verdict(test.passed),
                ),
            )
    worst, tolerance = max(tests.symmetry.relative_rms), tests.symmetry.tolerance
    allowed = "" if tolerance is None else f" (up to {tolerance:.1%})"
    yield (
        f"{label}: {_SYMMETRY}",
        (f"{worst:.1%}{allowed}", "", "", _verdict(tests.symmetry.passed)),
    )


def _sky_rows(label: str, table: OutOfDistribution) -> Iterable[Row]:
    for row in table.rows:
        unchanged = row is table.rows[0]
        yield (
            f"{label}: {escape(row.name)}",
            (
                with_error(row.map_correlation),
                "" if unchanged else with_error(row.correlation_change),
                with_error(row.response),
                f"{float(row.relative_mse.value):.1%}",
            ),
        )


def _delensing_card(delensing: Delensing, shown: Mapping[str, str]) -> str:
    names = {**shown, TRUE_KAPPA: "true κ"}
    rows = [(names[name], (with_error(left),)) for name, left in delensing.residual.items()]
    note = _DELENSING.format(*delensing.l_range, delensing.num_examples)
    return _card("Delensing", ("", "B-mode power left"), rows, note)


def _verdict(passed: bool | None) -> str:
    kind = "verdict failed" if passed is False else "verdict"
    return f'<span class="{kind}">{verdict(passed)}</span>'


def _card(title: str, heads: Iterable[str], rows: Iterable[Row], note: str) -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(
        f"<tr><th>{name}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for name, cells in rows
    )
    return (
        f'<div class="card"><h3>{title}</h3><table class="numbers estimators">'
        f"<tr>{head}</tr>{body}</table><p>{escape(note)}</p></div>"
    )
