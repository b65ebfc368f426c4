"""Figures look alike, and can be told from one another without colour."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from estimators.reports import style


def test_no_two_series_look_the_same():
    looks = [style.series(number) for number in range(56)]
    assert len({look[:2] for look in looks}) == 56
    for first, second in itertools.combinations(looks[:7], 2):  # in a grey print
        assert first.marker != second.marker


@style.styled
def spectrum(low, high):
    figure = Figure()
    axes = figure.subplots()
    style.points(axes, style.series(0), [low, high], [1.0, 2.0])
    style.multipoles(axes)
    return figure


@pytest.mark.parametrize(
    ("low", "high"), [(2, 6000), (16, 50), (700, 900), (0.3, 4e4), (99, 101), (50, 50)]
)
def test_multipoles_have_round_numbers_that_do_not_crowd(low, high):
    figure = spectrum(low, high)
    style.save(figure, "svg")
    (axes,) = figure.axes
    left, right = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if left <= tick <= right]
    assert 2 <= len(shown) <= 12
    assert all(float(f"{tick:.4g}") == pytest.approx(tick, rel=1e-9) for tick in shown)
    texts = [text.get_text() for text in axes.get_xticklabels()]
    assert len(set(texts)) == len(texts) and not any("^" in text for text in texts)


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_equal_figures_give_equal_bytes(kind):
    assert style.save(spectrum(20, 3000), kind) == style.save(spectrum(20, 3000), kind)


def test_a_map_of_nothing_has_colours():
    for values in (np.zeros((4, 4)), np.full((4, 4), np.nan), np.full((4, 4), np.inf)):
        assert style.colour_limit(values) == 1.0
    assert style.colour_limit(np.array([[1.0, np.nan], [-2.0, 0.5]])) == pytest.approx(2, rel=0.01)


def test_no_page_needs_namaster_and_those_of_other_packages_no_judge():
    code = (
        "import sys, estimators.reports.page, estimators.reports.style;"
        "found = {'tensorflow', 'estimators.judge', 'trainer'} & sys.modules.keys();"
        "from estimators.reports import checks_section, comparison, figures, run_page;"
        "found |= {'pymaster', 'trainer'} & sys.modules.keys();"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
