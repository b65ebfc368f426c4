"""A group's account of itself is checked; the judge's file is read back, unless edited."""

import dataclasses
import json
import pathlib

import pytest

from estimators.benchmark.submission import FILE, Description
from estimators.benchmark.submission_reading import read_submission
from lensing_tfds.errors import LensingError

DOCS = pathlib.Path(__file__).parents[3] / "docs" / "submissions"

GOOD = {
    "name": "A Method, v2.1 (Größe)",
    "authors": "Doe et al.",
    "paper": "https://arxiv.org/abs/1234.56789",
    "code": None,
    "training": "the training split",
}


@pytest.fixture(name="submission")
def submission_fixture():
    theirs = read_submission(DOCS / "v11-quadratic-estimator.json")
    description = Description.from_json(GOOD, "good")
    metrics = dataclasses.replace(theirs.metrics, model=description.name)
    return dataclasses.replace(theirs, description=description, metrics=metrics)


def written(submission, folder):
    path = folder / submission.file_name
    path.write_text(submission.to_text(), "utf-8")
    return path


def test_what_is_written_is_read_back(submission, tmp_path):
    path = written(submission, tmp_path)
    assert path.name == "v11-a-method-v2.1-gr-e.json"
    assert read_submission(path).to_text() == path.read_text("utf-8")


def test_an_edited_file_is_refused(submission, tmp_path):
    path = written(submission, tmp_path)
    path.write_text(path.read_text("utf-8").replace('"rho": 0.7', '"rho": 0.9'), "utf-8")
    with pytest.raises(LensingError, match="was edited or damaged: its sha256 is of another"):
        read_submission(path)


@pytest.mark.parametrize("field", ["protocol_version", "dataset_version"])
def test_another_protocol_or_other_data_are_refused(submission, tmp_path, field):
    path = written(dataclasses.replace(submission, **{field: "0.9"}), tmp_path)
    with pytest.raises(LensingError, match="0.9.*judge again"):
        read_submission(path)


def test_a_file_of_another_name_is_refused(submission, tmp_path):
    path = written(submission, tmp_path).rename(tmp_path / "other.json")
    with pytest.raises(LensingError, match=r"should be called v11-a-method-v2.1-gr-e.json"):
        read_submission(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": ""}, "'name' is '': must be a line of 1 to 60 characters"),
        ({"name": "x" * 61}, "'name' is"),
        ({"name": "方法 κ ..."}, "with a letter a–z or a digit for its file"),
        ({"authors": "a\nb"}, "'authors' is"),
        ({"training": 3}, "'training' is 3"),
        ({"paper": "arXiv:1234"}, "'paper' is 'arXiv:1234': must be an address"),
        ({"code": "https://x.org/a b"}, "'code' is"),
        ({"code": "javascript:alert(1)"}, "'code' is"),
        ({"extra": 1}, "'extra' is unknown: write {"),
    ],
)
def test_a_bad_description_is_refused(changed, message, tmp_path):
    (tmp_path / FILE).write_text(json.dumps(GOOD | changed), "utf-8")
    with pytest.raises(LensingError) as raised:
        Description.read(tmp_path)
    assert message in str(raised.value) and str(tmp_path / FILE) in str(raised.value)


def test_a_missing_description_or_field_is_named(tmp_path):
    with pytest.raises(LensingError, match=f"has no {FILE} that says whose maps these are"):
        Description.read(tmp_path)
    (tmp_path / FILE).write_text(json.dumps({k: GOOD[k] for k in GOOD if k != "paper"}), "utf-8")
    with pytest.raises(LensingError, match="'paper' is missing: write"):
        Description.read(tmp_path)
