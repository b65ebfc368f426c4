"""A process that is asked to end does so between two steps, and what it had finished is kept."""

import os
import re
import signal
import subprocess
import sys

import keras
import pytest

from trainer.loop.interruption import ending_between_steps
from trainer.runs.checkpoints import LAST, read_record
from trainer.runs.run import load_run
from trainer.train import train


def quiet(line: str) -> None:
    """A report that nobody reads."""


class Asked(KeyboardInterrupt):
    """The process was asked to end."""


@pytest.fixture(name="handled", autouse=True)
def handled_fixture():
    """A process that ends by an exception, as all commands do."""

    def end(number, frame):
        raise Asked(number)

    before = {n: signal.signal(n, end) for n in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class AskAt(keras.callbacks.Callback):
    """Has the process asked to end, and counts what still happens."""

    def __init__(self, moment: str, number: int):
        super().__init__()
        self.number = number
        self.happened: list[str] = []
        self.armed = False
        for name in ("train_batch_begin", "train_batch_end", "test_batch_begin", "epoch_end"):
            setattr(self, f"on_{name}", lambda *_, name=name, **__: self._note(name, moment))

    def _note(self, name: str, moment: str) -> None:
        if self.armed:
            self.happened.append(name)
        elif name == moment:
            self.armed = True
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ("number", "moment", "after"),
    [
        (signal.SIGINT, "train_batch_begin", ["train_batch_end"]),
        (signal.SIGTERM, "test_batch_begin", []),
        (signal.SIGTERM, "epoch_end", []),
    ],
)
def test_the_step_is_finished_and_no_other_begins(changed, tmp_path, number, moment, after):
    asking = AskAt(moment, number)
    with pytest.raises(Asked) as error:
        train(changed(epochs=2), tmp_path, quiet, callbacks=[asking])
    assert error.value.args == (number,)
    assert asking.happened == after
    finished = read_record(tmp_path / LAST)
    assert (finished.epoch if finished else 0) == (1 if moment == "epoch_end" else 0)
    if finished:  # within an epoch: `test_running`
        assert len(train(changed(epochs=2), tmp_path, quiet).history["epoch"]) == 2


def test_a_second_signal_is_obeyed_at_once_and_the_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Asked), ending_between_steps():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("the second was not obeyed")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_after_the_last_step_is_not_forgotten():
    passed = False
    with pytest.raises(Asked), ending_between_steps():
        os.kill(os.getpid(), signal.SIGTERM)
        passed = True
    assert passed


def test_terminated_while_it_starts_the_command_says_one_line(data_dir, tmp_path):
    """While TensorFlow traces the network, an exception would be its own error."""
    workdir = tmp_path / "run"
    command = [sys.executable, "-m", "trainer", "--dataset", "lensing/tiny", "--data_dir", data_dir]
    command += ["--model", "4x4-3", "--epochs", "100000", "--workdir", str(workdir)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        assert process.stdout.readline().startswith("training 4x4-3")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=180)
    assert process.returncode == 0
    assert re.fullmatch(
        r"\nstopped by SIGTERM; the same command goes on( after step .*)?\n", errors
    )
    assert not [path.name for path in workdir.glob(".*")]
    if (workdir / LAST).exists():
        assert len(load_run(workdir).history["epoch"]) == read_record(workdir / LAST).epoch
