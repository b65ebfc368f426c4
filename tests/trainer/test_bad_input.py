"""A line of its command for each thing that a network was not made for, or that a run lacks."""

import dataclasses
import io
import shutil
import zipfile

import h5py
import pytest

from lensing_tfds import VERSIONS
from tests.trainer.kept_runs import keep
from trainer.__main__ import main as train_command
from trainer.evaluate import main as evaluate
from trainer.pretrained_models import has_pretrained
from trainer.runs.checkpoints import BEST, read_record, save
from trainer.runs.run import load_run
from trainer.runs.run_config import RunConfig, write_config
from trainer.train import train


@pytest.fixture(name="trained", scope="module")
def trained_fixture(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("trained") / "run"
    train(dataclasses.replace(config, epochs=1), workdir)
    return workdir


@pytest.fixture(name="workdir")
def workdir_fixture(trained, tmp_path):
    """A copy of a trained run, to be spoilt."""
    return shutil.copytree(trained, tmp_path / "run")


def error_line(capsys, command, *arguments):
    with pytest.raises(SystemExit) as exit:
        command([*map(str, arguments)])
    assert exit.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"npix": 32}, "npix: 32 -> 16"),
        ({"stokes": "TQU"}, "stokes: 'TQU' -> 'T'"),
        ({"cosmology": {"H0": 70.0}}, "cosmology: {'H0': 70.0} -> None"),
    ],
)
def test_a_run_is_judged_on_no_other_maps_than_its_own(workdir, capsys, changes, difference):
    run = load_run(workdir)
    other = dataclasses.replace(run.lensing, **changes)
    write_config(workdir, RunConfig(run.config, other, run.dataset_version))
    keep(run.model, workdir)
    (workdir / "last.keras").unlink()
    said = error_line(capsys, evaluate, "--workdir", workdir)
    assert f"not what the run was trained on: {difference}" in said


def test_the_network_of_a_version_is_not_taken_for_another_cosmology():
    assert has_pretrained(VERSIONS["v11"])
    assert not has_pretrained(dataclasses.replace(VERSIONS["v11"], cosmology={"H0": 70.0}))


def test_a_models_name_with_a_typo_is_told_the_nearest(data_dir, tmp_path, capsys):
    flags = ["--dataset", "lensing/tiny", "--data_dir", data_dir, "--workdir", tmp_path / "run"]
    said = error_line(capsys, train_command, *flags, "--model", "unett")
    assert "unknown model 'unett': did you mean unet?" in said


def test_more_steps_between_saves_than_an_epoch_has_are_refused(data_dir, tmp_path, capsys):
    flags = ["--dataset", "lensing/tiny", "--data_dir", data_dir, "--workdir", tmp_path / "run"]
    flags += ["--model", "1x4-3", "--batch_size", "16", "--epochs", "1", "--save_every", "5"]
    said = error_line(capsys, train_command, *flags)
    assert "save_every is 5: an epoch has 4 steps, and its end is kept anyway; give at" in said


def another_class(name, content):
    return content.replace(b"Conv2D", b"Conv9D") if name == "config.json" else content


def another_option(name, content):
    # Of the layers: the config of the maps has a padding too, which is a number.
    known, new = b'"padding": "', b'"edges": "periodic", "padding": "'
    return content.replace(known, new) if name == "config.json" else content


def weights_elsewhere(name, content):
    """Renames the groups of the layers' weights."""
    if not name.endswith(".h5"):
        return content
    held = io.BytesIO(content)
    with h5py.File(held, "a") as file:
        file.move("layers", "stack")
    return held.getvalue()


@pytest.mark.parametrize("changed", [another_class, another_option, weights_elsewhere])
def test_a_network_that_another_keras_wrote_is_refused(workdir, capsys, changed):
    path = workdir / BEST
    record, other = read_record(path), workdir / "other.zip"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        contents = {name: old.read(name) for name in old.namelist() if name != "run.json"}
        written = {name: changed(name, content) for name, content in contents.items()}
        assert written != contents
        for name, content in written.items():
            new.writestr(name, content)

    class Written:
        """Has itself written as that file."""

        def save(self, path):
            shutil.copyfile(other, path)

    save(Written(), path, record)
    (workdir / "last.keras").unlink()
    said = error_line(capsys, evaluate, "--workdir", workdir)
    assert f"{path} is whole, but Keras " in said
    assert "read it with the version that trained it, or train again in another folder" in said
