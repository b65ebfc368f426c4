"""Averages of the weights are judged and kept, and training goes on as if they were not there."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest

from lensing_tfds.records.reading import evaluation_batches
from tests.trainer.tasks import statistics, task
from trainer.loop.callbacks import Checkpoints
from trainer.loop.compiling import compile_network
from trainer.networks import families
from trainer.networks.physical import scaling_of
from trainer.runs.averages import averages_for_weights
from trainer.runs.checkpoints import BEST, LAST, RUNNING, Running, load, read_record, save
from trainer.runs.resume import stopped_run
from trainer.runs.run import load_run
from trainer.train import train

MOMENTUM = 0.7


def quiet(line: str) -> None:
    """A report that nobody reads."""


class Weights(keras.callbacks.Callback):
    """Keeps the weights after each step."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.model.get_weights())


@pytest.fixture(name="averaging", scope="module")
def averaging_fixture(config):
    return dataclasses.replace(config, ema_momentum=MOMENTUM, epochs=3)


@pytest.fixture(name="finished", scope="module")
def finished_fixture(averaging, tmp_path_factory):
    """A run of three epochs, and the weights after each of its steps."""
    workdir, weights = tmp_path_factory.mktemp("averages") / "run", Weights()
    train(averaging, workdir, quiet, callbacks=[weights])
    return workdir, weights.seen


def assert_weights(model: keras.Model, expected, **tolerance) -> None:
    for x, y in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


def test_the_best_network_is_the_average_and_the_last_one_what_training_goes_on_from(finished):
    workdir, weights = finished
    steps = 4 * int(load_run(workdir).best_epoch()["epoch"])
    average = weights[0]
    for step in weights[1:steps]:
        average = [MOMENTUM * a + (1 - MOMENTUM) * w for a, w in zip(average, step, strict=True)]
    assert_weights(load(workdir / BEST), average, atol=1e-6)
    assert_weights(load(workdir / LAST), weights[-1], atol=0)


def test_weights_are_trained_as_without_averages(averaging, finished, tmp_path):
    weights = Weights()
    train(dataclasses.replace(averaging, ema_momentum=None), tmp_path, quiet, callbacks=[weights])
    for one, other in zip(weights.seen, finished[1], strict=True):
        for x, y in zip(one, other, strict=True):
            np.testing.assert_allclose(x, y, atol=1e-6)


def test_what_is_validated_is_the_average(finished):
    workdir, _ = finished
    run = load_run(workdir)
    batches = list(evaluation_batches(run.dataset.stored, "validation", batch_size=4))
    errors = np.concatenate([b["kappa"] - run.predict(b["lensed"]) for b in batches])
    (std,) = scaling_of(run.model).label_std
    np.testing.assert_allclose(
        np.mean(errors**2) / std**2, run.history["val_loss"].min(), rtol=1e-4
    )


@pytest.mark.parametrize(("killed_at", "precision"), [(LAST, "float32"), (BEST, "float16")])
def test_a_run_killed_between_two_writes_resumes_to_the_same(
    averaging, finished, tmp_path, monkeypatch, killed_at, precision
):
    """After best.keras of an epoch is written and before last.keras, and before both."""
    config = dataclasses.replace(averaging, precision=precision)
    save = Checkpoints._save

    def killed(self, name: str) -> None:
        if name == killed_at and len(self.history) == 2:
            raise KeyboardInterrupt
        save(self, name)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "_save", killed)
        train(config, tmp_path / "run", quiet)
    train(config, tmp_path / "run", quiet)
    whole = finished[0]
    if precision != "float32":
        whole = tmp_path / "whole"
        train(config, whole, quiet)
    for name in (BEST, LAST):
        ours, expected = load(tmp_path / "run" / name), load(whole / name)
        assert_weights(ours, expected.get_weights(), atol=1e-6)
        for x, y in zip(ours.optimizer.variables, expected.optimizer.variables, strict=True):
            np.testing.assert_allclose(x.numpy(), y.numpy(), atol=1e-6)


@pytest.fixture(name="begun", scope="module")
def begun_fixture(averaging, tmp_path_factory):
    """A run of one epoch: its config and folder."""
    config, workdir = dataclasses.replace(averaging, epochs=1), tmp_path_factory.mktemp("begun")
    train(config, workdir, quiet)
    return config, workdir


@pytest.fixture(name="workdir")
def workdir_fixture(begun, tmp_path):
    """A copy of the run of one epoch."""
    return shutil.copytree(begun[1], tmp_path / "run")


@pytest.mark.parametrize("lost", [BEST, LAST])
def test_a_checkpoint_that_is_lost_is_made_again_from_the_other(begun, workdir, lost):
    before = load(workdir / lost)
    (workdir / lost).unlink()
    train(begun[0], workdir, quiet)
    again = load(workdir / lost)
    assert_weights(again, before.get_weights(), atol=0)
    for x, y in zip(again.optimizer.variables, before.optimizer.variables, strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_a_lost_last_checkpoint_is_made_from_the_best_one_where_an_epoch_is_running(
    workdir,
):
    last, record = load(workdir / LAST), read_record(workdir / LAST)
    running = Running(1, (0.0,) * len(last.metrics_variables), 1.0)
    save(last, workdir / RUNNING, dataclasses.replace(record, running=running))
    (workdir / LAST).unlink()
    stopped_run(workdir).restore(quiet)
    assert_weights(load(workdir / LAST), last.get_weights(), atol=0)


def test_before_the_first_step_the_average_is_the_weights_themselves(averaging):
    """Keras has zeros there, which a network kept as epoch 0 would have for its weights."""
    of = task(16)
    model = families.build("1x4-3", of, statistics(of), 0)
    compile_network(model, averaging, 9)
    model.optimizer.build(model.trainable_variables)
    first = model.get_weights()
    with averages_for_weights(model):
        assert_weights(model, first, atol=0)
    assert_weights(model, first, atol=0)
