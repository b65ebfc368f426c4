"""A run that is stopped within an epoch goes on there, to the bit."""

import dataclasses
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import trainer.loop.running
from lensing_tfds.errors import LensingError
from trainer.__main__ import main
from trainer.loop.pace import measure_pace
from trainer.machine import devices
from trainer.runs.checkpoints import BEST, LAST, RUNNING, read_record
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
    """The folder of the same run, never stopped; its pace is measured, which changes nothing."""
    workdir = tmp_path_factory.mktemp("runs") / "uninterrupted"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.loop.planning.measure_pace", measure_pace)
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


@pytest.fixture
def interruptible():
    """Ctrl-C is heard, which a shell has its background jobs ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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


@pytest.fixture(scope="module")
def killed(overnight, tmp_path_factory):
    """The folder of the same run, killed after the fourth step of its second epoch was kept."""
    workdir = tmp_path_factory.mktemp("runs") / "killed"
    with pytest.raises(Killed):
        train(overnight, workdir, quiet, callbacks=[KillAt(STEPS + 5)], save_every=2)
    return workdir


@pytest.fixture
def workdir(killed, tmp_path):
    """A copy of the killed run."""
    return shutil.copytree(killed, tmp_path / "run")


def test_a_run_killed_within_an_epoch_equals_an_uninterrupted_one(
    overnight, uninterrupted, workdir
):
    lines: list[str] = []
    train(overnight, workdir, lines.append)
    assert "resuming after step 4 of epoch 2" in lines[0]
    assert_equal_to_the_bit(workdir, uninterrupted)


def test_a_run_that_goes_on_on_other_cores_says_so(overnight, workdir, monkeypatch):
    begun = devices.cores()
    assert json.loads((workdir / "config.json").read_text())["cores"] == begun
    said: dict[int, list[str]] = {begun: [], begun + 1: []}
    for cores, lines in said.items():
        monkeypatch.setattr(devices, "cores", lambda cores=cores: cores)
        with pytest.raises(Killed):
            train(overnight, workdir, lines.append, callbacks=[KillAt(1)])
    (line,) = set(said[begun + 1]) - set(said[begun])
    assert f"going on on {begun + 1}: sums round otherwise" in line
    assert json.loads((workdir / "config.json").read_text())["cores"] == begun


def test_a_run_on_fresh_skies_killed_within_an_epoch_equals_an_uninterrupted_one(
    overnight, tmp_path
):
    fresh = dataclasses.replace(overnight, fresh=True, reuse=2, deterministic=True)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    lines: list[str] = []
    train(fresh, whole, lines.append, simulators=1)
    with pytest.raises(Killed):
        train(fresh, stopped, quiet, callbacks=[KillAt(STEPS + 3)], save_every=2)
    train(fresh, stopped, quiet, simulators=len(os.sched_getaffinity(0)))
    assert_equal_to_the_bit(stopped, whole)
    assert re.search(r"50 fresh examples of lensing/tiny a pass, 2 of each sky \(sim", lines[0])
    assert re.search(r"examples/s  \d+ simulated/s, waits \d+%  ", lines[-1])
    for other in ({"reuse": 1}, {"fresh": False, "reuse": 1}):
        with pytest.raises(LensingError, match="other settings: .*reuse: 2 -> 1"):
            train(dataclasses.replace(fresh, **other), stopped, quiet)


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
from tests.paces import given
from trainer.loop import planning
from trainer.settings.config import TrainerConfig
from trainer.train import train

class Kill(keras.callbacks.Callback):
    left = random.Random(int(sys.argv[2])).randint(2, 7)
    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

planning.measure_pace = given
config = TrainerConfig.from_json({config})
train(config, sys.argv[1], callbacks=[Kill()], save_every=1)
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
    overnight, uninterrupted, interruptible, tmp_path, asking, kept
):
    epoch, steps = kept
    said = f"stopped by SIGINT; the same command goes on after step {epoch * STEPS + steps} of 14"
    with pytest.raises(KeyboardInterrupt, match=said):
        train(overnight, tmp_path, quiet, callbacks=[asking])
    record = read_record(tmp_path / RUNNING)
    assert (record.epoch, record.running.steps) == kept
    train(overnight, tmp_path, quiet)
    assert_equal_to_the_bit(tmp_path, uninterrupted)


def test_a_full_disk_leaves_the_step_that_was_kept_before(
    overnight, uninterrupted, tmp_path, monkeypatch
):
    save = keras.Model.save

    def full(model, path):
        if int(model.optimizer.iterations) == 4:
            path.write_bytes(b"half a file")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(model, path)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save", full)
        with pytest.raises(LensingError, match=f"cannot write {tmp_path / RUNNING}: No space left"):
            train(overnight, tmp_path, quiet, save_every=2)
    assert read_record(tmp_path / RUNNING).running.steps == 2
    assert not list(tmp_path.glob(".unfinished*"))
    train(overnight, tmp_path, quiet)
    assert_equal_to_the_bit(tmp_path, uninterrupted)


def test_no_network_is_kept_that_is_not_finite(overnight, tmp_path):
    diverging = dataclasses.replace(overnight, learning_rate=1e30, clipnorm=None)
    with pytest.raises(LensingError, match="no longer finite after step . of the epoch: the run"):
        train(diverging, tmp_path, quiet, save_every=1)
    assert not (tmp_path / LAST).exists()
    if (tmp_path / RUNNING).exists():
        model = keras.saving.load_model(tmp_path / RUNNING)
        assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_a_damaged_step_is_named_and_the_epoch_begins_again(overnight, uninterrupted, workdir):
    assert read_record(workdir / RUNNING).epoch == 1
    with pytest.raises(LensingError, match="other settings: seed: 5 -> 6"):
        train(dataclasses.replace(overnight, seed=6), workdir, quiet)
    assert len(load_run(workdir).history["epoch"]) == 1
    (workdir / RUNNING).write_bytes(b"nothing")
    lines: list[str] = []
    train(overnight, workdir, lines.append)
    assert lines[0] == f"{workdir / RUNNING} is damaged: going on from {LAST}, after epoch 1"
    assert_equal_to_the_bit(workdir, uninterrupted)


def test_without_its_last_epoch_a_run_goes_on_from_the_step_after(
    overnight, uninterrupted, workdir
):
    for lost in (BEST, LAST):
        (workdir / lost).unlink()
    lines: list[str] = []
    train(overnight, workdir, lines.append)
    place = "after step 4 of epoch 2"
    assert lines[:2] == [
        f"{workdir / LAST} is missing: going on from {RUNNING}, {place}",
        f"{workdir / BEST} is missing: the network of epoch 1 is lost, and the next one "
        "replaces it",
    ]
    assert_equal_to_the_bit(workdir, uninterrupted)  # the second is the best anyway


@pytest.mark.parametrize(
    ("every", "message"),
    [
        (STEPS + 1, "save_every is 8: an epoch has 7 steps, and its end is kept anyway; give at"),
        (0, "save_every is 0: must be at least 1"),
    ],
)
def test_steps_that_no_epoch_has_are_refused_before_a_network_is_built(
    overnight, tmp_path, every, message, monkeypatch
):
    monkeypatch.setattr("trainer.loop.preparation.measured_statistics", None)
    with pytest.raises(LensingError, match=message):
        train(overnight, tmp_path, quiet, save_every=every)
    assert not list(tmp_path.glob("*.keras"))


def test_a_network_that_is_fitted_has_no_steps(tmp_path, capsys):
    arguments = ["--dataset", "lensing/v11", "--data_dir", str(tmp_path), "--save_every", "3"]
    with pytest.raises(SystemExit) as exit:
        main([*arguments, "--workdir", str(tmp_path / "run")])
    assert exit.value.code == 2
    assert "save_every is for networks that are trained: iterated is" in capsys.readouterr().err


def test_patience_is_counted_across_sessions_and_more_of_it_goes_on(overnight, tmp_path):
    still = dataclasses.replace(overnight, learning_rate=1e-30, epochs=9, patience=2)
    with pytest.raises(Killed):
        train(still, tmp_path, quiet, callbacks=[KillAt(2 * STEPS + 4)], save_every=3)
    lines: list[str] = []
    run = train(still, tmp_path, lines.append)
    assert list(run.history["epoch"]) == [1, 2, 3]
    ended = "ended early: 2 epochs without a lower val_loss (more: --patience)"
    assert lines[-1] == ended
    lines.clear()
    train(still, tmp_path, lines.append)
    assert lines == [f"already finished: {ended}"]
    run = train(dataclasses.replace(still, patience=3), tmp_path, quiet)
    assert list(run.history["epoch"]) == [1, 2, 3, 4] and run.config.patience == 3


def test_deterministic_runs_are_equal_and_say_that_they_are(overnight, tmp_path):
    tf_config = pytest.importorskip("tensorflow.python.framework.config")

    deterministic = dataclasses.replace(overnight, epochs=1, deterministic=True)
    try:
        for name in ("one", "other"):
            train(deterministic, tmp_path / name, quiet)
        assert tf_config.is_op_determinism_enabled()
    finally:
        tf_config.disable_op_determinism()
    assert_equal_to_the_bit(tmp_path / "one", tmp_path / "other")
    assert json.loads((tmp_path / "one" / "config.json").read_text())["deterministic"] is True
    assert "--deterministic" in load_run(tmp_path / "one").describe().commands[0]


def test_terminated_within_an_epoch_the_command_ends_well_and_the_same_one_goes_on(
    data_dir, tmp_path, capsys
):
    """A batch system's warning, in a process of its own."""
    arguments = ["--dataset", "lensing/tiny", "--data_dir", data_dir, "--workdir", str(tmp_path)]
    arguments += ["--model", "4x4-3", "--batch_size", "1", "--save_every", "1"]
    command = [sys.executable, "-m", "trainer", *arguments, "--epochs", "2000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        while not (tmp_path / RUNNING).exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=180)
    assert process.returncode == 0
    said = r"\nstopped by SIGTERM; the same command goes on after step ([0-9,]+) of 100,000\n"
    step = int(re.fullmatch(said, errors)[1].replace(",", ""))
    assert not list(tmp_path.glob(".*"))
    record = read_record(tmp_path / RUNNING) or read_record(tmp_path / LAST)
    assert step == 50 * record.epoch + (record.running.steps if record.running else 0)
    main([*arguments, "--epochs", "1"])
    place = f"resuming after step {step} of epoch 1" if step < 50 else "already finished: "
    assert place in capsys.readouterr().out
