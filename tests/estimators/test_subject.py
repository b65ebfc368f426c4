"""Anything with a subject's members is judged and reported: no run and no file is needed."""

import json
from pathlib import Path
from typing import ClassVar

import pytest

from estimators import checks, results
from estimators.dataset import Dataset
from estimators.estimator import Estimator
from estimators.judge import judge
from estimators.references import references
from estimators.reports.page import Html
from estimators.subject import Subject, SubjectDescription
from lensing_tfds.errors import LensingError


class QuadraticSubject:
    """The quadratic estimator of a dataset, as what is judged."""

    name = "QE TT"
    split = None
    estimates_any_map = True
    caution = "Calibrated on few examples."
    fingerprint: ClassVar[dict[str, str]] = {}

    def __init__(self, workdir: Path, dataset: Dataset):
        self.workdir, self.dataset = workdir, dataset

    def estimator(self, split: str, num_examples: int) -> Estimator:
        _, filtered, *_ = references(
            self.dataset.ensemble, lambda: self.dataset.batches("train", 50), "50 examples"
        )
        return filtered

    def describe(self) -> SubjectDescription:
        section = Html("<h2>Its weights</h2>")
        return SubjectDescription("A <lead>.", (("1", "tile"),), section, {}, ("make it",), "--qe")


@pytest.fixture(name="subject")
def subject_fixture(tmp_path, tiny, data_dir):
    dataset = Dataset.open(tiny, data_dir, None, "the one of the tests")
    return QuadraticSubject(tmp_path, dataset)


def test_a_quadratic_estimator_is_judged_as_a_subject(subject):
    typed: Subject = subject
    evaluation = judge(typed, "validation", max_examples=8)
    page = results.write(typed, evaluation)
    metrics = json.loads((subject.workdir / "metrics-validation.json").read_text())
    assert (metrics["dataset"], metrics["model"]) == ("lensing/tiny", "QE TT")
    others = metrics["estimators"]
    assert "qe_tt_ordinary" in others and "qe_tt_ordinary_wiener" not in others  # it is that one
    assert "qe_tt_all_wiener" in others
    html = page.read_text()
    assert "<h2>Its weights</h2>" in html and "A &lt;lead&gt;." in html and "tile" in html
    assert "make it\npython -m trainer.evaluate --qe --split validation --max_examples 8" in html
    assert "Calibrated on few examples." in results.summary(typed, evaluation)


def test_a_subject_of_one_split_is_judged_on_no_other(subject):
    subject.split = "test"
    with pytest.raises(LensingError, match="holds predictions of test, not of validation"):
        judge(subject, "validation")


def test_a_subject_that_takes_its_own_maps_only_is_not_checked(subject):
    subject.estimates_any_map = False
    with pytest.raises(LensingError, match="--checks needs a run"):
        checks.require_possible(subject, 1000)


def test_the_dataset_is_known_by_its_config_and_version(tiny, data_dir, subject):
    assert (subject.dataset.name, subject.dataset.data_dir) == ("lensing/tiny", data_dir)
    assert subject.dataset.ensemble is subject.dataset.ensemble
    with pytest.raises(LensingError, match="is not the one: dataset_version: '0.1.0' -> "):
        Dataset.open(tiny, data_dir, "0.1.0", "the one")
    with pytest.raises(LensingError, match="lensing/tiny has no split 'tset'"):
        subject.dataset.num_examples("tset")
