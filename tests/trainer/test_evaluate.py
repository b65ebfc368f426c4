"""`python -m trainer.evaluate` judges a real run, or says in one line why it cannot."""

import dataclasses
import hashlib
import json
import shlex
import shutil

import numpy as np
import pytest

from estimators import checks, dataset, ensemble, judge
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.errors import LensingError
from lensing_tfds.records.reading import evaluation_batches
from tests.trainer.kept_runs import keep
from trainer.evaluate import main
from trainer.runs.run import load_run
from trainer.runs.run_config import RunConfig, write_config
from trainer.train import train


@pytest.fixture(name="trained", scope="module")
def trained_fixture(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("trained") / "run"
    train(config, workdir)
    return workdir


@pytest.fixture(name="workdir")
def workdir_fixture(trained, tmp_path):
    """A copy of a trained run, to be judged or spoilt."""
    return shutil.copytree(trained, tmp_path / "run")


def error_line(workdir, capsys, *flags):
    with pytest.raises(SystemExit) as exit:
        main(["--workdir", str(workdir), *flags])
    assert exit.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert not list(workdir.glob("metrics*")) + list(workdir.glob("report*"))
    return captured.err


def test_a_run_is_judged_on_the_whole_test_split(workdir, capsys):
    main(["--workdir", str(workdir)])
    metrics = json.loads((workdir / "metrics.json").read_text())
    network = hashlib.sha256((workdir / "best.keras").read_bytes()).hexdigest()
    assert metrics["fingerprint"] == {"best.keras": network}
    assert metrics["dataset"] == "lensing/tiny"
    assert metrics["split"] == "test"
    assert metrics["num_examples"] == load_run(workdir).lensing.num_examples["test"]
    num_bands = len(metrics["ell"])
    for key in ("rho_ell", "rho_ell_error", "transfer_ell", "true_cl", "expected_cl", "num_modes"):
        assert len(metrics[key]) == num_bands
    assert len(metrics["ell_edges"]) == num_bands + 1
    out = capsys.readouterr().out
    assert f"map-level correlation  {metrics['map_correlation']:.4f}" in out
    assert str(workdir / "report.html") in out
    assert (workdir / "report.html").read_text().endswith("</html>\n")
    assert (workdir / "maps.png").read_bytes().startswith(b"\x89PNG")


def test_a_network_is_judged_beside_quadratic_estimators(workdir, capsys):
    main(["--workdir", str(workdir)])
    metrics = json.loads((workdir / "metrics.json").read_text())
    quadratic = ["qe_tt_ordinary", "qe_tt_ordinary_wiener", "qe_tt_all", "qe_tt_all_wiener"]
    assert list(metrics["estimators"]) == [*quadratic, "qe_iterated_wiener", "zero"]
    out = capsys.readouterr().out
    for values in metrics["estimators"].values():
        assert values["zero_mse"] == metrics["zero_mse"]  # the same examples
        assert values["difference"] == pytest.approx(
            metrics["map_correlation"] - values["map_correlation"]
        )
        assert values["label"] in out
    assert "first 50 training examples" in metrics["estimators"]["qe_tt_all"]["basis"]
    assert metrics["estimators"]["zero"]["noise_ell"] == [None] * len(metrics["ell"])

    main(["--workdir", str(workdir), "--no-baselines"])
    assert not (workdir / "figures").exists()
    assert metrics["checks"] is None
    assert "Null tests" not in (workdir / "report.html").read_text()
    alone = json.loads((workdir / "metrics.json").read_text())
    assert alone == metrics | {"estimators": {}}


def test_checks_are_made_when_asked(workdir, capsys):
    """Ten validation examples do not normalise a quadratic estimator, which is not checked."""
    main(["--workdir", str(workdir), "--split", "train", "--checks"])
    metrics = json.loads((workdir / "metrics-train.json").read_text())
    values = metrics["checks"]
    checked = ["network", "qe_iterated_wiener"]
    assert list(values["null_tests"]) == list(values["out_of_distribution"]) == checked
    assert values["delensing"] is None
    out = capsys.readouterr().out
    assert "null tests of network" in out
    html = (workdir / "report-train.html").read_text()
    p_value = values["null_tests"]["network"]["unlensed"]["p_value"]
    assert "Null tests" in html and f"<td>{p_value:.2g}</td><td>0.001</td>" in html
    assert "--split train --checks" in html  # the command that does it again
    no_verdict = "QE TT, ordinary modes, Wiener, which could not be normalised"
    assert f"No verdict on the network 1x4-3 and {no_verdict}" in out and no_verdict in html
    ordinary = metrics["estimators"]["qe_tt_ordinary_wiener"]
    assert (ordinary["normalised_share"], ordinary["verdict"]) == (0, None)


def test_checks_that_cannot_be_made_leave_nothing_behind(workdir, capsys, monkeypatch):
    def check(*_):
        raise LensingError("no B mode")

    monkeypatch.setattr(checks, "check", check)
    assert "no B mode" in error_line(workdir, capsys, "--split", "train", "--checks")


def test_too_few_examples_for_the_checks_are_named_before_judging(workdir, capsys, monkeypatch):
    monkeypatch.setattr(judge, "judge_estimators", None)
    line = error_line(workdir, capsys, "--checks")
    assert "need at least 24 examples, there are 11" in line


def test_figures_can_be_had_as_files(workdir):
    main(["--workdir", str(workdir), "--no-baselines", "--figures"])
    for name in ("maps", "spectra", "correlation", "transfer", "pixels", "history"):
        assert (workdir / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (workdir / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_judged_calibrates_nothing(workdir):
    run = load_run(workdir)
    judged = judge.judge(run, "train", max_examples=4)
    assert "first 10 validation examples" in judged.others[0].estimator.basis


def test_too_few_examples_to_calibrate_on_are_named(workdir, capsys, monkeypatch):
    monkeypatch.setattr(judge, "_HELD_OUT", 5)
    line = error_line(workdir, capsys)
    assert "at least 8 examples" in line and "--no-baselines" in line


def test_metrics_are_what_numpy_finds(workdir, stored):
    """Mean squared error and correlation, from the run's own predictions, pooled over pixels."""
    main(["--workdir", str(workdir), "--no-baselines"])
    metrics = json.loads((workdir / "metrics.json").read_text())
    (batch,) = evaluation_batches(stored, "test", 100)
    kappa, estimate = batch["kappa"], load_run(workdir).predict(batch["lensed"])
    assert metrics["mse"] == pytest.approx(np.mean((estimate - kappa) ** 2), rel=1e-4)
    assert metrics["zero_mse"] == pytest.approx(np.mean(kappa**2), rel=1e-4)
    pearson = np.corrcoef(kappa.ravel(), estimate.ravel())[0, 1]
    assert metrics["map_correlation"] == pytest.approx(pearson, abs=1e-5)


def test_another_split_has_its_own_files(workdir):
    main(
        [
            "--workdir",
            str(workdir),
            "--split",
            "validation",
            "--max_examples",
            "4",
            "--no-baselines",
        ]
    )
    metrics = json.loads((workdir / "metrics-validation.json").read_text())
    assert (metrics["split"], metrics["num_examples"]) == ("validation", 4)
    assert not (workdir / "metrics.json").exists()


def test_the_same_run_gets_the_same_scores(workdir):
    run = load_run(workdir)
    first, second = judge.judge(run).skill, judge.judge(run, baselines=False).skill
    np.testing.assert_array_equal(first.rho_ell, second.rho_ell)


def test_dataset_theory_bands_and_kappas_spectrum_are_found_once(workdir, stored, monkeypatch):
    """And theory in the dataset's folder, where the table of a cosmology of its own is."""
    calls = []

    def counted(module, name):
        function = getattr(module, name)

        def call(*args):
            calls.append((name, *args))
            return function(*args)

        monkeypatch.setattr(module, name, call)

    counted(dataset, "open_dataset")
    counted(ensemble, "spectra_of")
    counted(ensemble, "kappa_power")
    counted(ensemble.power_spectra, "choose_bands")
    main(["--workdir", str(workdir), "--split", "train", "--checks", "--max_examples", "24"])
    names = [name for name, *_ in calls]
    assert sorted(names) == ["choose_bands", "kappa_power", "open_dataset", "spectra_of"]
    assert ("spectra_of", load_run(workdir).lensing, str(stored.data_path)) in calls


def test_a_run_that_is_trained_further_meanwhile_is_judged_as_it_was(
    workdir, changed, capsys, monkeypatch
):
    before, judged = (workdir / "best.keras").read_bytes(), judge.judge_estimators

    def train_and_judge(*arguments):
        found = judged(*arguments)
        train(changed(epochs=4), workdir, lambda line: None)
        return found

    monkeypatch.setattr(judge, "judge_estimators", train_and_judge)
    main(["--workdir", str(workdir), "--no-baselines"])
    assert load_run(workdir).best_epoch()["epoch"] > 2
    assert "the run was trained further while it was judged" in capsys.readouterr().out
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert metrics["fingerprint"] == {"best.keras": hashlib.sha256(before).hexdigest()}
    assert "judged is 2" in (workdir / "report.html").read_text()


def test_a_dataset_that_moved_is_found(workdir, data_dir, tmp_path, capsys):
    main(["--workdir", str(workdir), "--no-baselines"])
    before = json.loads((workdir / "metrics.json").read_text())
    (workdir / "metrics.json").unlink()
    (workdir / "report.html").unlink()
    run = load_run(workdir)
    moved = dataclasses.replace(run.config, data_dir=str(tmp_path / "old"))
    _describe(workdir, trainer=moved)
    assert f"{tmp_path}/old" in error_line(workdir, capsys, "--no-baselines")
    main(["--workdir", str(workdir), "--data_dir", data_dir, "--no-baselines"])
    after = json.loads((workdir / "metrics.json").read_text())
    assert after.pop("fingerprint") != before.pop("fingerprint")  # the file holds where data were
    assert after == before


def test_a_folder_without_a_run_is_named(tmp_path, capsys):
    assert "holds no run" in error_line(tmp_path, capsys)


def test_a_split_that_does_not_exist_is_named(workdir, capsys):
    line = error_line(workdir, capsys, "--split", "tset")
    assert "lensing/tiny has no split 'tset'; it has train, validation, test" in line


def test_a_dataset_that_is_gone_is_named(workdir, capsys, tmp_path):
    line = error_line(workdir, capsys, "--data_dir", str(tmp_path / "nothing"))
    assert "lensing/tiny is neither a version" in line
    words = shlex.split(line)  # the command that it prints builds the very data of the run
    fields = json.loads(words[words.index("--config") + 1])
    assert fields == load_run(workdir).lensing.to_json()


def test_another_version_of_the_data_is_refused(workdir, capsys):
    _describe(workdir, dataset_version="0.9.0")
    line = error_line(workdir, capsys)
    assert f"dataset_version: '0.9.0' -> '{DATASET_VERSION}'" in line


def test_a_damaged_checkpoint_is_named(workdir, capsys):
    (workdir / "best.keras").write_bytes(b"not a model")
    assert f"{workdir}/best.keras is damaged" in error_line(workdir, capsys)


def test_a_dataset_that_is_another_one_is_refused(workdir, capsys):
    _describe(workdir, lensing=dataclasses.replace(load_run(workdir).lensing, seed=99))
    assert "not what the run was trained on: seed: 99 -> 3" in error_line(workdir, capsys)


def test_predictions_that_are_not_numbers_leave_nothing_behind(workdir, capsys):
    run = load_run(workdir)
    run.model.set_weights([np.full_like(weight, np.nan) for weight in run.model.get_weights()])
    keep(run.model, workdir)
    assert "example 0 is not finite" in error_line(workdir, capsys)


def test_a_run_without_a_finished_epoch_is_named_before_its_dataset_is_opened(
    workdir, capsys, monkeypatch
):
    monkeypatch.setattr(dataset, "open_dataset", None)  # a version would be built
    for name in ("history.csv", "best.keras", "last.keras"):
        (workdir / name).unlink()
    assert "no finished epoch" in error_line(workdir, capsys)


def test_too_few_examples_are_refused(workdir, capsys):
    assert "must be at least 2" in error_line(workdir, capsys, "--max_examples", "1")


def test_more_examples_than_there_are_are_refused(workdir, capsys):
    line = error_line(workdir, capsys, "--max_examples", "12")
    assert "max_examples is 12: lensing/tiny test has 11" in line


def test_verbose_shows_the_traceback(tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        main(["--workdir", str(tmp_path), "--verbose"])


def _describe(workdir, **changes):
    """Makes the folder one of a run on other data."""
    run = load_run(workdir)
    config = RunConfig(run.config, run.lensing, run.dataset_version)
    write_config(workdir, dataclasses.replace(config, **changes))
    keep(run.model, workdir)
    (workdir / "last.keras").unlink()
