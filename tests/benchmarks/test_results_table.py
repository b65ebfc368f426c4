"""The table says what the metrics say: the best run of a version, beside the bars."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import results_table
from estimators.metrics_json import Metrics
from estimators.reach import Forecasts, Reach
from lensing_tfds.errors import LensingError
from tests.estimators import skies
from tests.estimators.test_reach import estimator, judged


@pytest.fixture(name="metrics", scope="module")
def metrics_fixture():
    rng = np.random.default_rng(0)
    names = ("network", "qe_tt_ordinary", "qe_tt_ordinary_wiener", "qe_eb_ordinary_wiener")
    names += ("qe_tt_all_wiener", "qe_iterated_ordinary_wiener", "qe_iterated_all_wiener", "zero")
    evaluation = judged(skies.CONFIG, [estimator(name, name, 1, rng) for name in names], n=4)
    found = Metrics.of("lensing/v7", "unet", evaluation)
    rho = dict(zip(names, (0.5, 0.9, 0.11, 0.8, 0.22, 0.33, 0.44, 0.0), strict=True))

    def with_rho(judged_one, name):
        measured = dict(judged_one.measured)
        measured["map_correlation"] = measured["map_correlation"]._replace(
            value=np.array(rho[name]), error=np.array(0.0123)
        )
        return dataclasses.replace(judged_one, measured=measured)

    others = {name: with_rho(one, name) for name, one in found.estimators.items()}
    return dataclasses.replace(with_rho(found, "network"), estimators=others)


def run(folder, metrics, dataset="lensing/v7", model="unet", rho=None):
    values = metrics.to_json() | {"dataset": dataset, "model": model}
    if rho is not None:
        values["map_correlation"] = rho
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(values))
    return folder


def test_the_best_run_of_a_version_stands_beside_the_bars(tmp_path, metrics):
    forecast = Forecasts(
        Reach(0.61, np.ones(len(metrics.ell))), Reach(0.62, np.ones(len(metrics.ell)))
    )
    ahead = dataclasses.replace(metrics, forecast=forecast)
    runs = [
        run(tmp_path / "own", metrics, "lensing/own"),
        run(tmp_path / "v11", ahead, "lensing/v11"),
        run(tmp_path / "worse", metrics, model="1x4-3", rho=0.4),
        run(tmp_path / "v7", metrics),
    ]
    lines = results_table.table(runs).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:5]]
    assert [row[0] for row in cells] == ["v7", "v11", "own"]
    assert cells[0][1:] == ["0.110", "0.220", "0.440", "", "0.500", "`unet`"]
    assert cells[1][4] == "0.620"
    assert lines[-1] == "Standard errors are at most 0.012."


def test_a_run_of_the_iterated_estimator_is_no_network(tmp_path, metrics):
    runs = [run(tmp_path / "closed", metrics, model="iterated", rho=0.7)]
    assert "| v7 | 0.110 | 0.220 | 0.700 |  |  |  |" in results_table.table(runs)
    runs.append(run(tmp_path / "unet", metrics))
    assert "| 0.700 |  | 0.500 | `unet` |" in results_table.table(runs)
    bars = results_table.table(runs, networks=False)
    assert "| v7 | 0.110 | 0.220 | 0.700 |  |\n" in bars and "network" not in bars


def test_what_could_not_be_normalised_has_no_score(tmp_path, metrics):
    name = "qe_tt_all_wiener"
    others = metrics.estimators | {
        name: dataclasses.replace(metrics.estimators[name], normalised_share=0.1)
    }
    folder = run(tmp_path / "v7", dataclasses.replace(metrics, estimators=others))
    assert "| 0.110 |  | 0.440 |" in results_table.table([folder])


def test_runs_on_other_examples_and_runs_that_were_not_judged_are_refused(tmp_path, metrics):
    one = run(tmp_path / "one", metrics)
    other = run(tmp_path / "two", dataclasses.replace(metrics, num_examples=7))
    with pytest.raises(LensingError, match="only scores on the same examples compare"):
        results_table.table([one, other])
    with pytest.raises(LensingError, match="judge it first"):
        results_table.table([tmp_path])


def test_the_command_answers_help_and_refuses_unknown_flags(capsys):
    with pytest.raises(SystemExit) as end:
        results_table.main(["--help"])
    assert not end.value.code and "RUN" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        results_table.main(["--nonsense", "run"])
    assert "--nonsense" in capsys.readouterr().err
