"""Measured scores of the maximum a posteriori stand beside runs on the same skies, no others."""

import dataclasses
import json

import numpy as np
import pytest

from estimators.posterior import measured
from estimators.posterior.measured import measured_posterior
from estimators.reach import left_to_win
from estimators.reports import reach_figures
from lensing_tfds.versions import VERSIONS
from tests.estimators.test_reach import judged, network

FOUND = {
    "examples": 16,
    "edges": [0, 100, 400, 3500],
    "scores": {
        "maximum a posteriori": {
            "bands": {"value": [0.9, 0.8, 0.3], "error": [0.01, 0.02, 0.03]},
            "all": {"value": 0.6321, "error": 0.004},
        }
    },
    "forecast": {"bands": [0.95, 0.9, 0.4]},
}


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    path = tmp_path / "measured.json"
    path.write_text(json.dumps({"v11": FOUND}))
    monkeypatch.setattr(measured, "FILE", str(path))


def test_it_is_of_the_version_and_of_configs_of_the_same_sky():
    few = {"train": 9, "validation": 9, "test": 9}
    own = dataclasses.replace(VERSIONS["v11"], name="own", num_examples=few)
    for config in (VERSIONS["v11"], own):
        found = measured_posterior(config)
        assert found.num_examples == 16
        assert (found.map_correlation.value, found.map_correlation.error) == (0.6321, 0.004)
        np.testing.assert_array_equal(found.rho_ell.error, [0.01, 0.02, 0.03])
        assert 72 <= found.ell[0] < 100 < found.ell[1] < 400 < found.ell[2] < 3500


@pytest.mark.parametrize("change", [{"seed": 1}, {"noise_uK_arcmin": 2.0}, {"npix": 126}])
def test_of_other_skies_nothing_was_measured(change):
    assert measured_posterior(dataclasses.replace(VERSIONS["v11"], **change)) is None
    assert measured_posterior(VERSIONS["v12"]) is None


def test_the_report_shows_it_beside_the_forecast():
    evaluation = judged(VERSIONS["v11"], [network(1, np.random.default_rng(0))], n=2)
    assert "; MAP 0.6321; the forecast" in left_to_win(evaluation)
    above, below = reach_figures.reach(evaluation).axes
    (points,) = (c for c in above.containers if c.get_label() == "MAP, 16 skies")
    np.testing.assert_array_equal(points.lines[0].get_ydata(), [0.9, 0.8, 0.3])
    left = below.containers[-1].lines[0].get_ydata()
    np.testing.assert_allclose(left, [0.05, 0.1, 0.1])
