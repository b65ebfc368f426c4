"""A network that starts as an estimator is kept before its first step."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from lensing_tfds.errors import LensingError
from trainer.networks.stacks import Stack
from trainer.runs.checkpoints import BEST, LAST, read_record
from trainer.runs.run import load_run
from trainer.train import train


def quiet(line: str) -> None:
    """A report that nobody reads."""


class Stop(keras.callbacks.Callback):
    """Ends the process in the first step."""

    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def fitted(monkeypatch):
    """Stacks say that they start fitted."""
    monkeypatch.setattr(Stack, "starts_fitted", True)


@pytest.fixture
def spoiling(changed):
    """A config by which every step spoils the network."""
    return changed(learning_rate=100.0, clipnorm=None, epochs=2)


@pytest.mark.parametrize("killed", [False, True])
def test_training_that_makes_it_worse_leaves_the_start_as_the_best(spoiling, tmp_path, killed):
    if killed:
        with pytest.raises(KeyboardInterrupt):
            train(spoiling, tmp_path, quiet, callbacks=[Stop()])
        assert [read_record(tmp_path / name).epoch for name in (BEST, LAST)] == [0, 0]
        assert load_run(tmp_path).best_epoch()["epoch"] == 0
        run = train(dataclasses.replace(spoiling, epochs=1), tmp_path, quiet)
        assert read_record(tmp_path / BEST).epoch == 0
    lines: list[str] = []
    run = train(spoiling, tmp_path, lines.append)
    assert any("before the first step  val_loss" in line for line in lines) != killed
    assert list(run.history["epoch"]) == [0, 1, 2]
    assert np.all(run.history["val_loss"][1:] > run.history["val_loss"][0])
    assert read_record(tmp_path / BEST).epoch == run.best_epoch()["epoch"] == 0
    assert run.best_epoch("val_map_correlation")["epoch"] == np.argmax(
        run.history["val_map_correlation"]
    )
    assert math.isnan(run.history["loss"][0]) and run.history["seconds"][0] > 0
    kept = keras.saving.load_model(tmp_path / BEST)
    assert int(kept.optimizer.iterations) == 0
    assert "2, judged is the network before its first step" in run.describe().section
    lines.clear()
    train(spoiling, tmp_path, lines.append)
    assert lines == ["already finished: 2 epochs (more: --epochs)"]


def test_an_epoch_that_is_better_replaces_the_start(changed, tmp_path):
    run = train(changed(epochs=2), tmp_path, quiet)
    assert run.best_epoch()["epoch"] == read_record(tmp_path / BEST).epoch > 0


def test_a_start_that_is_no_number_is_refused(changed, tmp_path, monkeypatch):
    monkeypatch.setattr(
        keras.Model, "evaluate", lambda *_, **__: {"loss": math.nan, "map_correlation": math.nan}
    )
    with pytest.raises(LensingError, match="val_loss is nan before the first step"):
        train(changed(), tmp_path, quiet)
    assert not (tmp_path / BEST).exists()
