"""Oracles without training: a trial is a call, and a kill is an exception between two writes."""

import dataclasses

import pytest
from keras_tuner.engine.trial import TrialStatus

from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.versions import VERSIONS
from trainer.settings.recipes import trained_recipe
from trainer.settings.spaces import space_for
from tuning import oracles, sealed_json
from tuning.config import Budget, SearchConfig
from tuning.oracles import build_oracle

CONFIG = SearchConfig(
    dataset="lensing/v3",
    data_dir="/data",
    space=space_for("v3").changed({"learning_rate": [0.1, 0.01, 0.001, 0.0001]}),
    max_epochs=4,
)


class Killed(BaseException):
    """The process is gone; nothing catches it."""


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch):
    """A kill is not a loss of power, and there are thousands of writes."""
    monkeypatch.setattr(storage.os, "fsync", lambda descriptor: None)


def declared(oracle, space=CONFIG.space):
    """The space, as the hypermodel declares it."""
    from tuning.hypermodel import _value

    hp = oracle.get_space()
    for name, dimension in space.dimensions().items():
        _value(hp, name, dimension)
    oracle.update_space(hp)
    return oracle


def opened(folder, tuner="random", **limits):
    """An oracle as the tuner opens it, with the state that it was left in."""
    config = dataclasses.replace(CONFIG, tuner=tuner)
    oracle = build_oracle(config, Budget(**limits))
    oracle._set_project_dir(str(folder), "trials")
    if (folder / "trials" / "oracle.json").exists():
        oracle.reload()
        return oracle
    return declared(oracle)


def score(trial) -> float:
    return trial.hyperparameters.values["learning_rate"]


def run(oracle, ended, status=TrialStatus.COMPLETED, limit=100):
    """Runs trials until the oracle stops; `ended` gets the number of each."""
    for _ in range(limit):
        trial = oracle.create_trial("tuner0")
        if trial.status == TrialStatus.STOPPED:
            return
        assert trial.trial_id not in ended, "a finished trial is repeated"
        if status == TrialStatus.COMPLETED:
            metrics = {"val_loss": score(trial), "val_map_correlation": 0.0}
            oracle.update_trial(trial.trial_id, metrics)
        trial.status = status
        oracle.end_trial(trial)
        ended.append(trial.trial_id)
        oracle.save()
    raise AssertionError("the oracle does not stop")


def uninterrupted(folder, tuner):
    ended = []
    oracle = opened(folder, tuner, max_trials=6)
    run(oracle, ended)
    return {number: trial.hyperparameters.values for number, trial in oracle.trials.items()}


@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian"])
@pytest.mark.parametrize("before", [True, False], ids=["before a write", "after a write"])
def test_killed_at_any_moment_no_trial_is_lost_or_repeated(tuner, before, tmp_path, monkeypatch):
    expected = uninterrupted(tmp_path / "whole", tuner)
    write = oracles._write
    kills = 0
    for at in range(1, 1000):
        folder, ended, writes = tmp_path / str(at), [], 0

        def killing(path, state, at=at):
            nonlocal writes
            writes += 1
            if before and writes == at:
                raise Killed
            write(path, state)
            if not before and writes == at:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(oracles, "_write", killing)
            try:
                run(opened(folder, tuner, max_trials=6), ended)
            except Killed:
                kills += 1
            else:
                break
        oracle = opened(folder, tuner, max_trials=6)
        run(oracle, ended)
        assert {t.status for t in oracle.trials.values()} == {TrialStatus.COMPLETED}
        assert sorted(oracle.end_order) == sorted(oracle.start_order) == sorted(oracle.trials)
        found = {number: trial.hyperparameters.values for number, trial in oracle.trials.items()}
        assert found.keys() == expected.keys()
        if tuner != "bayesian":  # its random state is not kept
            assert found == expected
    assert kills > 20


def test_the_files_are_whole_whenever_the_process_is_killed(tmp_path, monkeypatch):
    run(opened(tmp_path, max_trials=2), [])
    import pathlib

    before = (tmp_path / "trials" / "oracle.json").read_text()
    oracle = opened(tmp_path, max_trials=3)

    def half_written(self, text, encoding):
        with self.open("w", encoding=encoding) as file:
            file.write(text[: len(text) // 2])
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(pathlib.Path, "write_text", half_written)
        oracle.save()
    assert (tmp_path / "trials" / "oracle.json").read_text() == before


@pytest.mark.parametrize("file", ["oracle.json", "trial_0001/trial.json"])
@pytest.mark.parametrize("content", ["", "{", "{}", "[]", "\0", None])
def test_a_damaged_state_is_mended_from_its_copy_or_named(tmp_path, file, content):
    run(opened(tmp_path, max_trials=2), [])
    path = tmp_path / "trials" / file

    def damage(target):
        target.unlink() if content is None else target.write_text(content)

    whole = path.read_text()
    damage(path)
    oracle = reopened(tmp_path)
    assert path.read_text() == whole and len(oracle.trials) == 2
    damage(path)
    damage(sealed_json.copy_of(path))
    with pytest.raises(LensingError, match=f"{path}.*--overwrite to start anew"):
        reopened(tmp_path)


def test_another_searchs_state_is_refused(tmp_path):
    run(opened(tmp_path, max_trials=2), [])
    oracle = build_oracle(dataclasses.replace(CONFIG, seed=7, tuner="random"), Budget())
    oracle._set_project_dir(str(tmp_path), "trials")
    with pytest.raises(LensingError, match=r"oracle.json is of another search \(seed: 0 -> 7\)"):
        oracle.reload()


def reopened(folder):
    """The oracle of a folder, whatever files it has."""
    oracle = build_oracle(dataclasses.replace(CONFIG, tuner="random"), Budget())
    oracle._set_project_dir(str(folder), "trials")
    oracle.reload()
    return oracle


@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian"])
def test_trials_epochs_and_minutes_end_a_search_and_a_larger_budget_goes_on(
    tuner, tmp_path, monkeypatch
):
    ended = []
    oracle = opened(tmp_path, tuner, max_trials=2)
    run(oracle, ended)
    assert (len(ended), oracle.stopped) == (2, "max_trials 2")
    oracle = opened(tmp_path, tuner, max_total_epochs=8)
    run(oracle, ended)
    epochs = [
        t.hyperparameters.values.get("tuner/epochs", 4)
        - t.hyperparameters.values.get("tuner/initial_epoch", 0)
        for t in oracle.trials.values()
    ]
    assert sum(epochs) >= 8 > sum(epochs[:-1]) and oracle.stopped == "max_total_epochs 8"
    count = len(ended)
    oracle = opened(tmp_path, tuner, max_minutes=1)
    oracle._seconds_before += 61
    run(oracle, ended)
    assert (len(ended), oracle.stopped) == (count, "max_minutes 1")


def test_time_is_that_of_all_sessions(tmp_path):
    oracle = opened(tmp_path, max_trials=1)
    oracle._began -= 60
    run(oracle, [])
    assert 60 <= opened(tmp_path).seconds < 70


def test_a_search_whose_trials_all_fail_stops_and_the_same_command_tries_again(tmp_path):
    ended = []
    oracle = opened(tmp_path, max_trials=50)
    run(oracle, ended, TrialStatus.INVALID)
    assert (len(ended), oracle.stopped) == (5, "the last 5 trials failed")
    assert {t.status for t in oracle.trials.values()} == {TrialStatus.FAILED}
    run(opened(tmp_path, max_trials=6), ended)
    assert len(ended) == 6


def test_failures_between_successes_do_not_stop_a_search(tmp_path):
    oracle, ended = opened(tmp_path, max_trials=12), []
    for _ in range(3):
        with pytest.raises(AssertionError, match="does not stop"):
            run(oracle, ended, TrialStatus.INVALID, limit=3)
        with pytest.raises(AssertionError, match="does not stop"):
            run(oracle, ended, limit=1)
    assert oracle.stopped is None and len(ended) == 12


def test_hyperband_goes_on_with_what_did_well_on_few_epochs(tmp_path):
    oracle = opened(tmp_path, "hyperband")
    run(oracle, [])
    values = {n: t.hyperparameters.values for n, t in oracle.trials.items()}
    promoted = {n: v["tuner/trial_id"] for n, v in values.items() if "tuner/trial_id" in v}
    assert promoted
    for number, parent in promoted.items():
        assert values[number]["learning_rate"] == values[parent]["learning_rate"]
        assert values[number]["tuner/initial_epoch"] == values[parent]["tuner/epochs"]
    assert max(v["tuner/epochs"] for v in values.values()) == 4


def test_the_best_correlation_is_the_highest(tmp_path):
    config = dataclasses.replace(CONFIG, tuner="random", objective="val_map_correlation")
    objective = build_oracle(config, Budget()).objective
    assert (objective.name, objective.direction) == ("val_map_correlation", "max")


@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian"])
@pytest.mark.parametrize("version", ["v1", "v3", "v5", "v6", "v8"])
def test_the_first_trial_is_what_the_versions_study_trained(tuner, version, tmp_path):
    space = space_for(version)
    config = SearchConfig(dataset=f"lensing/{version}", data_dir="/data", space=space, tuner=tuner)
    first = config.default_point(VERSIONS[version])
    oracle = build_oracle(config, Budget(), first)
    oracle._set_project_dir(str(tmp_path), "trials")
    declared(oracle, space)
    trials = [oracle.create_trial(f"tuner{i}") for i in range(3)]
    settings = [config.space.settings(t.hyperparameters.values) for t in trials]
    studied = trained_recipe(version, space.family)
    assert settings[0]["model"] == studied.model
    assert settings[0]["learning_rate"] == studied.learning_rate
    assert settings[0] not in settings[1:]


def test_without_the_studys_network_in_the_space_chance_decides():
    narrow = dataclasses.replace(CONFIG, space=CONFIG.space.changed({"depth": [2]}))
    assert narrow.default_point(VERSIONS["v3"]) is None
