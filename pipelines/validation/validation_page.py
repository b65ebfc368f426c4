"""A verdict as lines of text, as JSON, and as a self-contained page with figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence

from matplotlib.figure import Figure

from estimators.reports import page, style
from estimators.reports.page import Html, element
from lensing_tfds.realism import follows_camb
from lensing_tfds.release import stamped
from pipelines.validation import figures
from pipelines.validation.observables import KAPPA
from pipelines.validation.outcome import FALSE_ALARMS, FILE, Curve, Test, Verdict
from pipelines.validation.response import tolerance

_SHOWN = ("lensed TT", "lensed EE", "lensed BB", "κκ")  # at the top, if tested

_LEAD = (
    "Binned spectra of all examples, their scatter over the examples, the pixels, and the response "
    "of quadratic estimators, against what the config and CAMB's table say they should be."
)
_POWERS = (
    "Points: the mean over examples, with standard errors. Lines: theory, averaged over each bin's "
    "own modes{}. Below: the difference in units of its error."
)
_NOT_TESTED = "; dashed where these maps need not follow it"
_DEVIATIONS = "The same, relative to theory, in per cent. Open: not tested."
_CROSSES = (
    "Cross-spectra as correlations, 1 at most. Lines: theory, zero for independent fields and for "
    "B with T or E. Below: the difference in units of its error."
)
_NYQUIST = (
    "Power on the grid's Nyquist row and column, which half-right code gets wrong by factors of "
    "two. Open: not tested."
)
_RESPONSE = (
    "Cross-spectrum of the quadratic estimate of κ, from the lensed map, with the κ of the label, "
    "over κ's own spectrum. A deflection of the wrong sign has −1."
)
_TOLERATED = " Shaded: what is tolerated, for terms beyond first order."
_ANY_POSITIVE = " Only its sign is tested on a config's own grid."
_OVERVIEW = (
    "Every tested spectrum, bin by bin: the difference from theory in units of its error. Grey: "
    "not tested, because nothing is expected there, rounding may matter or there are too few modes."
)


def lines(verdict: Verdict) -> Iterator[str]:
    """Yields all tests, then the numbers, as text."""
    names = [test.name for test in verdict.tests] + [name for name, _ in verdict.numbers]
    width = max(map(len, names))
    yield f"     {'':{width}}  {'statistic':>15}  {'p':>8}"
    for test in verdict.tests:
        mark = "ok  " if test.passed else "FAIL"
        statistic = f"{test.statistic:>15}  {_p_value(test):>8}"
        yield f"{mark} {test.name:{width}}  {statistic}  {test.message}"
    for name, words in verdict.numbers:
        yield f"     {name:{width}}  {words}"


def summary(verdict: Verdict) -> str:
    """One line: how many tests, and how sure they are."""
    failed = len(verdict.failures)
    result = (
        f"{failed} of {len(verdict.tests)} tests failed"
        if failed
        else (f"all {len(verdict.tests)} tests passed")
    )
    return f"{result}; a right dataset fails with a probability of {FALSE_ALARMS:.1%}"


def files(verdict: Verdict, dataset_version: str) -> dict[str, bytes]:
    """Returns the report's files by name: JSON, page, and the page's first figure as PNG."""
    content = {FILE: json.dumps(stamped(verdict.to_json(dataset_version)), indent=1).encode()}
    content["validation.html"] = render(verdict, dataset_version).encode()
    if verdict.curves:
        content["validation.png"] = style.save(figures.overview(verdict.curves), "png")
    return content


def render(verdict: Verdict, dataset_version: str) -> str:
    """Returns the page."""
    title = f"lensing/{verdict.config.name}, validated"
    tests = [
        (
            test.name,
            "ok" if test.passed else element("span", "off", kind="failed"),
            test.statistic,
            _p_value(test),
            test.message,
        )
        for test in verdict.tests
    ]
    table = page.grid(("test", "", "statistic", "p", "result"), tests, text=(0, 1, 4))
    dataset = page.settings(_dataset_rows(verdict, dataset_version))
    return page.document(
        title,
        page.head(title, _LEAD),
        page.tiles(_tiles(verdict)),
        _failures(verdict),
        *_figures(verdict),
        page.section("All tests", page.card(table, element("p", f"{summary(verdict)}."))),
        page.section("Measured, not judged", page.card(page.settings(verdict.numbers))),
        page.section("The dataset", page.card(dataset)),
    )


def _tiles(verdict: Verdict) -> Iterator[tuple[str, str]]:
    count = len(verdict.tests)
    failed = len(verdict.failures)
    yield ("passed" if not failed else f"{failed} failed", f"of {count} tests")
    yield f"{sum(verdict.num_examples.values()):,}", "examples: " + ", ".join(verdict.num_examples)
    for curve in verdict.curves:
        name = curve.spectrum.name
        if name in _SHOWN and curve.compared and curve.tested.any():
            yield (
                f"{curve.mean_deviation:.2%}",
                f"{name} off theory, mean over bins; by chance alone {curve.chance_deviation:.2%}",
            )


def _failures(verdict: Verdict) -> Html | str:
    if verdict.passed:
        return ""
    lines = (element("p", test.message) for test in verdict.failures)
    return element("div", element("b", "What is off."), *lines, kind="note")


def _figures(verdict: Verdict) -> Iterator[Html]:
    if not verdict.curves:
        return
    rings = [c for c in verdict.curves if not c.spectrum.nyquist]
    lensed = [c for c in rings if c.spectrum.first.feature == c.spectrum.second.feature == "lensed"]
    of_kappa = [c for c in rings if KAPPA in (c.spectrum.first, c.spectrum.second)]
    others = [c for c in rings if c not in lensed and c not in of_kappa]
    nyquist = [c for c in verdict.curves if c.spectrum.nyquist and c.tested.all()]
    note = _NOT_TESTED if any(not curve.compared for curve in lensed) else ""
    found: list[tuple[str, Callable[..., Figure], Sequence[Curve], str]] = [
        ("Lensed maps", figures.powers, _autos(lensed), _POWERS.format(note)),
        ("Lensed maps over theory", figures.deviations, _autos(lensed), _DEVIATIONS),
        ("Lensed maps, crossed", figures.crosses, _pairs(lensed), _CROSSES),
        ("κ", figures.powers, _autos(of_kappa), _POWERS.format("")),
        ("κ, crossed with the maps", figures.crosses, _pairs(of_kappa), _CROSSES),
        ("Unlensed maps", figures.powers, _autos(others), _POWERS.format("")),
        ("Unlensed maps over theory", figures.deviations, _autos(others), _DEVIATIONS),
        ("Unlensed maps, crossed", figures.crosses, _pairs(others), _CROSSES),
        ("Nyquist", figures.nyquist, nyquist, _NYQUIST),
    ]
    drawn = [
        page.figure(title, draw(curves), caption)
        for title, draw, curves, caption in found
        if any(curve.tested.any() for curve in curves)
    ]
    near_one = follows_camb(verdict.config)
    allowed = tolerance(verdict.config) if near_one else 0.0
    caption = _RESPONSE + (_TOLERATED if near_one else _ANY_POSITIVE)
    drawn.append(
        page.figure("Response to κ", figures.responses(verdict.responses, allowed), caption)
    )
    yield page.figure("All residuals", figures.overview(verdict.curves), _OVERVIEW, wide=True)
    yield page.section("Spectrum by spectrum", page.beside(*drawn))


def _autos(curves: Sequence[Curve]) -> list[Curve]:
    return [c for c in curves if c.spectrum.is_auto and c.tested.any()]


def _pairs(curves: Sequence[Curve]) -> list[Curve]:
    return [curve for curve in curves if not curve.spectrum.is_auto]


def _dataset_rows(verdict: Verdict, dataset_version: str) -> list[tuple[str, object]]:
    config = verdict.config
    return [
        ("dataset version", dataset_version),
        ("patch", f"{math.degrees(config.side):.4g}° on a side"),
        ("pixel", f"{config.pixel_arcmin:.4g}′"),
        ("Nyquist multipole", f"{config.sky.nyquist:.5g}"),
        *config.to_json().items(),
    ]


def _p_value(test: Test) -> str:
    return "" if test.p_value is None else f"{test.p_value:.2g}"
