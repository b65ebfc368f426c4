"""A judge's file that was edited, and got a new hash of itself, is held to the protocol."""

import json
import pathlib

import pytest

from estimators.benchmark.submission_reading import read_submission
from lensing_tfds import strict_json
from lensing_tfds.errors import LensingError

DOCS = pathlib.Path(__file__).parents[3] / "docs" / "submissions"
NAME = "v11-iterated-estimator.json"


def resealed(folder, edit, name=NAME):
    """Edits a file of the leaderboard as somebody would who knows how its hash is made."""
    values = json.loads((DOCS / name).read_text("utf-8"))
    edit(values)
    values["sha256"] = strict_json.digest({k: v for k, v in values.items() if k != "sha256"})
    path = folder / name
    path.write_text(json.dumps(values), "utf-8")
    return path


def kept(found, known):
    """Content of a file as a reader has it, less the keys that a later release has added."""
    if isinstance(found, dict):
        return {name: kept(value, known[name]) for name, value in found.items()}
    if isinstance(found, list):
        return [kept(*pair) for pair in zip(found, known, strict=True)]
    return known


def test_the_files_of_the_leaderboard_lose_nothing_when_they_are_read():
    paths = sorted(DOCS.glob("*.json"))
    assert len(paths) > 10
    for path in paths:
        values = json.loads(path.read_text("utf-8"))
        del values["sha256"]
        assert kept(values, read_submission(path).to_json()) == values


def test_a_new_hash_alone_changes_nothing(tmp_path):
    read = read_submission(resealed(tmp_path, lambda values: None))
    assert read.to_text() == read_submission(DOCS / NAME).to_text()


def at(*keys, value):
    """An edit of one place; the last key is one to delete where the value is `KeyError`."""

    def edit(values):
        for key in keys[:-1]:
            values = values[key]
        if value is KeyError:
            del values[keys[-1]]
        else:
            values[keys[-1]] = value

    return edit


METRICS, SKIES, B = "metrics", "other_skies", "delensing"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (at("protocol_version", value="2"), "version is 2, and the protocol's is 1: judge again"),
        (at("extra", value=1), "'extra' is unknown"),
        (at(METRICS, "extra", value=1), "metrics: 'extra' is unknown"),
        (at(METRICS, "forecast", "iterated", "extra", value=1), "iterated: 'extra' is unknown"),
        (at(METRICS, "uncertainty", "coverage_50", value=[0.5]), "'coverage_50' is unknown"),
        (at("named_bands", "large", "sigma", value=1), "large: 'sigma' is unknown"),
        (at(SKIES, "rows", 1, "extra", value=1), "rows: 'extra' is unknown"),
        (at(B, "extra", value=1), "delensing: 'extra' is unknown"),
        (at(SKIES, value=KeyError), "'other_skies' is missing"),
        (at("submission", value=[]), r"'submission' is \[\], not of type dict"),
        (at("submission", "url", value="https://x.org"), "submission: 'url' is unknown"),
        (at(METRICS, "split", value="validation"), "'split' is 'validation': must be 'test'"),
        (at(METRICS, "dataset", value="lensing/v8"), "'lensing/v8': must be lensing/v9 or v10"),
        (at(METRICS, "num_examples", value=501), "'num_examples' is 501: lensing/v11 has 500"),
        (at(METRICS, "num_examples", value=1), "'num_examples' is 1: must be at least 2"),
        (at(METRICS, "num_examples", value=100.0), "'num_examples' is 100.0, not of type int"),
        (at(METRICS, "share_of_map", value=0.5), "'share_of_map' is 0.5: the maps of v11 have no"),
        (at(METRICS, "model", value="other"), "'model' is 'other', and the submission's 'name'"),
        (at(METRICS, "map_correlation", value=1.5), "'map_correlation' holds 1.5.*impossible"),
        (at(METRICS, "map_correlation", value="0.7"), "'map_correlation' is '0.7', not of type"),
        (at(METRICS, "rho_ell", 0, value=2), "'rho_ell' holds 2, which is impossible"),
        (at(METRICS, "map_correlation_error", value=-1), "must be at least 0"),
        (at(METRICS, "ell_edges", 0, value=35.0), "'ell_edges' are not the protocol's of v11"),
        (at(METRICS, "num_modes", 0, value=99), "'ell' or 'num_modes' are not those of the bands"),
        (at(METRICS, "fingerprint", value=None), "the hashes of what was judged, are missing"),
        (at(METRICS, "checks", value={"out_of_distribution": {}}), "'checks' not null"),
        (at("named_bands", "large", "rho", value=1.2), "'rho' holds 1.2, which is impossible"),
        (at("named_bands", "large", "rho", value=0.99), r"'large' is \+0.00\d+ off the 0.98"),
        (at("named_bands", "small", value=KeyError), r"'named_bands' are \['large', 'middle',"),
        (at(SKIES, "num_examples", value=500), "'num_examples' is 500: must be 200"),
        (at(SKIES, "rows", 1, "name", value="κ x 2"), "the rows are of .*'κ x 2'.*: must be of"),
        (at(SKIES, "rows", 1, "map_correlation", value=-1.5), "other_skies: 'map_correlation'"),
        (at(SKIES, "rows", 1, "correlation_change", value=0.3), "of 'κ x 1.2' is not 0.02"),
        (at(SKIES, "rows", value=3), "other_skies: 'rows' is 3, not of type list"),
        (at(B, value=None), "delensing: must not be null for v11"),
        (at(B, "residual", value=-0.1), "delensing: 'residual' holds -0.1"),
        (at(B, "num_examples", value=100), "delensing: 'num_examples' is 100: must be 200"),
        (at(B, "l_range", value=[2, 30]), r"'l_range' is \[2.0, 30.0\]: must be \[100.0, 1000.0\]"),
    ],
)
def test_what_the_judge_does_not_write_is_named_in_one_line(edit, message, tmp_path):
    path = resealed(tmp_path, edit)
    with pytest.raises(LensingError, match=f"{NAME} is not a judged submission: .*{message}") as e:
        read_submission(path)
    assert str(e.value).startswith(str(path)) and "\n" not in str(e.value)


def test_b_modes_of_temperature_alone_are_refused(tmp_path):
    of_v11 = json.loads((DOCS / NAME).read_text("utf-8"))[B]
    path = resealed(tmp_path, at(B, value=of_v11), "v9-quadratic-estimator.json")
    with pytest.raises(LensingError, match="delensing: must be null for v9"):
        read_submission(path)
