"""Every figure of a report is drawn, whatever the numbers and the names are."""

import dataclasses
import warnings

import numpy as np
import pytest

from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.judge import Gallery, Judged, PixelHistogram, judge_estimators
from estimators.reports import figures, reach_figures, style
from estimators.resampling import Measured
from tests.estimators import skies

NASTY = {
    "negative": lambda n: -np.arange(1.0, n + 1),
    "zero": np.zeros,
    "not a number": lambda n: np.full(n, np.nan),
    "infinite": lambda n: np.full(n, np.inf),
    "huge": lambda n: np.full(n, 1e308),
    "tiny": lambda n: np.full(n, 5e-324),
    "of all kinds": lambda n: np.resize([np.nan, 1.0, -np.inf, 0.0, -3e200, 1e-9, 40.0], n),
    "but one good": lambda n: np.where(np.arange(n) == 0, 0.3, np.nan),
}
NAMES = [r"$\frac{$", "<script>alert(1)</script>", "a \"quoted\" 'run'", "two\nlines", "_hidden"]
NAMES += ["x" * 300, "裏面 κ 🙂", "$x$", r"\$", "", "%s {0}", "\udcff", "a\x00b"]


@pytest.fixture(name="drawn")
def drawn_fixture():
    """Draws a figure as a page does; a warning is an error."""

    def draw(figure):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return style.save(figure, "png", dpi=30)

    return draw


@pytest.fixture(name="evaluation", scope="module")
def evaluation_fixture():
    """A network beside estimators of all kinds, on skies where each is there in two groups."""
    kappa = skies.kappa_maps(6, np.random.default_rng(0))
    (network,) = skies.oracle(kappa)
    ensemble, generator = SkyEnsemble.of(skies.CONFIG), np.random.default_rng(0)
    evaluation = judge_estimators(skies.batches(kappa), [network], ensemble, "test", generator)
    skill, judged = evaluation.skill, list(evaluation.judged)
    for group, said in (("_ordinary", ", ordinary modes"), ("_all", ", all modes")):
        for pairs in ("mv", "tt", "eb"):
            for end, filtered in (("", ""), ("_wiener", ", Wiener")):
                label = f"QE {pairs.upper()}{said}{filtered}"
                name = f"qe_{pairs}{group}{end}"
                judged.append(Judged(Estimator(name, label, network.predict, ""), skill))
    return dataclasses.replace(evaluation, judged=tuple(judged))


def with_values(evaluation, nasty, count=None):
    """The same, every number in it replaced; in the first bands only, if a count is given."""
    bands = evaluation.skill.bands
    bands = dataclasses.replace(bands, edges=bands.edges[: len(bands.ell[:count]) + 1])
    values = Measured(nasty(len(bands.ell)), nasty(len(bands.ell)))
    measured = {
        field.name: values
        for field in dataclasses.fields(evaluation.skill)
        if field.name.endswith(("_cl", "_ell"))
    }
    skill = dataclasses.replace(evaluation.skill, bands=bands, **measured)
    maps = nasty(256).reshape(1, 16, 16)
    counts = np.abs(nasty(81 * 81).reshape(81, 81))
    judged = tuple(Judged(judged.estimator, skill) for judged in evaluation.judged[::6])
    others = {other.estimator.name: maps for other in judged[1:]}
    return dataclasses.replace(
        evaluation,
        judged=judged,
        gallery=Gallery(np.arange(1), maps, maps, maps, others),
        histogram=PixelHistogram(evaluation.histogram.edges, counts),
    )


@pytest.mark.parametrize("count", [None, 1], ids=["all bands", "one band"])
@pytest.mark.parametrize("kind", NASTY)
def test_a_report_of_any_numbers_is_drawn(evaluation, drawn, kind, count):
    nasty = with_values(evaluation, NASTY[kind], count)
    for draw in (figures.maps, figures.spectra):
        drawn(draw(nasty, skies.CONFIG))
    for draw in (
        figures.correlation,
        figures.transfer,
        figures.pixels,
        figures.correlations,
        figures.responses,
        figures.noises,
        reach_figures.large_scales,
        reach_figures.reach,
    ):
        drawn(draw(nasty))
    edges = NASTY[kind](82)
    histogram = PixelHistogram(edges, nasty.histogram.counts)
    drawn(figures.pixels(dataclasses.replace(nasty, histogram=histogram)))


@pytest.mark.parametrize("epochs", [1, 2, 40])
@pytest.mark.parametrize("kind", NASTY)
def test_a_history_of_any_numbers_is_drawn(drawn, kind, epochs):
    names = ("loss", "val_loss", "map_correlation", "val_map_correlation")
    columns = {name: NASTY[kind](epochs) for name in names} | {"epoch": np.arange(1.0, epochs + 1)}
    figure = figures.history(columns, judged=1)
    drawn(figure)
    ticks = figure.axes[1].get_xticks()
    assert np.array_equal(ticks, np.round(ticks))


@pytest.mark.parametrize("logarithmic", [True, False])
@pytest.mark.parametrize("kind", NASTY)
@pytest.mark.parametrize("bands", [1, 7])
def test_runs_of_any_numbers_and_names_are_compared(drawn, kind, bands, logarithmic):
    ell, values = np.geomspace(20, 3000, bands), Measured(NASTY[kind](bands), NASTY[kind](bands))
    for names in (NAMES[:1], NAMES):
        drawn(figures.overlay(names, ell, [values] * len(names), r"$N_L$", logarithmic))
    drawn(figures.overlay(NAMES[:1], NASTY[kind](bands), [values], r"$N_L$", logarithmic))


def test_an_estimator_alone_is_compared_with_nothing(evaluation, drawn):
    alone = dataclasses.replace(evaluation, judged=evaluation.judged[:1])
    for draw in (figures.correlations, figures.responses, figures.noises):
        drawn(draw(alone))


def test_where_no_run_has_anything_to_show_the_figure_says_so(drawn):
    nothing = Measured(np.full(3, np.nan), np.full(3, np.nan))
    figure = figures.overlay(["weak"], np.array([20.0, 50, 90]), [nothing], r"$N_L$", True)
    assert "nothing to draw" in [text.get_text() for text in figure.axes[0].texts]


def test_as_many_runs_as_one_likes_are_compared(drawn):
    values, names = Measured(np.ones(3), np.ones(3)), [f"run {number}" for number in range(60)]
    figure = figures.overlay(names, np.array([20.0, 50, 90]), [values] * 60, "")
    drawn(figure)
    (legend,) = figure.legends
    height = legend.get_window_extent().height
    assert height < figure.bbox.height


def test_names_are_shown_as_they_are_and_told_apart(drawn):
    values = Measured(np.ones(3), np.ones(3))
    figure = figures.overlay(NAMES, np.array([20.0, 50, 90]), [values] * len(NAMES), "")
    (legend,) = figure.legends
    shown = [text.get_text() for text in legend.get_texts()]
    assert len(shown) == len(set(shown)) == len(NAMES)  # "_hidden" too
    assert r"\$\frac{\$" in shown and "<script>alert(1)</script>" in shown
    assert max(map(len, shown)) < 50
    assert drawn(figure)


def test_no_two_curves_of_a_comparison_look_the_same(evaluation):
    figure = figures.responses(evaluation)
    assert [axes.get_title() for axes in figure.axes] == ["Ordinary modes", "All modes"]
    for axes in figure.axes:
        looks = [
            (line.get_color(), line.get_marker(), line.get_linestyle(), line.get_markerfacecolor())
            for line in (container.lines[0] for container in axes.containers)
        ]
        assert len(looks) == 7 == len(set(looks))
        # Without colours: a marker for each pair, open and dashed if it is filtered.
        assert len({look[1:3] for look in looks}) == 7
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "network",
        *(f"QE {pair}{end}" for pair in ("MV", "TT", "EB") for end in ("", ", Wiener")),
    ]


def test_what_a_filter_does_not_change_is_drawn_once(evaluation):
    for figure in (figures.correlations(evaluation), figures.noises(evaluation)):
        shown = [text.get_text() for text in figure.legends[0].get_texts()]
        assert shown[:4] == ["network", "QE MV, Wiener", "QE TT, Wiener", "QE EB, Wiener"]


def test_the_truth_of_the_noise_figure_has_a_name(evaluation):
    (legend,) = figures.noises(evaluation).legends
    assert "true κ, $C_L$" in [text.get_text() for text in legend.get_texts()]


def test_what_could_not_be_normalised_is_not_drawn(evaluation):
    judged = tuple(
        dataclasses.replace(j, estimator=dataclasses.replace(j.estimator, normalised_share=0.0))
        if j.estimator.name.startswith("qe_tt")
        else j
        for j in evaluation.judged
    )
    hopeless = dataclasses.replace(evaluation, judged=judged)
    for draw in (figures.correlations, figures.responses, figures.noises):
        (legend,) = draw(hopeless).legends
        shown = [text.get_text() for text in legend.get_texts()]
        assert "QE MV, Wiener" in shown and not [name for name in shown if "TT" in name]


def test_the_legend_of_compared_runs_is_below_their_axes(drawn):
    values = Measured(np.ones(3), np.ones(3))
    figure = figures.overlay(["x" * 80, "b"], np.array([20.0, 50, 90]), [values] * 2, "")
    drawn(figure)
    box, axes = figure.legends[0].get_window_extent(), figure.axes[0].get_window_extent()
    assert box.y1 < axes.y0 and box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert axes.height > 200
