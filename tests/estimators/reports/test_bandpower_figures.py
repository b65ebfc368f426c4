"""Figures of band powers show what was measured."""

import numpy as np
import pytest

from estimators.bandpowers.covariance import Covariance
from estimators.bandpowers.debiasing import Biases
from estimators.bandpowers.measurement import BandPowers
from estimators.bandpowers.rings import BandRings
from estimators.reports import bandpower_figures, style
from lensing_tfds.sky.flat_sky import FlatSky

BANDS = BandRings.given(FlatSky(32, 0.1), [60, 300, 600])


@pytest.fixture
def powers():
    ones, rings = np.ones(2), np.ones(BANDS.rings.num)
    biases = Biases(BANDS, 2e-8 * rings, rings, 1e-8 * rings, 0 * rings, False)
    values = {kind: np.array([2.1e-8, 1.8e-8]) for kind in ("auto", "cross", "tracer_cross")}
    covariance = Covariance(np.diag(np.full(6, 1e-18)), 50, 0.5)
    return BandPowers(
        "a network", "lensing/v11", biases, 4, values, 3e-8 * ones, 1e-8 * ones, 0 * ones,
        covariance, None, None, None,
    )  # fmt: skip


def test_points_stand_on_theory_and_residuals_in_sigmas(powers):
    above, below = bandpower_figures.band_powers(powers).axes
    theory = above.lines[0].get_ydata()
    np.testing.assert_allclose(theory, 0.2)
    np.testing.assert_allclose(above.containers[0].lines[0].get_ydata(), [0.21, 0.18])
    np.testing.assert_allclose(below.containers[0].lines[0].get_ydata(), [1.0, -2.0])
    assert {text.get_text() for text in above.get_legend().get_texts()} >= {"theory"}


def test_biases_that_are_not_there_are_not_drawn(powers):
    left, _ = bandpower_figures.biases(powers).axes
    labels = [text.get_text() for text in left.get_legend().get_texts()]
    assert labels == ["theory", "raw", "noise bias"]
    assert style.save(bandpower_figures.biases(powers), "png").startswith(b"\x89PNG")
