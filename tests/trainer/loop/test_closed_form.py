"""A network that is fitted leaves a run like any other, and goes on after each of its stages."""

import dataclasses
import os
import signal
from collections.abc import Iterator

import keras
import numpy as np
import pytest

from estimators.judge import judge
from estimators.references import ITERATED
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.building import build
from lensing_tfds.versions import VERSIONS
from trainer.__main__ import main
from trainer.loop.callbacks import Checkpoints
from trainer.networks import iterated
from trainer.runs.checkpoints import BEST, LAST, read_record
from trainer.runs.run import load_run
from trainer.settings.config import TrainerConfig, default_workdir, resolve
from trainer.settings.hparams import HParams
from trainer.train import train

SURVEY = LensingConfig(
    "sharp", npix=32, lx=32 * 2.5 / 60, stokes="QU", oversampling=2, beam_arcmin=1.5,
    noise_uK_arcmin=1.0, num_examples={"train": 40, "validation": 8, "test": 12},
)  # fmt: skip


@pytest.fixture(name="config", scope="module")
def config_fixture(tmp_path_factory) -> Iterator[TrainerConfig]:
    """Of a small survey, three stages of which are enough."""
    folder = str(tmp_path_factory.mktemp("data"))
    build(SURVEY, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(iterated, "are_enough", lambda correlations, most: len(correlations) >= 3)
        yield resolve("lensing/sharp", folder, SURVEY, model="iterated")


@pytest.fixture(name="finished", scope="module")
def finished_fixture(config, tmp_path_factory):
    """An uninterrupted run's folder, and what it said."""
    workdir, lines = tmp_path_factory.mktemp("runs") / "run", []
    train(config, workdir, lines.append)
    return workdir, lines


def test_each_stage_is_an_epoch_of_the_run(config, finished):
    workdir, lines = finished
    run = load_run(workdir)
    rho = run.history["map_correlation"]
    assert lines[0] == "fitting iterated on 40 examples of lensing/sharp"
    assert len(lines) == 1 + len(rho) == 4
    assert len(iterated.stages_of(run.model)) == run.best_epoch()["epoch"]
    np.testing.assert_allclose(run.history["loss"], 1 - rho**2)
    assert np.all(np.diff(rho) > 0) and rho[-1] > rho[0] + 0.01
    # 8 skies of 1.3 degrees scatter.
    np.testing.assert_allclose(run.history["val_map_correlation"], rho, atol=0.1)
    best = int(run.best_epoch()["epoch"])
    assert read_record(workdir / BEST).epoch == best == 1 + np.argmin(run.history["val_loss"])
    assert run.config == config and config.max_examples == 40


def test_it_is_judged_as_any_run(finished):
    run = load_run(finished[0])
    evaluation = judge(run, "test")
    rho = {j.estimator.name: float(j.skill.map_correlation.value) for j in evaluation.judged}
    assert rho["network"] > rho["qe_mv_wiener"] + 0.01
    assert evaluation.judged[0].estimator.label == ITERATED
    assert "qe_iterated_wiener" not in rho  # it would stand beside itself
    described = run.describe()
    assert "--model iterated --max_examples 40" in described.commands[0]
    assert "learning_rate" not in described.section + described.commands[0]


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("name", [BEST, LAST])
def test_a_run_killed_while_a_stage_is_kept_goes_on_to_the_same(
    config, finished, tmp_path, monkeypatch, stage, name
):
    save = Checkpoints._save

    def killed(self, written: str) -> None:
        if written == name and len(self.history) == stage:
            raise KeyboardInterrupt
        save(self, written)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "_save", killed)
        train(config, tmp_path, lambda line: None)
    lines = []
    train(config, tmp_path, lines.append)
    kept = stage if name == LAST else stage - 1
    resumed = [line for line in lines if line.endswith(f", resuming after stage {kept}")]
    assert len(resumed) == (kept > 0)
    one, other = load_run(tmp_path), load_run(finished[0])
    for column in ("loss", "map_correlation", "val_loss", "val_map_correlation"):
        np.testing.assert_array_equal(one.history[column], other.history[column])
    for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class AskAfter(keras.callbacks.Callback):
    """Has the process asked to end once a stage is kept, or within the next."""

    def on_epoch_end(self, epoch, logs=None):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_fit_that_is_asked_to_end_says_which_stage_is_kept(config, tmp_path):
    said = "stopped by SIGINT; the same command goes on after stage 1"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as no background job has it
    try:
        with pytest.raises(KeyboardInterrupt, match=said):
            train(config, tmp_path, lambda line: None, callbacks=[AskAfter()])
    finally:
        signal.signal(signal.SIGINT, before)
    assert read_record(tmp_path / LAST).epoch == 1


def test_a_finished_run_says_so_and_is_left_alone(config, finished):
    workdir, _ = finished
    before, lines = (workdir / LAST).read_bytes(), []
    train(config, workdir, lines.append)
    assert lines == [f"already finished: {len(load_run(workdir).history['epoch'])} stages"]
    assert (workdir / LAST).read_bytes() == before


def test_other_examples_are_another_run(config, finished):
    fewer = dataclasses.replace(config, max_examples=30)
    with pytest.raises(LensingError, match="other settings: max_examples: 40 -> 30"):
        train(fewer, finished[0], lambda line: None)


def test_too_few_examples_are_refused(config, tmp_path):
    few = dataclasses.replace(config, max_examples=1)
    with pytest.raises(LensingError, match="1 examples are too few for 2 gains in each ring"):
        train(few, tmp_path, lambda line: None)


@pytest.mark.parametrize(
    ("field", "value"),
    [("learning_rate", 0.1), ("epochs", 3), ("batch_size", 64), ("seed", 1), ("augment", False)],
)
def test_settings_of_training_are_refused(field, value):
    with pytest.raises(LensingError, match=rf"{field} is for networks that are trained: iterated"):
        resolve("lensing/v11", "/data", VERSIONS["v11"], **{field: value})
    with pytest.raises(LensingError, match=rf"{field} is for networks that are trained: iterated"):
        HParams({field: value}).resolve("lensing/v11", "/data", VERSIONS["v11"], model="iterated")


@pytest.mark.parametrize(
    ("version", "examples"), [("v1", 838), ("v6", 209), ("v10", 128), ("v11", 128)]
)
def test_it_is_the_default_and_of_small_maps_takes_more(version, examples):
    config = resolve(f"lensing/{version}", "/data", VERSIONS[version])
    assert (config.model, config.max_examples) == ("iterated", examples)
    assert default_workdir(config, VERSIONS[version]) == f"runs/{version}-iterated"
    trained = resolve(f"lensing/{version}", "/data", VERSIONS[version], model="4x8-3", seed=3)
    assert trained.max_examples is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--dataset", "lensing/v11", "--epochs", "3"],
            "epochs is for networks that are trained: iterated",
        ),
        (
            ["--dataset", "lensing/v11", "--minutes", "3"],
            "minutes is for networks that are trained: iterated",
        ),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit:
        main([*arguments, "--data_dir", str(tmp_path), "--workdir", str(tmp_path / "run")])
    error = capsys.readouterr().err
    assert exit.value.code == 2 and error.count("\n") == 1 and message in error
