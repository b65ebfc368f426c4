"""Runs whose length is minutes: what they hold is measured once, and kept."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys

import pytest

from lensing_tfds.errors import LensingError
from tests.trainer.test_train import assert_same_run
from trainer.__main__ import main
from trainer.loop import planning
from trainer.loop.callbacks import Progress
from trainer.loop.pace import measure_pace
from trainer.runs.checkpoints import BEST, LAST, load, read_record, save
from trainer.runs.plan import Pace, Plan, planned
from trainer.runs.run import load_run
from trainer.train import train

STEP, VALIDATION = 0.8, 2.0  # 5 epochs of 3 steps fit into half a minute; a pass has 4

# A run that is killed as the machine is, once two epochs are kept.
KILLED = """
import os, signal, sys
import keras
from trainer.loop import planning
from trainer.settings.config import TrainerConfig
from trainer.train import train
from trainer.runs.plan import Pace, planned

class Kill(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)

planning.measure_pace = lambda *_: Pace({step}, {validation})
planning.planned = lambda minutes, _, pace: planned(minutes, 0.0, pace)
config = TrainerConfig.from_json({config})
train(config, sys.argv[1], callbacks=[Kill()])
"""


def quiet(line: str) -> None:
    """A report that nobody reads."""


def set_pace(patch: pytest.MonkeyPatch, step: float) -> None:
    """Has a network take so many seconds a step, and nothing to get ready."""
    patch.setattr(planning, "measure_pace", lambda *_: Pace(step, VALIDATION))
    patch.setattr(planning, "planned", lambda minutes, _, pace: planned(minutes, 0.0, pace))


@pytest.fixture
def paced(monkeypatch):
    """A function that says how many seconds a network takes for a step."""
    return lambda step: set_pace(monkeypatch, step)


@pytest.fixture(scope="module")
def halfminute(config):
    """Half a minute on a cosine schedule."""
    length = {"epochs": None, "minutes": 0.5}
    return dataclasses.replace(config, schedule="cosine", warmup_steps=1, **length)


@pytest.fixture(scope="module")
def finished(halfminute, tmp_path_factory):
    """A run of half a minute, and what was said."""
    workdir, lines = tmp_path_factory.mktemp("runs") / "finished", []
    with pytest.MonkeyPatch.context() as patch:
        set_pace(patch, STEP)
        train(halfminute, workdir, lines.append)
    return workdir, lines


def test_a_run_of_minutes_killed_and_resumed_equals_an_uninterrupted_one(
    halfminute, finished, paced, tmp_path
):
    code = KILLED.format(step=STEP, validation=VALIDATION, config=halfminute.to_json())
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False)
    assert killed.returncode == -9
    begun = load_run(tmp_path / "run")
    assert len(begun.history["epoch"]) == 2
    # Another machine, on which it would be another plan: none is made.
    paced(100.0)
    lines: list[str] = []
    train(halfminute, tmp_path / "run", lines.append)
    assert "resuming after epoch 2" in lines[0]
    resumed, (uninterrupted, _) = load_run(tmp_path / "run"), finished
    assert resumed.plan == begun.plan == load_run(uninterrupted).plan
    assert resumed.config == begun.config
    assert len(resumed.history["epoch"]) == begun.plan.epochs
    assert_same_run(tmp_path / "run", uninterrupted)


def test_minutes_are_cut_into_epochs_that_are_no_passes_and_the_rate_ends_at_zero(finished):
    workdir, lines = finished
    assert load_run(workdir).plan == Plan(3, 9)
    assert lines[1].startswith(
        "an epoch takes 9s: 9 steps of 0.8 s (2.2 passes) and 2 s of validation; "
        "3 epochs take 28s, until "
    )
    values = json.loads((workdir / "config.json").read_text())
    assert values["plan"] == {"epochs": 3, "steps_per_epoch": 9}
    assert (values["minutes"], values["epochs"]) == (0.5, None)
    optimizer = load(workdir / LAST).optimizer
    assert int(optimizer.iterations) == 27 and float(optimizer.learning_rate) == 0
    rate = optimizer._learning_rate
    assert (float(rate(0)), float(rate(1))) == pytest.approx((0.0005, 0.001))


def test_the_report_says_what_the_minutes_held_and_the_command(finished):
    description = load_run(finished[0]).describe()
    assert "0.5 minutes, which held 3 epochs of 9 steps" in description.section
    (command,) = description.commands
    assert " --minutes 0.5 " in command and " --schedule cosine --warmup_steps 1 " in command
    assert "--epochs" not in command


def test_the_time_of_real_steps_decides(halfminute, tmp_path, monkeypatch):
    """Two hundred times what was measured: half a minute's plan then takes an instant."""

    def slowed(*arguments) -> Pace:
        pace = measure_pace(*arguments)
        return Pace(200 * pace.step, 200 * pace.validation)

    monkeypatch.setattr(planning, "measure_pace", slowed)
    monkeypatch.setattr(planning, "_MEASURING", 0.001)
    run = train(dataclasses.replace(halfminute, minutes=3.0), tmp_path, quiet)
    assert len(run.history["epoch"]) == run.plan.epochs
    assert run.plan.steps >= 1


def test_more_minutes_are_more_epochs_of_a_constant_rate(halfminute, paced, tmp_path):
    paced(STEP)
    constant = dataclasses.replace(halfminute, schedule="constant", warmup_steps=0)
    run = train(constant, tmp_path, quiet)
    lines: list[str] = []
    train(constant, tmp_path, lines.append)
    assert lines == ["already finished: 3 epochs (more: --minutes)"]
    mean = run.history["seconds"].mean()
    run = train(dataclasses.replace(constant, minutes=5.5 * mean / 60), tmp_path, quiet)
    assert run.plan == Plan(5, 9) and len(run.history["epoch"]) == 5
    fewer = dataclasses.replace(constant, minutes=1e-6)
    assert train(fewer, tmp_path, quiet).config == run.config
    passes = dataclasses.replace(constant, minutes=None, epochs=9)
    with pytest.raises(LensingError, match=r"None -> 9 .*an epoch of minutes is no pass over"):
        train(passes, tmp_path, quiet)


def test_another_length_of_a_cosine_is_refused_and_more_is_another_run(halfminute, finished):
    workdir, _ = finished
    lines: list[str] = []
    train(halfminute, workdir, lines.append)
    ended = "its schedule has ended: for more --minutes, train in another --workdir"
    assert lines == [f"already finished: 3 epochs ({ended})"]
    longer = dataclasses.replace(halfminute, minutes=1.0)
    with pytest.raises(LensingError, match="minutes: 0.5 -> 1.0 .*cosine schedule ends with it"):
        train(longer, workdir, quiet)


def test_a_checkpoint_of_another_plan_is_of_a_different_run(halfminute, finished, tmp_path):
    workdir = shutil.copytree(finished[0], tmp_path / "run")
    record = read_record(workdir / BEST)
    record.config["plan"]["steps_per_epoch"] = 8
    save(load(workdir / BEST), workdir / BEST, record)
    with pytest.raises(LensingError, match="different runs .*steps_per_epoch: "):
        train(halfminute, workdir, quiet)


def test_too_few_minutes_are_refused_before_anything_is_kept(halfminute, paced, tmp_path):
    paced(100.0)
    with pytest.raises(LensingError, match="minutes is 0.5: must be at least 1.8, which hold one"):
        train(halfminute, tmp_path, quiet)
    assert not list(tmp_path.glob("*.keras")) and not (tmp_path / "config.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--minutes", "0"], "minutes is 0.0: must be positive"),
        (["--minutes", "-1"], "minutes is -1.0: must be positive"),
        (["--minutes", "nan"], "minutes is nan: must be positive"),
        (["--minutes", "inf"], "minutes is inf: must be positive, and at most a million"),
        (["--minutes", "5", "--epochs", "3"], "epochs is 3 and minutes is 5.0: give one of"),
        (["--optimizer", "lion"], "optimizer is 'lion': must be adam or adamw or sgd"),
        (["--schedule", "linear"], "schedule is 'linear': must be constant or cosine"),
        (["--weight_decay", "0.1"], "weight_decay is 0.1: must be 0 with adam"),
        (["--warmup_steps", "-5"], "warmup_steps is -5: must be in [0, 2^31)"),
    ],
)
def test_bad_input_is_one_line_before_any_work(arguments, message, tmp_path, capsys):
    arguments = ["--model", "1x4-3", *arguments]
    with pytest.raises(SystemExit) as exit:
        main(["--data_dir", str(tmp_path / "data"), "--workdir", str(tmp_path), *arguments])
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_the_running_epoch_says_how_long_the_run_takes_still(capsys, monkeypatch):
    now = iter((100.0, 108.0))
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    progress = Progress(Plan(3, 10), 5.0, quiet, live=True)
    progress.on_epoch_begin(1)
    progress.on_train_batch_end(3, {"loss": 0.25})  # 4 steps of 2 s; 16 steps and 2 validations
    shown = capsys.readouterr().out
    assert re.search(r"epoch 2/3  step 4/10  loss 0.2500  42s left", shown)


def test_the_running_epoch_shows_the_last_validation(capsys):
    logs = dict.fromkeys(("loss", "val_loss", "map_correlation", "examples_per_second"), 0.5)
    resumed = Progress(Plan(3, 10), 5.0, quiet, live=True, correlation=0.125)
    for known in ("0.125", "0.750"):
        resumed._shown = 0.0
        resumed.on_epoch_begin(1)
        resumed.on_train_batch_end(0, logs)
        assert f"  last val_correlation {known}  " in capsys.readouterr().out
        resumed.on_epoch_end(1, logs | {"val_map_correlation": 0.75, "seconds": 1.0})


@pytest.mark.parametrize(("epochs", "said"), [(1, "; 1 epoch takes "), (2, "; 2 epochs take ")])
def test_one_epoch_takes_and_two_take(changed, tmp_path, epochs, said):
    class SaidError(Exception):
        pass

    def ending(line: str) -> None:
        if said in line:
            raise SaidError

    with pytest.raises(SaidError):
        train(changed(epochs=epochs), tmp_path, ending)


def test_the_epoch_that_goes_on_is_shown_from_the_step_that_it_goes_on_after(capsys, monkeypatch):
    now = iter((100.0, 108.0))
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    progress = Progress(Plan(3, 10), 5.0, quiet, live=True, taken=4)
    progress.on_epoch_begin(1)
    progress.on_train_batch_end(3, {"loss": 0.25})  # 4 steps of 2 s; 12 steps and 2 validations
    assert re.search(r"epoch 2/3  step 8/10  loss 0.2500  34s left", capsys.readouterr().out)


def test_the_time_that_is_left_knows_of_no_tracing(monkeypatch):
    now = iter((100.0, 130.0, 132.0, 134.0))
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    lines: list[str] = []
    progress = Progress(Plan(3, 3), 5.0, lines.append, live=False)
    progress.on_epoch_begin(0)
    for batch in range(3):  # the first step takes 30 s, the others 2 s, and validation 5 s
        progress.on_train_batch_end(batch, {"loss": 0.25})
    logs = dict.fromkeys(("loss", "val_loss", "map_correlation", "val_map_correlation"), 0.5)
    progress.on_epoch_end(0, logs | {"seconds": 39.0, "examples_per_second": 1.0})
    assert lines[0].endswith("  22s left")
