import dataclasses
import functools
import json

import pytest

import lensing_tfds
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS
from trainer.__main__ import main
from trainer.runs.run import load_run
from trainer.settings.hparams import (
    FoundTrial,
    HParams,
    compared,
    fingerprint,
    read_hparams,
    write_hparams,
)

FOUND = FoundTrial(
    dataset="lensing/tiny",
    workdir="runs/tune",
    trial="0007",
    objective="val_loss",
    epoch=3,
    val_loss=0.5,
    val_map_correlation=0.7,
)


def test_hyperparameters_survive_their_file(tmp_path):
    hparams = HParams({"model": "4x64-9", "clipnorm": None}, FOUND)
    write_hparams(tmp_path / "best.json", hparams)
    assert read_hparams(tmp_path / "best.json") == hparams
    written = json.loads((tmp_path / "best.json").read_text())
    assert written["lensing_tfds_version"] == lensing_tfds.__version__
    (tmp_path / "own.json").write_text('{"hyperparameters": {"epochs": 3}}')
    assert read_hparams(tmp_path / "own.json") == HParams({"epochs": 3})


def test_the_file_wins_over_the_study_and_a_flag_over_the_file():
    hparams = HParams({"model": "7x64-3", "learning_rate": 0.5, "batch_size": 8})
    config = hparams.resolve("lensing/v8", "/data", VERSIONS["v8"], batch_size=4, epochs=None)
    # The rest is what the study used for this network.
    assert (config.model, config.optimizer, config.momentum) == ("7x64-3", "sgd", 0.9)
    assert (config.learning_rate, config.batch_size, config.epochs) == (0.5, 4, None)


def test_a_flag_of_one_length_takes_the_place_of_the_files_other():
    """A search's file names both: epochs, and null for minutes."""
    hparams = HParams({"model": "7x64-3", "epochs": 3, "minutes": None})
    resolved = functools.partial(hparams.resolve, "lensing/v8", "/data", VERSIONS["v8"])
    for flags, length in (
        ({}, (3, None)),
        ({"minutes": 5.0}, (None, 5)),
        ({"epochs": 4}, (4, None)),
    ):
        config = resolved(**flags)
        assert (config.epochs, config.minutes) == length
    with pytest.raises(LensingError, match="epochs is 4 and minutes is 5.0: give one of the two"):
        resolved(epochs=4, minutes=5.0)
    nothing = HParams({"model": "unet", "epochs": None, "minutes": None})
    with pytest.raises(LensingError, match="epochs is None and minutes is None: give one"):
        nothing.resolve("lensing/v8", "/data", VERSIONS["v8"])


def test_none_in_the_file_is_a_value():
    hparams = HParams({"model": "5x64-1x32-3"})
    assert hparams.resolve("lensing/v8", "/data", VERSIONS["v8"]).clipnorm == 1
    hparams = HParams({"model": "5x64-1x32-3", "clipnorm": None})
    assert hparams.resolve("lensing/v8", "/data", VERSIONS["v8"]).clipnorm is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "holds no hyperparameters"),
        ("[]", "holds no hyperparameters"),
        ('{"model": "4x64-9"}', 'expected {"hyperparameters": {...}}'),
        ('{"hyperparameters": {"depth": 3}}', "unknown hyperparameter 'depth': known are model"),
        ('{"hyperparameters": {"dataset": "lensing/v1"}}', "unknown hyperparameter 'dataset'"),
        ('{"hyperparameters": {}, "score": 1}', "unknown ['score']"),
        ('{"hyperparameters": {}, "found": {"trial": "1"}}', "must have exactly dataset, workdir"),
        ('{"hyperparameters": {}, "found": 3}', '"found" is 3: must have exactly dataset'),
        ('{"hyperparameters": {"epochs": 0}}', "epochs is 0: must be at least 1"),
        ('{"hyperparameters": {"epochs": "3"}}', "epochs is '3': must be a whole number"),
        ('{"hyperparameters": {"epochs": 2.5}}', "epochs is 2.5: must be a whole number"),
        ('{"hyperparameters": {"epochs": true}}', "epochs is True: must be a whole number"),
        ('{"hyperparameters": {"augment": "no"}}', "augment is 'no': must be true or false"),
        ('{"hyperparameters": {"clipnorm": "x"}}', "clipnorm is 'x': must be a number or null"),
        ('{"hyperparameters": {"seed": 1, "seed": 2}}', "the key 'seed' is there twice: 1 and 2"),
        ('{"hyperparameters": {"learning_rate": NaN}}', "NaN is not a number in JSON"),
    ],
)
def test_a_file_of_something_else_is_one_line(content, message, tmp_path, capsys):
    path = tmp_path / "hparams.json"
    path.write_text(content)
    with pytest.raises(SystemExit) as exit:
        main(["--hparams", str(path), "--model", "unet", "--workdir", str(tmp_path / "run")])
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_missing_file_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--hparams", str(tmp_path / "none.json")])
    assert f"cannot read {tmp_path}/none.json: No such file" in capsys.readouterr().err


def test_the_trainer_takes_the_file_and_reports_its_score_beside_the_trials(
    data_dir, tmp_path, capsys
):
    values = {"model": "1x4-3", "batch_size": 16, "epochs": 2, "seed": 5}
    write_hparams(tmp_path / "best.json", HParams(values, FOUND))
    workdir = tmp_path / "run"
    main(
        ["--hparams", str(tmp_path / "best.json"), "--data_dir", data_dir]
        + ["--workdir", str(workdir), "--epochs", "1"]
    )
    run = load_run(workdir)
    assert run.config.dataset == "lensing/tiny"  # that of the search, as no other is named
    assert (run.config.model, run.config.seed, run.config.epochs) == ("1x4-3", 5, 1)
    best = run.best_epoch()
    line = compared(FOUND, best["val_loss"], best["val_map_correlation"], "")
    assert line in capsys.readouterr().out
    assert f"val_loss {best['val_loss']:.4f} (trial 0007 of runs/tune: 0.5000)" in line
    assert f"val_map_correlation {best['val_map_correlation']:.4f} (0.7000)" in line


def test_a_folder_for_the_file_is_one_line_about_reading(tmp_path):
    with pytest.raises(LensingError, match=f"^{tmp_path} is a folder: name a file"):
        read_hparams(tmp_path)


def test_a_score_on_a_dataset_that_was_built_anew_is_said_not_to_compare(tiny):
    now, then = fingerprint(tiny, "2.0.0"), dataclasses.replace(tiny, seed=tiny.seed + 1)
    for other in (fingerprint(then, "2.0.0"), fingerprint(tiny, "1.0.0")):
        found = dataclasses.replace(FOUND, dataset_fingerprint=other)
        assert compared(found, 0.5, 0.7, now).endswith(
            "; not comparable: the trial's dataset had another config, seed or version"
        )
    for same in (now, None):  # None: a search of before wrote no fingerprint
        found = dataclasses.replace(FOUND, dataset_fingerprint=same)
        assert "not comparable" not in compared(found, 0.5, 0.7, now)
    old = dataclasses.asdict(FOUND)
    del old["dataset_fingerprint"]
    assert FoundTrial.from_json(old) == FOUND


def test_found_is_what_the_file_says_and_nothing_else(tmp_path):
    write_hparams(tmp_path / "best.json", HParams({}, FOUND))
    assert json.loads((tmp_path / "best.json").read_text())["found"] == dataclasses.asdict(FOUND)
