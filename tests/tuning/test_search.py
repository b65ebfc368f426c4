"""Real searches on the tiny dataset: resumed, with failures, promoted, used."""

import json
import os
import re
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf

import lensing_tfds
from lensing_tfds.errors import LensingError
from lensing_tfds.records.locks import alone_in
from trainer.loop import memory
from trainer.runs.checkpoints import LAST, load
from trainer.runs.run import load_run
from trainer.settings.hparams import fingerprint, read_hparams
from trainer.settings.recipes import RECIPES, Recipe
from trainer.train import train
from tuning import sealed_json
from tuning import tuner as tuner_module
from tuning.config import Budget
from tuning.hypermodel import LensingHyperModel
from tuning.search import search
from tuning.trials import project, read_search, read_trials, run_folder


def quiet(line: str) -> None:
    """A report that nobody reads."""


def trials_of(workdir):
    return read_trials(workdir, read_search(workdir))


def folder_of(workdir, number):
    return project(workdir) / f"trial_{number}"


@pytest.fixture(scope="session")
def finished(config, tmp_path_factory):
    """A random search of three trials: its folder, and the lines it printed."""
    workdir = tmp_path_factory.mktemp("searches") / "finished"
    lines: list[str] = []
    search(config, workdir, Budget(max_trials=3), lines.append)
    return workdir, lines


def test_each_trial_is_a_run_of_the_trainers_and_has_a_line(finished):
    workdir, lines = finished
    trials = trials_of(workdir)
    assert [t.status for t in trials] == ["COMPLETED"] * 3
    assert len({t.title for t in trials}) == 3
    for trial in trials:
        run = load_run(run_folder(folder_of(workdir, trial.number)))
        assert run.config == trial.settings
        assert list(run.history["epoch"]) == [1, 2]
        assert trial.best("val_loss")["val_loss"] == run.history["val_loss"].min()
        (line,) = [line for line in lines if line.startswith(f"trial {trial.number}  ")]
        assert trial.title in line and f"val_loss {run.history['val_loss'].min():.4f}" in line
    assert lines[0] == "searching lensing/tiny with random for the best val_loss"
    assert "ended: max_trials 3" in lines


def test_the_best_settings_are_those_of_the_trial_with_the_lowest_loss(finished):
    workdir, _ = finished
    best = min(trials_of(workdir), key=lambda t: t.best("val_loss")["val_loss"])
    hparams = read_hparams(workdir / "best_hyperparameters.json")
    assert hparams.found.trial == best.number
    record = read_search(workdir)
    assert hparams.found.dataset_fingerprint == (
        fingerprint(record.lensing, record.dataset_version)
    )
    assert hparams.found.val_loss == best.best("val_loss")["val_loss"]
    settings = best.settings.to_json()
    assert hparams.values == {k: v for k, v in settings.items() if k not in ("dataset", "data_dir")}


def test_retrained_with_the_trials_seed_a_network_scores_what_the_trial_did(
    finished, config, tiny, tmp_path
):
    hparams = read_hparams(finished[0] / "best_hyperparameters.json")
    run = train(hparams.resolve("lensing/tiny", config.data_dir, tiny), tmp_path / "run", quiet)
    assert run.best_epoch()["val_loss"] == pytest.approx(hparams.found.val_loss, rel=1e-4)


def test_the_same_search_again_has_nothing_to_do_and_a_larger_budget_goes_on(
    finished, config, tmp_path
):
    workdir = shutil.copytree(finished[0], tmp_path / "search")
    before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*.keras")}
    lines: list[str] = []
    search(config, workdir, Budget(max_trials=3), lines.append)
    assert lines[0].endswith("going on after 3 trials")
    assert not [line for line in lines if line.startswith("trial 0")]
    search(config, workdir, Budget(max_trials=4), lines.append)
    assert len([line for line in lines if line.startswith("trial 0003  ")]) == 1
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert [t.number for t in trials_of(workdir)] == ["0000", "0001", "0002", "0003"]


def test_a_search_stopped_in_a_trial_goes_on_after_its_last_epoch(
    finished, config, tmp_path, monkeypatch
):
    from trainer.loop.callbacks import Stopwatch

    workdir, epochs, begin = tmp_path / "search", 0, Stopwatch.on_epoch_begin

    def stopping(self, epoch, logs=None):
        nonlocal epochs
        epochs += 1
        if epochs == 4:  # the second trial's second
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    monkeypatch.setattr(Stopwatch, "on_epoch_begin", stopping)
    with pytest.raises(KeyboardInterrupt):
        search(config, workdir, Budget(max_trials=3), quiet)
    assert [t.status for t in trials_of(workdir)] == ["COMPLETED", "RUNNING"]
    assert not (folder_of(workdir, "0001") / "begun").exists()  # stopped is not killed
    search(config, workdir, Budget(max_trials=3), quiet)
    assert epochs == 4 + 1 + 2  # the rest of the second trial, and the third
    for trial, expected in zip(trials_of(workdir), trials_of(finished[0]), strict=True):
        assert trial.settings == expected.settings
        assert [row["epoch"] for row in trial.history] == [1, 2]
        for row, wanted in zip(trial.history, expected.history, strict=True):
            assert row["val_loss"] == pytest.approx(wanted["val_loss"], rel=1e-4)


class Interrupting:
    """An object whose destructor the process is interrupted in: Python drops what is raised."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("begun", [1, 2])
def test_an_interruption_in_a_destructor_between_two_trials_ends_the_search(
    begun, config, tmp_path, monkeypatch
):
    builds, build = 0, LensingHyperModel.build

    def interrupted(self, hp):
        nonlocal builds
        model = build(self, hp)
        builds += 1
        if builds == begun:
            Interrupting(signal.SIGINT)
        return model

    monkeypatch.setattr(LensingHyperModel, "build", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            search(config, tmp_path / "search", Budget(max_trials=3), quiet)
    finally:
        signal.signal(signal.SIGINT, before)
    assert builds == begun


def test_a_promoted_trial_equals_a_run_that_was_never_interrupted(changed, tiny, tmp_path):
    workdir = tmp_path / "search"
    search(changed(tuner="hyperband", max_epochs=3), workdir, Budget(max_trials=4), quiet)
    trials = trials_of(workdir)
    (promoted,) = [t for t in trials if t.parent is not None]
    assert (promoted.began_after, promoted.settings.epochs, promoted.own_epochs) == (1, 3, 2)
    whole = train(promoted.settings, tmp_path / "whole", quiet)
    taken = load_run(run_folder(folder_of(workdir, promoted.number)))
    np.testing.assert_allclose(taken.history["val_loss"], whole.history["val_loss"], rtol=1e-4)
    parent = next(t for t in trials if t.number == promoted.parent)
    assert parent.settings.epochs == 1 and len(parent.history) == 1  # left as it was
    assert promoted.history[0] == parent.history[0]  # taken over, not trained again: same seconds
    # For TensorBoard it is a session of its own, with the parent's curve before its own.
    events = run_folder(folder_of(workdir, promoted.number)) / "tensorboard"
    assert len(list(events.glob("*tfevents*"))) == 1
    assert len(list((events / "validation").glob("*tfevents*"))) == 2


def test_a_promoted_trial_whose_rate_has_a_schedule_begins_anew(changed, tmp_path, monkeypatch):
    """The shorter trial's schedule has ended: the longer one has its own from the first step on."""
    cosine = Recipe("1x4-3", schedule="cosine")
    monkeypatch.setitem(RECIPES, "tiny", (cosine,))
    workdir = tmp_path / "search"
    settings = changed(tuner="hyperband", max_epochs=3)
    assert not settings.extends_trials
    # Of epochs all are its own: two trials of one and this one's three are five.
    search(settings, workdir, Budget(max_total_epochs=5), quiet)
    promoted = trials_of(workdir)[-1]
    assert (promoted.began_after, promoted.parent, promoted.own_epochs) == (0, None, 3)
    optimizer = load(run_folder(folder_of(workdir, promoted.number)) / LAST).optimizer
    assert float(optimizer.learning_rate) == 0
    epochs = sum(trial.own_epochs for trial in trials_of(workdir))
    assert epochs >= 5 > epochs - promoted.own_epochs


def test_a_trial_that_diverges_is_recorded_and_the_search_goes_on(changed, tmp_path):
    space = changed().space.changed({"optimizer": "sgd", "learning_rate": [1e-3, 1e30]})
    lines: list[str] = []
    workdir = tmp_path / "search"
    search(changed(space=space), workdir, Budget(max_trials=3), lines.append)
    trials = trials_of(workdir)
    failed = [t for t in trials if t.status == "FAILED"]
    assert [t.status for t in trials] == ["FAILED", "COMPLETED", "FAILED"]
    assert {t.settings.learning_rate for t in failed} == {1e30}
    for trial in failed:
        assert "became" in trial.failure and "the run diverged" in trial.failure
        assert any(f"trial {trial.number}" in line and "failed: " in line for line in lines)
        text = (folder_of(workdir, trial.number) / "failure.txt").read_text()
        assert "Traceback" in text


def test_a_trial_too_large_for_the_machine_is_recorded_and_the_search_goes_on(changed, tmp_path):
    space = changed().space.changed({"depth": 2, "width": [2, 400_000]})  # 6 terabytes
    workdir = tmp_path / "search"
    # With this seed, one in three.
    search(changed(space=space, max_epochs=1, seed=7), workdir, Budget(max_trials=3), quiet)
    trials = trials_of(workdir)
    assert [t.status for t in trials] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert trials[1].settings.model.startswith("2x400000-")
    assert re.search("^2x400000-[35] needs about [0-9,.]+ GB in training", trials[1].failure)


def test_a_trial_out_of_memory_is_recorded_and_the_search_goes_on(changed, tmp_path, monkeypatch):
    """As on a device whose memory others use too: the estimate cannot know."""
    monkeypatch.setattr(memory, "memory_limit", lambda: 2**60)
    space = changed().space.changed({"depth": 2, "width": [2, 400_000]})
    workdir = tmp_path / "search"
    # TensorFlow waits ten seconds for memory to become free.
    search(changed(space=space, max_epochs=1, seed=7), workdir, Budget(max_trials=3), quiet)
    trials = trials_of(workdir)
    assert [t.status for t in trials] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert trials[1].failure.startswith("ResourceExhaustedError: OOM when allocating tensor")


def test_a_trial_in_which_the_process_is_killed_again_and_again_is_given_up(
    config, tmp_path, monkeypatch
):
    workdir, runs = tmp_path / "search", 0
    fit = tuner_module.SearchTuner._train

    class Killed(BaseException):
        pass

    def killed(self, trial, folder):
        nonlocal runs
        if trial.trial_id != "0000":
            return fit(self, trial, folder)
        runs += 1
        # What a kill leaves: the mark of a trial that was begun stays.
        mark = (folder / "begun").read_bytes()
        monkeypatch.setattr(tuner_module.Path, "unlink", lambda self, **_: None)
        assert len(mark) == runs
        raise Killed

    monkeypatch.setattr(tuner_module.SearchTuner, "_train", killed)
    for _ in range(3):
        with pytest.raises(Killed), monkeypatch.context():
            search(config, workdir, Budget(max_trials=2), quiet)
    monkeypatch.undo()
    monkeypatch.setattr(tuner_module.SearchTuner, "_train", killed)
    search(config, workdir, Budget(max_trials=2), quiet)
    first, second = trials_of(workdir)
    assert (first.status, second.status, runs) == ("FAILED", "COMPLETED", 3)
    assert first.failure == "the process was killed 3 times in a row (out of memory?)"


def test_a_damaged_dataset_stops_the_search_and_fails_no_trial(changed, data_dir, tmp_path):
    broken = shutil.copytree(data_dir, tmp_path / "data")
    shard = next(broken.glob("lensing/tiny/*/*validation*00001-of-00003"))
    shard.write_bytes(shard.read_bytes()[:-100])
    workdir = tmp_path / "search"
    with pytest.raises(LensingError, match=f"shard {shard} is truncated"):
        search(changed(data_dir=str(broken)), workdir, Budget(max_trials=3), quiet)
    assert [t.status for t in trials_of(workdir)] == ["RUNNING"]
    # Mended, it goes on.
    search(changed(), workdir, Budget(max_trials=1), quiet)
    assert [t.status for t in trials_of(workdir)] == ["COMPLETED"]


def test_a_search_without_a_completed_trial_says_why(changed, tmp_path):
    space = changed().space.changed({"optimizer": "sgd", "learning_rate": [1e29, 1e30]})
    with pytest.raises(LensingError, match=r"no trial of .* was completed; the last failure: "):
        search(changed(space=space), tmp_path / "search", Budget(max_trials=2), quiet)


def test_another_search_is_refused_naming_what_differs(finished, changed, tmp_path):
    workdir, _ = finished
    space = changed().space.changed({"depth": [1]})
    with pytest.raises(LensingError) as error:
        search(changed(tuner="bayesian", space=space), workdir, Budget(max_trials=3), quiet)
    assert "tuner: 'random' -> 'bayesian'" in str(error.value)
    assert "depth: [1, 2] -> [1]" in str(error.value)
    assert "width" not in str(error.value) and "seed" not in str(error.value)


def test_a_folder_of_another_dataset_is_refused_before_anything_is_built(finished, changed):
    with pytest.raises(LensingError, match="holds a search on lensing/tiny, not lensing/v3"):
        search(changed(dataset="lensing/v3"), finished[0], Budget(max_trials=3), quiet)


def test_other_data_under_the_same_name_are_refused(finished, config, tmp_path):
    workdir = shutil.copytree(finished[0], tmp_path / "search")
    values = sealed_json.read(workdir / "search.json")
    written = json.loads((workdir / "search.json").read_text())
    assert written["lensing_tfds_version"] == lensing_tfds.__version__
    values["lensing"]["seed"] = 99
    sealed_json.write(workdir / "search.json", values)
    with pytest.raises(LensingError, match="seed: 99 -> 3"):
        search(config, workdir, Budget(max_trials=3), quiet)


def test_a_training_runs_folder_is_refused(config, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(LensingError, match="holds a training run"):
        search(config, tmp_path, Budget(max_trials=3), quiet)
    assert not (tmp_path / "search.json").exists()


def test_overwrite_starts_anew_and_leaves_what_is_not_the_searchs(finished, changed, tmp_path):
    workdir = shutil.copytree(finished[0], tmp_path / "search")
    (workdir / "notes.txt").write_text("mine")
    lines: list[str] = []
    search(changed(max_epochs=1), workdir, Budget(max_trials=1), lines.append, overwrite=True)
    assert "going on" not in lines[0]
    assert [t.number for t in trials_of(workdir)] == ["0000"]
    assert (workdir / "notes.txt").read_text() == "mine"


def test_two_searches_in_one_folder_are_one_too_many(finished, config):
    with (
        alone_in(finished[0], "searching"),
        pytest.raises(LensingError, match="another process is searching in"),
    ):
        search(config, finished[0], Budget(max_trials=3), quiet)


def test_tensorboards_hparams_has_the_settings_and_the_metrics_of_each_trial(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    workdir, _ = finished
    root = EventAccumulator(str(project(workdir))).Reload()
    content = root.SummaryMetadata("_hparams_/experiment").plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(content)
    assert {h.name for h in experiment.hparam_infos} >= {"model", "learning_rate", "batch_size"}
    tags = {(m.name.group, m.name.tag) for m in experiment.metric_infos}
    assert tags == {("validation", "epoch_loss"), ("validation", "epoch_map_correlation")}
    for trial in trials_of(workdir):
        folder = run_folder(folder_of(workdir, trial.number)) / "tensorboard"
        session = EventAccumulator(str(folder)).Reload()
        content = session.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        start = metadata.parse_session_start_info_plugin_data(content)
        assert start.hparams["model"].string_value == trial.settings.model
        assert start.hparams["batch_size"].number_value == trial.settings.batch_size
        scalars = EventAccumulator(str(folder / "validation")).Reload()
        (*_, last) = scalars.Tensors("epoch_loss")
        value = float(tf.make_ndarray(last.tensor_proto))
        assert value == pytest.approx(trial.history[-1]["val_loss"])
