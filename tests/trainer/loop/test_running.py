"""A run that is stopped within an epoch goes on there, to the bit."""

import dataclasses
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import trainer.loop.running
from trainer.runs.checkpoints import BEST, LAST, RUNNING, read_record
from trainer.runs.plan import Pace
from trainer.runs.run import load_run
from trainer.train import train

STEPS = 7  # of an epoch


def quiet(line: str) -> None:
    """A report that nobody reads."""


@pytest.fixture(scope="module")
def overnight(config):
    """Two epochs of seven steps, the last of them smaller, of a moving rate and with averages."""
    changes = {"schedule": "cosine", "warmup_steps": 1, "ema_momentum": 0.9}
    return dataclasses.replace(config, batch_size=8, **changes)


@pytest.fixture(scope="module")
def uninterrupted(overnight, tmp_path_factory):
    """The folder of the same run, never stopped."""
    workdir = tmp_path_factory.mktemp("runs") / "uninterrupted"
    train(overnight, workdir, quiet)
    return workdir


def assert_equal_to_the_bit(a, b) -> None:
    """All but the seconds."""
    for name in (LAST, BEST):
        first, second = (keras.saving.load_model(folder / name) for folder in (a, b))
        for x, y in zip(first.variables, second.variables, strict=True):
            np.testing.assert_array_equal(x, y)
        for x, y in zip(first.optimizer.variables, second.optimizer.variables, strict=True):
            np.testing.assert_array_equal(x, y)
    rows, others = (load_run(folder).history for folder in (a, b))
    for column in ("epoch", "loss", "val_loss", "map_correlation", "val_map_correlation"):
        np.testing.assert_array_equal(rows[column], others[column])
    assert not (a / RUNNING).exists() and not (b / RUNNING).exists()


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch, uninterrupted):
    """Spares the runs that are interrupted the measuring of their pace."""
    monkeypatch.setattr("trainer.train.measure_pace", lambda *_: Pace(0.1, 0.1))


class Killed(BaseException):
    """Stands for a kill: nothing is done about it."""


class KillAt(keras.callbacks.Callback):
    """Ends the process, or what stands for it, in a step of the session, or of its validation."""

    def __init__(self, step: int, validation: bool = False):
        super().__init__()
        self.left = step
        self.validation = validation

    def on_train_batch_begin(self, batch, logs=None):
        if not self.validation:
            self._count()

    def on_test_batch_begin(self, batch, logs=None):
        if self.validation:
            self._count()

    def _count(self):
        self.left -= 1
        if self.left == 0:
            raise Killed


@pytest.mark.parametrize("steps", [(1, 4, 3, 6), (STEPS + 3,)])
def test_a_run_killed_in_any_step_equals_an_uninterrupted_one(
    overnight, uninterrupted, tmp_path, steps
):
    for step in steps:
        with pytest.raises(Killed):
            train(overnight, tmp_path, quiet, callbacks=[KillAt(step)], save_every=2)
    lines: list[str] = []
    train(overnight, tmp_path, lines.append)
    assert "resuming after step 2 of epoch 2" in lines[0]
    assert_equal_to_the_bit(tmp_path, uninterrupted)


def test_an_epoch_that_lacks_its_validation_only_is_validated(overnight, uninterrupted, tmp_path):
    with pytest.raises(Killed):
        killing = KillAt(2, validation=True)
        train(overnight, tmp_path, quiet, callbacks=[killing], save_every=STEPS)
    assert read_record(tmp_path / RUNNING).running.steps == STEPS
    assert not (tmp_path / LAST).exists()
    train(overnight, tmp_path, quiet)
    assert_equal_to_the_bit(tmp_path, uninterrupted)


# Killed as the machine is, in a step drawn at random of each session.
KILLED = """
import os, random, signal, sys
import keras
from trainer.settings.config import TrainerConfig
from trainer.train import train

class Kill(keras.callbacks.Callback):
    left = random.Random(int(sys.argv[2])).randint(2, 7)
    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

train(TrainerConfig.from_json({config}), sys.argv[1], callbacks=[Kill()], save_every=1)
"""


def test_a_process_killed_again_and_again_ends_with_the_same_bits(
    overnight, uninterrupted, tmp_path
):
    code = KILLED.format(config=overnight.to_json())
    for seed in range(2):
        command = [sys.executable, "-c", code, str(tmp_path / "run"), str(seed)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    train(overnight, tmp_path / "run", quiet)
    assert_equal_to_the_bit(tmp_path / "run", uninterrupted)


def test_steps_are_kept_by_the_clock_unless_somebody_counts_them(
    overnight, uninterrupted, tmp_path, monkeypatch
):
    monkeypatch.setattr(trainer.loop.running, "_SECONDS", 0.0)
    with pytest.raises(Killed):
        train(overnight, tmp_path, quiet, callbacks=[KillAt(4)])
    running = read_record(tmp_path / RUNNING).running
    assert running.steps == 3 and running.seconds > 0
    train(overnight, tmp_path, quiet)
    assert_equal_to_the_bit(tmp_path, uninterrupted)


class AskAt(KillAt):
    """Has the process asked to end instead."""

    def __init__(self, step, number, validation=False):
        super().__init__(step, validation)
        self.number = number

    def _count(self):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ("asking", "kept"),
    [
        (AskAt(3, signal.SIGINT), (0, 3)),
        (AskAt(1, signal.SIGINT, validation=True), (0, STEPS)),
        (AskAt(STEPS + 1, signal.SIGINT), (1, 1)),
    ],
)
def test_who_is_asked_to_end_keeps_the_step_and_says_which(
    overnight, uninterrupted, tmp_path, asking, kept
):
    epoch, steps = kept
    said = f"stopped by SIGINT; the same command goes on after step {epoch * STEPS + steps} of 14"
    with pytest.raises(KeyboardInterrupt, match=said):
        train(overnight, tmp_path, quiet, callbacks=[asking])
    record = read_record(tmp_path / RUNNING)
    assert (record.epoch, record.running.steps) == kept
    train(overnight, tmp_path, quiet)
    assert_equal_to_the_bit(tmp_path, uninterrupted)
