"""The pages of the benchmark are what the command makes of the protocol and the submissions."""

import dataclasses
import pathlib
import re

import numpy as np
import pytest

from benchmarks.leaderboard import benchmark_page, leaderboard_page, pages
from estimators.benchmark.delensed import BModesLeft
from estimators.benchmark.protocol import protocol
from estimators.benchmark.submission import Description, Submission
from estimators.benchmark.submission_reading import read_submission
from estimators.delensing.residual_b_modes import L_RANGE
from estimators.ensemble import SkyEnsemble
from estimators.judge import judge_estimators
from estimators.metrics_json import Metrics
from estimators.reach import Forecasts, Reach
from estimators.resampling import Measured
from lensing_tfds.errors import LensingError
from tests.estimators import skies

DOCS = pathlib.Path(__file__).parents[2] / "docs"


def test_the_pages_in_the_repository_are_the_ones_that_the_command_writes():
    for name, text in pages(DOCS).items():
        assert (DOCS / name).read_text("utf-8") == text, (
            f"run python -m benchmarks.leaderboard: {name}"
        )


def test_the_protocols_page_holds_its_facts():
    text = benchmark_page(protocol())
    for split in protocol().splits.values():
        for digest in split.arrays.values():
            assert digest.sha256 in text
        assert f"{split.ell_edges[-1]:.6g}" in text
    assert "v9, v10 and v12 has **the same κ**" in re.sub(r"\s+", " ", text)
    assert "$" not in text


def submission(name, noise, **changes):
    kappa = skies.kappa_maps(8, np.random.default_rng(0))
    estimate = kappa + noise * kappa.std() * np.random.default_rng(1).standard_normal(kappa.shape)
    evaluation = judge_estimators(
        skies.batches(kappa),
        skies.oracle(estimate),
        SkyEnsemble.of(skies.CONFIG),
        "test",
        np.random.default_rng(0),
    )
    return Submission(
        protocol().version,
        protocol().dataset_version,
        Description(name, "Doe | Roe <x>", None, "https://example.org", "all * of _it_"),
        {"large": Measured(np.array(0.51234), np.array(0.012))},
        None,
        BModesLeft(8, L_RANGE, Measured(0.25, 0.01), Measured(0.3, 0.01)),
        dataclasses.replace(Metrics.of("lensing/v11", name, evaluation), **changes),
    )


def test_the_best_is_first_and_what_is_not_there_is_a_dash():
    text = leaderboard_page(protocol(), [submission("worse", 0.1), submission("better", 0.01)])
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    assert [row.partition("]")[0] for row in rows] == ["| [better", "| [worse"]
    assert rows[0].split(" | ")[3] == "0.51(1)" and rows[0].endswith("– | – | – |")
    assert "](submissions/v11-better.json) | first 8 |" in rows[0]
    assert text.count("Nothing was submitted yet.") == 3


def test_what_others_wrote_stays_text():
    row = next(
        line
        for line in leaderboard_page(protocol(), [submission("a`b", 0.1)]).splitlines()
        if "Doe" in line
    )
    assert row.count("|") == 5 and "<" not in row and "*" not in row and "`" not in row


def test_a_score_beyond_the_forecast_is_said():
    reach = Reach(0.5, np.zeros(1))
    beyond = submission("lucky", 0.01, forecast=Forecasts(reach, reach))
    assert "**lucky** is 100% above the forecast" in leaderboard_page(protocol(), [beyond])
    reach = Reach(0.99, np.zeros(1))
    within = submission("able", 0.01, forecast=Forecasts(reach, reach))
    assert "above the forecast" not in leaderboard_page(protocol(), [within])


def test_a_damaged_submission_is_refused(tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    whole = submission("x", 0.1)
    (folder / whole.file_name).write_text(whole.to_text().replace("Doe", "Roe"), "utf-8")
    with pytest.raises(LensingError, match="v11-x.json was edited or damaged"):
        pages(tmp_path)


def test_lines_of_part_of_the_examples_come_last():
    whole = submission("whole", 0.1, num_examples=500)
    text = leaderboard_page(protocol(), [submission("part", 0.01), whole])
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    assert [row.partition("]")[0] for row in rows] == ["| [whole", "| [part"]
    assert "| 500 |" in rows[0] and "| first 8 |" in rows[1]


@pytest.mark.parametrize("number", [2, 31])
def test_a_line_of_few_examples_is_refused(tmp_path, number):
    folder = tmp_path / "submissions"
    folder.mkdir()
    one = read_submission(DOCS / "submissions" / "v11-maximum-a-posteriori.json")
    left = dataclasses.replace(one.b_modes_left, num_examples=number)
    metrics = dataclasses.replace(one.metrics, num_examples=number)
    few = dataclasses.replace(one, metrics=metrics, b_modes_left=left)
    (folder / few.file_name).write_text(few.to_text(), "utf-8")
    message = f"v11-maximum-a-posteriori.json is of {number} examples: a line has at least 32"
    with pytest.raises(LensingError, match=message):
        pages(tmp_path)


def test_files_that_differ_in_what_theory_says_are_refused(tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    for name in ("v11-quadratic-estimator.json", "v11-iterated-estimator.json"):
        one = read_submission(DOCS / "submissions" / name)
        if "iterated" in name:
            far = dataclasses.replace(one.metrics.forecast.iterated, map_correlation=0.9)
            forecast = dataclasses.replace(one.metrics.forecast, iterated=far)
            one = dataclasses.replace(
                one, metrics=dataclasses.replace(one.metrics, forecast=forecast)
            )
        (folder / name).write_text(one.to_text(), "utf-8")
    with pytest.raises(LensingError, match="differ in 'expected_cl' or 'forecast'.*v11"):
        pages(tmp_path)
