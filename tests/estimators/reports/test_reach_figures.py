"""The picture of large scales shows what it says, on one scale; the curves are the judge's."""

import dataclasses
import math

import numpy as np
import pytest

from estimators.ensemble import SkyEnsemble
from estimators.reach import forecasts_of
from estimators.reports import reach_figures, style
from lensing_tfds.versions import VERSIONS
from tests.estimators import skies
from tests.estimators.test_reach import REAL, estimator, judged, network


@pytest.fixture(name="evaluation", scope="module")
def evaluation_fixture():
    rng = np.random.default_rng(1)
    others = [("qe_mv_wiener", "QE MV, Wiener"), ("qe_iterated_wiener", "iterated QE")]
    others = [estimator(name, label, 2, rng) for name, label in others]
    return judged(REAL, [network(1, rng), *others], n=6)


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_the_estimates_and_the_residual_stand_side_by_side_on_one_scale(evaluation):
    figure = reach_figures.large_scales(evaluation)
    assert titles(figure) == [
        "True κ", "QE MV", "Iterated QE", "Network", "Residual of the network",
    ]  # fmt: skip
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len({image.get_clim() for image in images}) == 1
    truth, *_, guess, residual = (image.get_array() for image in images)
    np.testing.assert_allclose(guess - truth, residual, atol=1e-6 * np.abs(truth).max())


@pytest.mark.parametrize(
    ("name", "cut"),
    [("v1", math.inf), ("v5", math.inf), ("v8", math.inf), ("v6", 1000), ("v11", 1000)],
)
def test_large_scales_are_those_below_1000_where_there_are_more_and_enough(name, cut):
    assert reach_figures.large_scale_limit(SkyEnsemble.of(VERSIONS[name])) == cut


def test_only_large_scales_are_shown(evaluation):
    config = dataclasses.replace(REAL, npix=64, lx=5.0)
    figure = reach_figures.large_scales(judged(config, [network(1, np.random.default_rng(0))], 2))
    assert titles(figure) == ["True κ", "Network", "Residual of the network"]
    assert [axes.get_xlabel() for axes in figure.axes][-1] == "κ at L < 1,000"
    for axes in figure.axes:
        for image in axes.images:
            modes = np.abs(np.fft.fft2(np.asarray(image.get_array())))
            high = skies.grid_multipoles(64, config.side) >= 1000
            assert modes[high].max() < 1e-4 * modes.max()


def test_the_curves_are_what_was_measured_beside_the_forecast(evaluation):
    figure = reach_figures.reach(evaluation)
    above, below = figure.axes
    drawn = {c.get_label(): c for c in above.containers}
    assert list(drawn)[:3] == ["network", "QE MV", "iterated QE"]
    forecast = forecasts_of(evaluation.ensemble).iterated.rho_ell
    rho = evaluation.skill.rho_ell.value
    np.testing.assert_array_equal(drawn["network"].lines[0].get_ydata(), rho)
    np.testing.assert_array_equal(drawn["forecast"].lines[0].get_ydata(), forecast)
    np.testing.assert_array_equal(below.containers[0].lines[0].get_ydata(), forecast - rho)
    assert all(below.containers[number].has_yerr for number in range(3))
    style.save(figure, "svg")


def test_without_a_forecast_there_is_one_panel():
    evaluation = judged(skies.CONFIG, [network(1, np.random.default_rng(0))], n=4)
    assert len(reach_figures.reach(evaluation).axes) == 1
