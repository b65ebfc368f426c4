"""What metrics.json holds is what was measured, there and back; what is no metrics is named."""

import dataclasses
import json

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import lensing_tfds
from estimators.estimator import zero
from estimators.judge import judge_estimators
from estimators.metrics_json import Metrics, file_name
from estimators.reach import Forecasts, Reach
from estimators.uncertainty import measured_uncertainty
from lensing_tfds.errors import LensingError
from tests.estimators import skies

SKIES = [
    {"name": name, "map_correlation": 0.5, "map_correlation_error": 0.01}
    for name in ("unchanged", "κ x 0.8")
]
CHECKS = {"null_tests": {}, "out_of_distribution": {"network": {"rows": SKIES}}, "delensing": None}


@pytest.fixture(name="metrics", scope="module")
def metrics_fixture():
    kappa = skies.kappa_maps(30, np.random.default_rng(0))
    errors = measured_uncertainty([(kappa, 0.8 * kappa)], skies.ENSEMBLE.bands)
    (network,) = skies.oracle(0.8 * kappa)
    evaluation = judge_estimators(
        skies.batches(kappa),
        [dataclasses.replace(network, uncertainty=errors), zero()],
        skies.ENSEMBLE,
        "test",
        np.random.default_rng(0),
    )
    metrics = Metrics.of("lensing/small", "1x4-3", evaluation)
    assert metrics.forecast is None  # theory does not hold on these skies
    reach = Reach(0.6, np.linspace(0.9, 0.3, len(metrics.ell)))
    return dataclasses.replace(metrics, checks=CHECKS, forecast=Forecasts(reach, reach))


def test_there_and_back_nothing_changes(metrics):
    text = metrics.to_text()
    again = Metrics.from_json(json.loads(text))
    assert again.to_text() == text
    assert again.release == lensing_tfds.__version__
    assert np.isnan(again.estimators["zero"].measured["noise_ell"].value).all()
    assert list(again.other_skies("network")) == ["unchanged", "κ x 0.8"]
    assert again.other_skies("zero") == {}


def test_every_value_stands_beside_its_error(metrics):
    values = metrics.to_json()
    errors = {name.removesuffix("_error") for name in values if name.endswith("_error")}
    assert errors == {
        "mse", "zero_mse", "map_correlation", "true_cl", "estimate_cl", "cross_cl", "residual_cl",
        "rho_ell", "transfer_ell", "noise_ell",
    }  # fmt: skip
    assert errors < values.keys()
    covered = values["uncertainty"]
    kinds = ("coverage", "interval_score", "pixel_coverage")
    names = [f"{kind}_{level}" for level in (68, 95) for kind in kinds]
    assert list(covered) == [key for name in names for key in (name, f"{name}_error")]
    assert (
        len(covered["coverage_95"]) == len(covered["interval_score_68_error"]) == len(metrics.ell)
    )
    assert errors | {"difference", "difference_ell"} < values["estimators"]["zero"].keys()


def test_metrics_of_earlier_releases_are_read(metrics):
    values = json.loads(metrics.to_text())
    for name in ("normalised_share", "verdict"):
        del values["estimators"]["zero"][name]
    for name in ("difference_ell", "difference_ell_error"):
        del values["estimators"]["zero"][name]
    del values["forecast"], values["uncertainty"], values["spectra_measured_with"]
    del values["lensing_tfds_version"], values["share_of_map"]
    read = Metrics.from_json(values)
    assert read.share_of_map == 1
    assert (read.forecast, read.uncertainty) == (None, None)
    assert (read.spectra_measured_with, read.release) == ("NaMaster", None)
    estimator = read.estimators["zero"]
    assert (estimator.normalised_share, estimator.verdict) == (1.0, None)
    assert estimator.difference_ell is None


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("mse",), None, "'mse' is None, not of type float"),
        (("mse",), "0.1", "'mse' is '0.1'"),
        (("mse",), True, "'mse' is True"),
        (("share_of_map",), 0.0, "'share_of_map' is 0.0: must be above 0, at most 1"),
        (("num_examples",), 3.5, "'num_examples' is 3.5, not of type int"),
        (("dataset",), 7, "'dataset' is 7, not of type str"),
        (("ell",), [1.0], r"is not a list of 1 numbers"),
        (("ell_edges",), [1.0, 2.0], r"'ell_edges' is not a list of \d numbers"),
        (("ell_edges", 0), 10**400, r"'ell_edges' holds an integer of 401 digits"),
        (("rho_ell",), None, "'rho_ell' is None"),
        (("rho_ell", 0), None, r"'rho_ell' is not a list of \d numbers"),
        (("rho_ell_error",), [], r"'rho_ell_error' is not a list of \d numbers"),
        (("estimators",), [], r"'estimators' is \[\], not of type dict"),
        (("estimators", "zero"), 1, "estimators: 'zero': 1 is not an object"),
        (("estimators", "zero", "difference"), "", "estimators: 'zero': 'difference' is ''"),
        (("estimators", "zero", "difference_ell"), [], r"'difference_ell' is not a list of \d"),
        (("forecast",), [], r"'forecast' is \[\], not of type dict"),
        (("forecast", "iterated"), None, "'iterated' is None, not of type dict"),
        (("forecast", "iterated", "map_correlation"), 1.5, "'map_correlation' holds 1.5"),
        (("forecast", "quadratic", "rho_ell"), [0.5], r"'rho_ell' is not a list of \d numbers"),
        (("uncertainty",), 1, "'uncertainty' is 1, not of type dict"),
        (("uncertainty",), {}, "'coverage_68' is missing"),
        (("uncertainty", "coverage_68"), [0.7], r"'coverage_68' is not a list of \d numbers"),
        (("uncertainty", "coverage_95", 0), 1.5, "'coverage_95' holds 1.5, which is impossible"),
        (("uncertainty", "interval_score_68", 0), -1.0, "'interval_score_68' holds -1"),
        (("uncertainty", "pixel_coverage_68"), -0.1, "'pixel_coverage_68' holds -0.1"),
        (("checks",), 1, "checks: no table of other skies"),
        (("checks", "out_of_distribution"), [], "checks: no table of other skies"),
        (("checks", "out_of_distribution", "network"), {}, "checks: no table of other skies"),
        (("checks", "out_of_distribution", "network", "rows", 0), 1, "1 is not an object"),
    ],
)
def test_values_of_another_kind_are_named(metrics, path, value, line):
    values = json.loads(metrics.to_text())
    inner = values
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(LensingError, match=line):
        Metrics.from_json(values)


@hypothesis.given(st.data())
def test_no_edit_of_a_value_is_read_by_a_traceback(metrics, data):
    """Whatever stands in place of any value is read, or named by a LensingError."""
    values = json.loads(metrics.to_text())
    inner, key = values, data.draw(st.sampled_from(sorted(values)))
    while isinstance(inner[key], dict | list) and inner[key] and data.draw(st.booleans()):
        inner = inner[key]
        keys = sorted(inner) if isinstance(inner, dict) else range(len(inner))
        key = data.draw(st.sampled_from(keys))
    json_values = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.just(10**400)
        | st.floats(allow_nan=False)
        | st.text(),
        lambda inside: (
            st.lists(inside, max_size=2) | st.dictionaries(st.text(), inside, max_size=2)
        ),
        max_leaves=3,
    )
    if data.draw(st.booleans()) and isinstance(inner, dict):
        del inner[key]
    else:
        inner[key] = data.draw(json_values)
    try:
        Metrics.from_json(values)
    except LensingError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("above", [(), ("estimators", "zero")])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mse", -5.0), ("mse_error", -0.1), ("zero_mse", -1.0), ("map_correlation", 1e9),
        ("map_correlation", -1.1), ("rho_ell", 1e9), ("rho_ell", -1.01), ("rho_ell_error", -1.0),
        ("true_cl", -1.0), ("estimate_cl", -1.0), ("residual_cl", -1.0), ("noise_ell", -1.0),
    ],
)  # fmt: skip
def test_impossible_numbers_are_named(metrics, above, name, value):
    values = inner = json.loads(metrics.to_text())
    for key in above:
        inner = inner[key]
    inner[name] = [value, *inner[name][1:]] if isinstance(inner[name], list) else value
    with pytest.raises(LensingError, match=f"'{name}' holds .*, which is impossible: must be"):
        Metrics.from_json(values)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"num_examples": 1}, "'num_examples' is 1"),
        ({"ell_edges": lambda edges: edges[::-1]}, "'ell_edges' do not increase"),
        ({"ell": lambda ell: [1e9, *ell[1:]]}, "'ell' is not within the bands"),
        ({"num_modes": lambda modes: [0, *modes[1:]]}, "'num_modes' holds 0"),
        ({"expected_cl": lambda power: [-1.0, *power[1:]]}, "'expected_cl' holds -1"),
        ({"fingerprint": {"../best.keras": "0" * 64}}, "is not a file's name"),
        ({"fingerprint": {"best.keras": "0" * 63}}, "'best.keras' has no SHA-256 hash"),
        ({"fingerprint": {"best.keras": 1}}, "'best.keras' is 1, not of type str"),
    ],
)
def test_impossible_bands_and_hashes_are_named(metrics, fields, line):
    values = json.loads(metrics.to_text())
    for name, change in fields.items():
        values[name] = change(values[name]) if callable(change) else change
    with pytest.raises(LensingError, match=line):
        Metrics.from_json(values)


def test_an_impossible_correlation_on_other_skies_is_named(metrics):
    values = json.loads(metrics.to_text())
    values["checks"]["out_of_distribution"]["network"]["rows"][0]["map_correlation"] = 7.0
    with pytest.raises(LensingError, match="'map_correlation' holds 7"):
        Metrics.from_json(values)


def test_files_are_named_by_their_split():
    assert file_name("test") == "metrics.json"
    assert file_name("validation") == "metrics-validation.json"


def test_a_file_that_is_no_metrics_is_named(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text('{"dataset": 1, "dataset": 2}')
    with pytest.raises(LensingError, match=r"metrics.json: the key 'dataset' is there twice"):
        Metrics.read(path)
    path.write_text("{}")
    with pytest.raises(LensingError, match=r"metrics.json: 'ell' is missing"):
        Metrics.read(path)
