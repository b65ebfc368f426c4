"""The command makes what is missing, in other processes, and goes on after a failure."""

import datetime
import functools
import hashlib
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.results import __main__ as results
from benchmarks.results import cells, work
from benchmarks.results.cells import Cell
from benchmarks.results.cost import Cost
from benchmarks.results.evidence import gather
from estimators import judge
from estimators import results as written
from lensing_tfds.errors import LensingError
from lensing_tfds.records.locks import alone_in
from lensing_tfds.versions import VERSIONS
from tests.benchmarks.results import judged
from trainer.settings.config import resolve

UNET, CLOSED = Cell("v11", "unet"), Cell("v11", "iterated")


def python(program):
    return [sys.executable, "-c", program]


def test_a_program_that_ends_well_says_nothing(tmp_path):
    assert results.ended(python("print('done')"), tmp_path / "log.txt") is None
    assert (tmp_path / "log.txt").read_text() == "done\n"


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("print('a'); raise SystemExit('error: too large')", "too large"),
        ("raise SystemExit(3)", "it said nothing in "),
        (
            "import os; print('epoch 3', flush=True); os.kill(os.getpid(), 9)",
            "SIGKILL ended it, after: epoch 3",
        ),
    ],
)
def test_the_last_line_of_a_program_says_why_it_failed(tmp_path, program, line):
    log = tmp_path / "log.txt"
    log.write_text("of an earlier session\n")
    assert results.ended(python(program), log).startswith(line)


def test_who_stops_the_command_stops_the_cell_too(tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from benchmarks.results.__main__ import ended\n"
        "from lensing_tfds.command_line import command\n"
        "with command(False):\n"
        "    cell = 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'\n"
        "    ended([sys.executable, '-c', cell], Path(sys.argv[1]))\n"
    )
    log = tmp_path / "log.txt"
    process = subprocess.Popen([*python(program), str(log)])
    while not (log.exists() and log.read_text().endswith("\n")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text()), 0)


def test_a_cell_ends_with_a_command_that_was_killed(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(results, "ended", lambda arguments, log: started.extend(arguments))
    flags = results.parse_arguments(["--results", str(tmp_path)])
    results._made(flags, CLOSED, str(tmp_path), 1.0)
    assert started[started.index("--parent") + 1] == str(os.getpid())
    started[started.index("--parent") + 1] = "2147483647"  # nobody's
    process = subprocess.run(started, capture_output=True, text=True, timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, process.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture(name="made")
def made_fixture(monkeypatch):
    """Cells that were made; each is put there by hand, but for unet, which fails at first."""
    made, metrics = [], judged.some_metrics()

    def make(flags, cell, data_dir, minutes):
        made.append(cell)
        if cell == UNET and made.count(UNET) == 1:
            return "it diverged"
        judged.put(flags.results, cell, metrics, 0.6)
        return None

    monkeypatch.setattr(results, "_made", make)
    return made


def test_a_failed_cell_is_told_and_tried_again_and_what_is_finished_is_skipped(
    tmp_path, made, capsys
):
    flags = ["--data_dir", "/data", "--results", str(tmp_path), "--max_examples", "4"]
    flags += ["--page", str(tmp_path / "page.md"), "--versions", "v11"]
    with pytest.raises(SystemExit) as end:
        results.main([*flags, "--models", "unet", "iterated"])
    assert end.value.code == 1
    assert made == [UNET, CLOSED]
    said = capsys.readouterr().out
    assert "1/2 v11-unet: failed: it diverged" in said
    assert "2/2 v11-iterated: correlation 0.6000 ± 0.0010" in said
    assert "`unet` failed: it diverged" in (tmp_path / "page.md").read_text()
    results.main([*flags, "--models", "unet", "iterated"])
    assert made == [UNET, CLOSED, UNET]
    assert "2/2 v11-iterated: is there" in capsys.readouterr().out
    assert "failed" not in (tmp_path / "page.md").read_text().partition("## v11")[2]
    (tmp_path / "page.md").unlink()
    results.main(["--results", str(tmp_path), "--page", str(tmp_path / "page.md")])
    assert len(made) == 3 and (tmp_path / "page.md").exists()


def test_a_cell_that_was_stopped_without_a_failure_is_not_finished(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "_made", lambda *arguments: None)  # as after SIGTERM
    with pytest.raises(SystemExit) as end:
        results.main(["--results", str(tmp_path), "--versions", "v11", "--models", "unet"])
    assert end.value.code == 1
    assert "failed: it was stopped before it was judged" in capsys.readouterr().out


def test_bad_flags_are_refused_before_anything_is_made(tmp_path, made, capsys):
    for flags, line in (
        (["--models", "unett"], "unknown model 'unett'"),
        (["--versions", "v0"], "unknown version 'v0'"),
        (["--minutes", "-1"], "minutes is -1"),
        (["--readme", "README.md"], "name it by --page"),
    ):
        with pytest.raises(SystemExit) as end:
            results.main(["--results", str(tmp_path), *flags])
        assert end.value.code == 2
        assert line in capsys.readouterr().err
    assert made == []


def test_a_damaged_record_is_refused_before_anything_is_made(tmp_path, made, capsys):
    (tmp_path / "page.json").write_text('{"versions": {}, "sha256": "0"}')
    flags = ["--results", str(tmp_path), "--page", str(tmp_path / "page.md"), "--models", "unet"]
    with pytest.raises(SystemExit) as end:
        results.main(flags)
    assert end.value.code == 2 and made == []
    assert "page.json is not as it was measured: restore it" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


@pytest.fixture(name="tiny_cell")
def tiny_cell_fixture(monkeypatch, tiny):
    """A cell of one epoch on `lensing/tiny`."""
    monkeypatch.setitem(VERSIONS, "tiny", tiny)

    def config(cell, data_dir, minutes):
        length = {"minutes": minutes} if minutes < 1 else {"epochs": 1}
        return resolve("lensing/tiny", data_dir, tiny, model=cell.model, batch_size=25, **length)

    monkeypatch.setattr(cells.Cell, "config", config)
    return Cell("tiny", "1x4-3")


def test_a_cell_is_trained_and_judged_and_its_cost_is_kept(
    tmp_path, tiny_cell, data_dir, monkeypatch
):
    alone = functools.partial(judge.judge, baselines=False)  # which is quicker
    monkeypatch.setattr(judge, "judge", alone)
    work.work(tiny_cell, tmp_path, data_dir, 1.0, None)
    folder = tmp_path / tiny_cell.name
    cost = Cost.read(folder)
    (session,) = cost.training
    assert session.cpu_seconds > 0.01 and session.seconds > 0.01 and session.peak_gib > 0.05
    assert cost.judging is not None and cost.judging.cpu_seconds > 0.01
    assert (
        session.date == cost.judging.date == datetime.datetime.now(datetime.UTC).date().isoformat()
    )
    assert session.release == importlib.metadata.version("lensing-tfds")
    assert cost.parameters == 4 * 9 + 4 + 4 * 9 + 1
    (version,) = gather(tmp_path)
    (made,) = version.made
    assert (made.steps, made.examples, version.num_examples) == (2, 50, 11)
    assert made.training[0].cores == session.cores
    assert made.fingerprint == hashlib.sha256((folder / "best.keras").read_bytes()).hexdigest()
    # Again: nothing is done. On other examples: nothing is trained, or counted twice.
    monkeypatch.setattr(written, "write", None)
    work.work(tiny_cell, tmp_path, data_dir, 1.0, None)
    monkeypatch.setattr(written, "write", lambda run, evaluation: None)
    work.work(tiny_cell, tmp_path, data_dir, 1.0, 6)
    assert Cost.read(folder).training == cost.training


def test_a_cell_is_made_by_one_process_at_a_time(tmp_path, tiny_cell, data_dir, monkeypatch):
    def train(config, folder, *arguments, **settings):
        with alone_in(folder, "making it too", lock=".making"):
            pass

    monkeypatch.setattr("trainer.train.train", train)
    with pytest.raises(LensingError, match="another process is making it too in .*tiny-1x4-3"):
        work.work(tiny_cell, tmp_path, data_dir, 1.0, None)


def test_a_cell_that_is_killed_at_its_end_lacks_no_cost(tmp_path, tiny_cell, data_dir, monkeypatch):
    """Its metrics say that it is finished: they come last."""

    def killed(run, evaluation):
        raise KeyboardInterrupt

    monkeypatch.setattr(judge, "judge", lambda *arguments: None)
    monkeypatch.setattr(written, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        work.work(tiny_cell, tmp_path, data_dir, 1.0, None)
    cost = Cost.read(tmp_path / tiny_cell.name)
    assert cost.training and cost.judging is not None and cost.parameters == 4 * 9 + 4 + 4 * 9 + 1


def test_a_damaged_cost_is_named(tmp_path):
    (tmp_path / "cost.json").write_text(
        json.dumps({"training": [{}], "judging": 0, "parameters": 1})
    )
    with pytest.raises(LensingError, match=r"cost\.json is damaged"):
        Cost.read(tmp_path)
