"""The errors of a run are of its best network, change nothing in it, and are kept with it."""

import dataclasses
import json
import shutil
import signal
import zipfile

import numpy as np
import pytest

from estimators.dataset import Dataset
from estimators.ensemble import bands_of
from lensing_tfds.errors import LensingError
from lensing_tfds.records.reading import evaluation_batches
from trainer.evaluate import main as evaluate
from trainer.loop import errors
from trainer.runs import checkpoints
from trainer.runs.run import Run, load_run
from trainer.train import train


@pytest.fixture(name="runs", scope="module")
def runs_fixture(config, tmp_path_factory):
    """A run without errors, and the same with."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        train(dataclasses.replace(config, uncertainty=asked), folder / str(asked))
        for asked in (False, True)
    ]


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_asking_for_errors_does_not_change_the_network(runs):
    plain, sure = (members(run.workdir / "best.keras") for run in runs)
    assert plain.keys() == sure.keys()
    for one, other in zip(*(run.model.weights for run in runs), strict=True):
        np.testing.assert_array_equal(one, other)
    assert json.loads(plain["run.json"])["uncertainty"] is None
    assert [run.uncertainty is None for run in runs] == [True, False]


def test_errors_are_those_of_the_best_network_on_validation_examples(runs, stored):
    run = load_run(runs[1].workdir)
    (batch,) = evaluation_batches(stored, "validation", 32)
    residual = run.predict(batch["lensed"]) - batch["kappa"]
    assert run.uncertainty.num_examples == len(residual) == 10
    assert run.uncertainty.pixel_std == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-5)
    low, high = run.intervals(batch["lensed"], 0.95)
    inside = np.mean((low <= batch["kappa"]) & (batch["kappa"] <= high))
    assert inside == pytest.approx(0.95, abs=1 / residual.size + 1e-9)


def test_the_judge_says_how_often_they_hold_the_truth(runs, capsys):
    for run in runs:
        evaluate(["--workdir", str(run.workdir), "--no-baselines"])
    plain, sure = (json.loads((run.workdir / "metrics.json").read_text()) for run in runs)
    assert plain["uncertainty"] is None
    covered = sure["uncertainty"]
    assert covered["pixel_coverage_95"] == pytest.approx(0.95, abs=0.05)
    assert len(covered["coverage_68"]) == len(sure["ell"])
    assert {k: v for k, v in sure.items() if k in ("mse", "rho_ell")} == {
        k: v for k, v in plain.items() if k in ("mse", "rho_ell")
    }


def test_a_finished_run_is_given_errors_by_its_own_command(config, tmp_path, monkeypatch):
    """Once: a second time they are known."""
    train(config, tmp_path)
    before = (tmp_path / "last.keras").read_bytes()
    lines = []
    run = train(dataclasses.replace(config, uncertainty=True), tmp_path, lines.append)
    assert run.uncertainty is not None
    assert lines[-2] == "measuring the estimates' errors on 10 validation examples"
    assert (tmp_path / "last.keras").read_bytes() == before
    monkeypatch.setattr(errors, "measured_uncertainty", None)
    again = train(dataclasses.replace(config, uncertainty=True), tmp_path)
    assert again.uncertainty.to_json() == run.uncertainty.to_json()


def test_errors_of_an_older_network_do_not_outlive_it(config, tmp_path):
    """More epochs make another best network, which has errors of its own, whatever is restored."""
    asked = dataclasses.replace(config, uncertainty=True)
    before = train(asked, tmp_path)
    older = before.uncertainty  # read now: the file will be another
    (tmp_path / "last.keras").unlink()  # the run goes on from the file that has the errors
    longer = dataclasses.replace(asked, epochs=before.config.epochs + 2)
    after = train(longer, tmp_path)
    best = checkpoints.read_record(tmp_path / "best.keras")
    assert best.epoch > before.config.epochs  # the test is of a network that improved
    assert after.uncertainty.pixel_std < older.pixel_std


def test_a_damaged_checkpoint_gets_no_record(config, runs, tmp_path):
    path = tmp_path / "best.keras"
    content = bytearray((runs[0].workdir / "best.keras").read_bytes())
    record = checkpoints.read_record(runs[0].workdir / "best.keras")
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(LensingError, match=r"best\.keras is damaged"):
        checkpoints.rewrite_record(path, record)
    assert path.read_bytes() == content


def test_errors_that_were_not_measured_are_missed_in_one_line(runs, tiny):
    maps = 80 * np.random.default_rng(0).standard_normal((1, *runs[0].task.input_shape))
    with pytest.raises(LensingError, match=r"were not measured: run the command .* --uncertainty"):
        runs[0].intervals(maps)
    with pytest.raises(LensingError, match=r"level is 0.5: must be 0.68 or 0.95"):
        runs[1].intervals(maps, 0.5)


def test_too_few_validation_examples_are_named_before_training(tiny, changed, tmp_path):
    few = dataclasses.replace(tiny, num_examples=tiny.num_examples | {"validation": 2})
    with pytest.raises(LensingError, match="need at least 3 validation examples, there are 2"):
        errors.refuse_too_few(few)
    errors.refuse_too_few(tiny)
    assert bands_of(tiny).num_modes.min() == 8


def test_a_signal_ends_the_measuring_between_two_batches_and_the_command_goes_on(
    config, runs, tmp_path, monkeypatch
):
    workdir = tmp_path / "run"
    shutil.copytree(runs[0].workdir, workdir)
    predict = Run.predict

    def ended(self, maps):
        signal.raise_signal(signal.SIGINT)
        return predict(self, maps)

    def smaller_batches(self, split, number):
        return evaluation_batches(self.stored, f"{split}[:{number}]", 4)

    asked = dataclasses.replace(config, uncertainty=True)
    with monkeypatch.context() as patched:
        patched.setattr(Run, "predict", ended)
        patched.setattr(Dataset, "batches", smaller_batches)
        with pytest.raises(KeyboardInterrupt):
            train(asked, workdir)
    assert load_run(workdir).uncertainty is None
    again = train(asked, workdir)
    assert again.uncertainty.to_json() == runs[1].uncertainty.to_json()
