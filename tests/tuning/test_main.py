"""The command line: `python -m tuning`, alone, as a chief, as a worker, and with workers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.__main__ import main as train
from trainer.runs.run import load_run
from tuning import cluster
from tuning.__main__ import main
from tuning.trials import read_search, read_trials


def clean_environment():
    """As a person's shell: tests silence TensorFlow themselves."""
    return {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}


def error_line(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


def test_help_answers_without_importing_tensorflow():
    code = (
        "import sys; from tuning.__main__ import parse_arguments; parse_arguments([]);"
        "assert not {'tensorflow', 'keras', 'keras_tuner', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_command_searches_and_its_result_goes_straight_into_the_trainer(
    arguments, data_dir, tmp_path, capsys
):
    main(arguments)
    best, said = tmp_path / "search" / "best_hyperparameters.json", capsys.readouterr()
    assert said.out.count("\ntrial 000") == 2
    assert f"the best settings are in {best}" in said.out
    assert f"python -m trainer --hparams {best}" in said.out
    assert said.err == ""
    train(["--hparams", str(best), "--data_dir", data_dir, "--workdir", str(tmp_path / "run")])
    found = json.loads(best.read_text())["found"]
    run = load_run(tmp_path / "run")
    assert run.best_epoch()["val_loss"] == pytest.approx(found["val_loss"], rel=1e-4)
    assert f"(trial {found['trial']} of {tmp_path}/search: {found['val_loss']:.4f})" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset", "mnist"], "unknown dataset 'mnist': expected lensing/<config>"),
        (["--dataset", "lensing/wide"], "lensing/wide is neither a version"),
        (["--tuner", "grid"], "tuner is 'grid': must be hyperband, bayesian, random"),
        (["--objective", "accuracy"], "objective is 'accuracy': must be val_loss"),
        (["--max_epochs", "0"], "max_epochs is 0: must be at least 1"),
        (["--max_examples", "51"], "max_examples is 51: lensing/tiny train has 50"),
        (["--reuse", "2"], "reuse is 2: is for skies that are --fresh"),
        (["--max_trials", "0"], "max_trials is 0: must be positive"),
        (["--max_minutes", "-1"], "max_minutes is -1.0: must be positive"),
        (["--space", "/none.json"], "cannot read /none.json: No such file"),
        (["--workdir", "/dev/null/search"], "cannot write to the folder /dev/null/search"),
        (["--workers", "0"], "workers is 0: must be at least 1"),
        (["--workers", "1" + "0" * 30], "must be at most 1000"),
        (["--workers", "2", "--port", "0"], "port is 0: must be in [1, 65535]"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(flags, message, arguments, capsys):
    assert message in error_line([*arguments, *flags], capsys)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"dropout": [0.1]}, "unknown hyperparameter 'dropout': the space has optimizer"),
        ({"depth": []}, "depth has no values"),
        ({"last_kernel": [4]}, "last_kernel is 4: must be odd"),
    ],
)
def test_a_space_that_cannot_be_is_one_line(space, message, arguments, tmp_path, capsys):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(space))
    assert f"{path}: {message}" in error_line([*arguments, "--space", str(path)], capsys)
    assert not (tmp_path / "search").exists()


def test_a_folder_of_another_dataset_is_one_line(arguments, tmp_path, capsys):
    main([*arguments, "--max_trials", "1", "--max_epochs", "1"])
    capsys.readouterr()
    for flags in ([], ["--workers", "2"]):
        line = error_line([*arguments, *flags, "--dataset", "lensing/v3"], capsys)
        assert f"{tmp_path}/search holds a search on lensing/tiny, not lensing/v3" in line


def test_a_taken_port_is_one_line_for_a_chief_and_for_workers(arguments, capsys, monkeypatch):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        line = error_line([*arguments, "--workers", "2", "--port", port], capsys)
        assert f"the oracle cannot listen on 127.0.0.1:{port}: Address already in use" in line
        for name, value in (("TUNER_ID", "chief"), ("ORACLE_IP", "127.0.0.1")):
            monkeypatch.setenv(f"KERASTUNER_{name}", value)
        monkeypatch.setenv("KERASTUNER_ORACLE_PORT", port)
        assert f"the oracle cannot listen on 127.0.0.1:{port}" in error_line(arguments, capsys)


def test_a_worker_without_a_chief_is_one_line(arguments, capsys, monkeypatch):
    port = str(cluster.free_port("127.0.0.1"))
    for name, value in (("TUNER_ID", "w"), ("ORACLE_IP", "127.0.0.1"), ("ORACLE_PORT", port)):
        monkeypatch.setenv(f"KERASTUNER_{name}", value)
    line = error_line([*arguments, "--chief_timeout", "0.5"], capsys)
    assert f"no chief answers at 127.0.0.1:{port} (waited 0.5 s): start one" in line
    assert "unset KERASTUNER_ORACLE_IP" in error_line([*arguments, "--workers", "2"], capsys)


def test_terminated_a_search_keeps_what_it_has_and_the_same_command_goes_on(arguments, tmp_path):
    command = [sys.executable, "-m", "tuning", *arguments, "--max_trials", "30"]
    workdir = tmp_path / "search"
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as p:
        wait_for(lambda: list(workdir.glob("trials/trial_0001/run/history.csv")), p)
        p.send_signal(signal.SIGTERM)
        assert p.wait(60) == 128 + signal.SIGTERM
        # And nothing else: TensorFlow's start-up notes are silenced.
        assert p.stderr.read() == "\nstopped; what was finished is kept\n"
    done = ended(workdir)
    assert 0 < len(done) < 30
    main([*arguments, "--max_trials", str(len(done) + 1)])
    assert len(ended(workdir)) == len(done) + 1
    assert not list(workdir.glob("trials/*/begun"))


def test_a_chief_and_two_workers_one_of_them_killed_account_for_every_trial(arguments, tmp_path):
    """The real thing: three processes, and a supervisor that brings the dead one back."""
    command = [sys.executable, "-m", "tuning", *arguments, "--workers", "2"]
    command += ["--max_trials", "3", "--max_epochs", "7"]
    workdir = tmp_path / "search"
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(),
    ) as supervisor:
        worker, number = wait_for(lambda: at_work(workdir), supervisor)
        workers = {name: pid for pid, name in children(supervisor.pid)}
        assert workers.keys() == {"chief", "worker-0", "worker-1"}
        os.kill(workers[worker], signal.SIGKILL)
        output, _ = supervisor.communicate(timeout=300)
    assert supervisor.returncode == 0, output
    assert f"{worker} died of SIGKILL: starting it again" in output
    trials = read_trials(workdir, read_search(workdir))
    assert [t.number for t in trials] == ["0000", "0001", "0002"]
    assert {t.status for t in trials} == {"COMPLETED"}
    assert {type(t.settings.augment) for t in trials} == {bool}  # through the protocol
    for trial in trials:  # each ended once, with each epoch once
        assert output.count(f"\ntrial {trial.number}  ") == 1, output
        assert [row["epoch"] for row in trial.history] == list(range(1, 8))
    assert number in {t.number for t in trials}
    assert not children(supervisor.pid)
    state = json.loads((workdir / "trials" / "oracle.json").read_text())
    assert sorted(state["end_order"]) == sorted(state["start_order"])
    assert "error" not in output and "oneDNN" not in output


def wait_for(condition, process, seconds=300):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert process.poll() is None, "the process ended before"
        assert time.monotonic() < deadline, "this never happened"
        time.sleep(0.02)
    return result


def ended(workdir):
    return [t for t in read_trials(workdir, read_search(workdir)) if t.status == "COMPLETED"]


def at_work(workdir):
    """A worker and the number of the trial that it is in the middle of."""
    try:
        state = json.loads((workdir / "trials" / "oracle.json").read_text())
    except FileNotFoundError:
        return None
    for worker, number in state["ongoing_trials"].items():
        history = workdir / "trials" / f"trial_{number}" / "run" / "history.csv"
        if history.exists() and 2 <= len(history.read_text().splitlines()) <= 4:
            return worker, number
    return None


def children(pid):
    """(pid, name) of a supervisor's processes."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            variables = (entry / "environ").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        names = [v.split(b"=")[1].decode() for v in variables if v.startswith(b"KERASTUNER_TUNER")]
        if parent == pid and names:
            found.append((int(entry.name), names[0]))
    return found
