"""The page of a validation is drawn whatever was measured, and shows what is tested."""

import warnings

import numpy as np
import pytest

from estimators.reports import style
from lensing_tfds.configs import LensingConfig
from pipelines.cards import validation as card
from pipelines.validation import figures, outcome, validation_page
from pipelines.validation.observables import Observables
from pipelines.validation.outcome import Curve, Response, Verdict
from tests.estimators.reports.test_figures import NASTY

CONFIG = LensingConfig("any", npix=32, lx=2.0, stokes="TQU", oversampling=2)
SPECTRA = Observables.of(CONFIG, 100).spectra
DRAWN = (figures.powers, figures.crosses, figures.deviations, figures.overview)


def curves_of(values, bins, compared=True, tested=True):
    def curve(spectrum):
        n = 2 if spectrum.nyquist else bins
        ell = np.geomspace(200, 2000, n)
        numbers = (values(n) for _ in range(5))
        limits = np.stack([ell / 1.1, ell * 1.1])
        return Curve(spectrum, ell, limits, *numbers, np.full(n, tested), compared)

    return [curve(spectrum) for spectrum in SPECTRA]


@pytest.mark.parametrize(
    ("bins", "compared", "tested"), [(1, True, True), (6, False, True), (6, True, False)]
)
@pytest.mark.parametrize("kind", NASTY)
def test_a_validation_of_any_numbers_is_drawn(kind, bins, compared, tested):
    found = curves_of(NASTY[kind], bins, compared, tested)
    limits = np.stack([np.geomspace(100, 900, bins), np.geomspace(200, 1800, bins)])
    response = Response("TT", limits, NASTY[kind](bins), NASTY[kind](bins))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for draw in DRAWN:
            style.save(draw(found[:3]), "png", dpi=30)
        nyquist = [curve for curve in found if curve.spectrum.nyquist]
        style.save(figures.nyquist(nyquist), "png", dpi=30)
        for responses in ([response], []):
            style.save(figures.responses(responses, 0.1), "png", dpi=30)


def test_no_two_spectra_of_a_figure_look_the_same():
    (above, _) = figures.crosses(curves_of(np.ones, 4)[:12]).axes
    lines = [
        container.lines[0]
        for container in above.containers
        if container.lines[0].get_marker() != "None"
    ]
    looks = {(line.get_color(), line.get_marker()) for line in lines}
    assert len(looks) == 12


def verdict(**fields):
    curves = tuple(curves_of(lambda n: np.full(n, 1.0), 6, **fields))
    tests = (outcome.Test("finite", True, "all <b>"), outcome.Test("κκ", False, "1 & 2 off"))
    return Verdict(CONFIG, {"train": 9}, tests, curves)


def test_what_is_off_is_said_first_and_escaped():
    html = validation_page.render(verdict(), "2.0.0")
    assert html.index("What is off.") < html.index("All tests") < html.index("all &lt;b&gt;")
    assert "<p>1 &amp; 2 off</p>" in html and "all <b>" not in html


def test_spectra_that_need_not_follow_theory_have_no_residuals():
    """Neither on the page nor on the card: they may be off by a hundred of their errors."""
    for compared in (True, False):
        found = verdict(compared=compared)
        (_, below) = figures.powers(
            [c for c in found.curves if c.spectrum.name == "lensed TT"]
        ).axes
        drawn = card.figure.__wrapped__(found).axes
        residuals = drawn[len(drawn) // 2 :]
        for axes in (below, *residuals):
            assert bool(axes.containers) == compared
            assert ("not compared" in [text.get_text() for text in axes.texts]) != compared
