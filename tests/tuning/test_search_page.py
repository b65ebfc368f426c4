import subprocess
import sys
import warnings

import numpy as np
import pytest

from estimators.reports import style
from lensing_tfds.versions import VERSIONS
from trainer.runs.plan import duration
from trainer.settings.spaces import space_for
from tuning import figures, sealed_json
from tuning.config import SearchConfig
from tuning.report import main
from tuning.trials import (
    SearchRecord,
    best_hyperparameters,
    failure_file,
    project,
    ranked,
    read_trials,
    run_folder,
    write_search,
)

CONFIG = SearchConfig(dataset="lensing/v3", data_dir="/data", space=space_for("v3"), max_epochs=2)
RECORD = SearchRecord(CONFIG, VERSIONS["v3"], "1.0.0")
POINT = {name: dimension.extremes[0] for name, dimension in CONFIG.space.dimensions().items()}


def add_trial(workdir, number, status, losses=(), seconds=30.0, **values):
    """A trial's folder, as Keras Tuner and the trainer leave it."""
    folder = project(workdir) / f"trial_{number}"
    run_folder(folder).mkdir(parents=True)
    hyperparameters = {"space": [], "values": POINT | values}
    state = {"trial_id": number, "status": status, "hyperparameters": hyperparameters}
    sealed_json.write(folder / "trial.json", state)
    head = "epoch,loss,map_correlation,val_loss,val_map_correlation,seconds,examples_per_second"
    rows = [f"{i},1,0,{loss},{1 - loss},{seconds},9" for i, loss in enumerate(losses, start=1)]
    if rows:
        (run_folder(folder) / "history.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


@pytest.fixture(name="workdir")
def workdir_fixture(tmp_path):
    """Two completed trials, a promoted one, a failed one and one that runs."""
    write_search(tmp_path, RECORD)
    add_trial(tmp_path, "0000", "COMPLETED", [0.5, 0.7])
    add_trial(tmp_path, "0001", "COMPLETED", [0.9, 0.4], depth=6)
    parent = {"tuner/trial_id": "0001", "tuner/initial_epoch": 2, "tuner/epochs": 4}
    add_trial(tmp_path, "0002", "COMPLETED", [0.9, 0.4, 0.3, 0.35], depth=6, **parent)
    folder = add_trial(tmp_path, "0003", "FAILED", width=32)
    failure_file(folder).write_text("out of <memory>\n\nTraceback ...")
    add_trial(tmp_path, "0004", "RUNNING", [0.2])
    return tmp_path


def test_the_table_has_completed_trials_best_first_and_counts_all(workdir, capsys):
    main(["--workdir", str(workdir)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lensing/v3, hyperband, best val_loss first"
    rows = [line.split() for line in lines[2:5]]
    assert [row[:4] for row in rows] == [
        ["0002", "0.3000", "0.7000", "3/4"],
        ["0001", "0.4000", "0.6000", "2/2"],
        ["0000", "0.5000", "0.5000", "1/2"],
    ]
    assert "6x16-3 adam 5e-05 batch 32" in lines[2]
    # The promoted trial's first two epochs were its parent's.
    assert lines[5] == (
        "5 trials (3 completed, 1 failed, 1 unfinished), 7 epochs, 3m 30s of training"
    )
    assert lines[6] == "trial 0003 failed: out of <memory>"
    assert lines[7] == f"report: {workdir}/report.html"


def test_the_page_has_the_table_the_curves_and_how_to_use_it(workdir):
    main(["--workdir", str(workdir)])
    html = (workdir / "report.html").read_text()
    assert html.index(">0002</th>") < html.index(">0001</th>") < html.index(">0000</th>")
    assert html.count("data:image/svg+xml;base64,") == 3
    assert "out of &lt;memory&gt;" in html
    assert f"python -m trainer --hparams {workdir}/best_hyperparameters.json" in html
    assert "http" not in html and "<script" not in html  # nothing is fetched


def test_the_objective_decides_the_order(workdir):
    trials = read_trials(workdir, RECORD)
    assert [t.number for t in ranked(trials, "val_loss")] == ["0002", "0001", "0000"]
    assert [t.number for t in ranked(trials, "val_map_correlation")] == ["0002", "0001", "0000"]
    assert trials[0].best("val_map_correlation")["epoch"] == 1


def test_the_best_settings_name_the_trial_and_its_epoch(workdir):
    trials = read_trials(workdir, RECORD)
    hparams = best_hyperparameters(workdir, RECORD, ranked(trials, "val_loss")[0])
    assert hparams.values["model"] == "6x16-3" and hparams.values["epochs"] == 4
    assert (hparams.found.trial, hparams.found.epoch, hparams.found.val_loss) == ("0002", 3, 0.3)


def test_a_search_that_has_just_begun_has_a_report_too(tmp_path, capsys):
    write_search(tmp_path, RECORD)
    main(["--workdir", str(tmp_path)])
    assert "0 trials (0 completed, 0 failed, 0 unfinished)" in capsys.readouterr().out
    add_trial(tmp_path, "0000", "RUNNING")
    main(["--workdir", str(tmp_path)])
    assert "1 trials (0 completed, 0 failed, 1 unfinished)" in capsys.readouterr().out


@pytest.mark.parametrize("column", ["val_loss", "val_map_correlation"])
@pytest.mark.parametrize("losses", [[1.0], [-1, -2], [0, 0], ["nan"], ["inf", 2], [1e308, 1e-320]])
def test_a_search_of_any_numbers_is_drawn(losses, column, tmp_path):
    for number in ("0000", "0001"):
        add_trial(tmp_path, number, "COMPLETED", [float(loss) for loss in losses])
    trials = read_trials(tmp_path, RECORD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in (
            figures.curves(trials, "val_loss", column),
            figures.progress(trials, column),
        ):
            style.save(figure, "png", dpi=30)
            ticks = figure.axes[0].get_xticks()
            assert np.array_equal(ticks, np.round(ticks))  # no epoch 0.945


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workdir", "{}/none"], "none holds no search (no search.json)"),
        (["--workdir", "{}", "--rows", "0"], "rows is 0: must be at least 1"),
    ],
)
def test_bad_input_is_one_line(flags, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit:
        main([flag.format(tmp_path) for flag in flags])
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("content", ["{", "{}", "[]", "", "\0"])
@pytest.mark.parametrize("file", ["search.json", "trials/trial_0001/trial.json"])
def test_a_damaged_file_is_read_from_its_copy_or_named(file, content, workdir, capsys):
    main(["--workdir", str(workdir)])
    whole = capsys.readouterr().out
    path = workdir / file
    path.write_text(content)
    main(["--workdir", str(workdir)])
    assert capsys.readouterr().out == whole
    sealed_json.copy_of(path).write_text(content)
    with pytest.raises(SystemExit):
        main(["--workdir", str(workdir)])
    error = capsys.readouterr().err
    assert str(path) in error and "--overwrite to start anew" in error and error.count("\n") == 1


def test_a_trial_whose_epochs_are_lost_is_named(workdir, capsys):
    (run_folder(project(workdir) / "trial_0001") / "history.csv").unlink()
    with pytest.raises(SystemExit):
        main(["--workdir", str(workdir)])
    assert "trial_0001/run has lost its epochs" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\n"])
def test_a_damaged_reason_of_a_failure_hides_nothing_else(content, workdir, capsys):
    failure_file(project(workdir) / "trial_0003").write_bytes(content)
    main(["--workdir", str(workdir)])
    assert "trial 0003 failed: " in capsys.readouterr().out


def test_a_report_needs_neither_tensorflow_nor_keras():
    code = (
        "import sys, tuning.report;"
        "assert not {'tensorflow', 'keras', 'keras_tuner', 'pymaster'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("seconds", "text"), [(5, "5s"), (65, "1m 05s"), (3725, "1h 02m")])
def test_durations_are_as_people_say_them(seconds, text):
    assert duration(seconds) == text
