"""Files of a run that are damaged, missing or of another run: named and repaired, or refused."""

import dataclasses
import errno
import random
import shutil
import zipfile

import keras
import numpy as np
import pytest

from lensing_tfds.errors import LensingError
from trainer.runs.checkpoints import BEST, LAST, RUNNING, load, read_record, save
from trainer.runs.run import load_run
from trainer.train import train

FILES = (BEST, LAST, "history.csv", "config.json")


def quiet(line: str) -> None:
    """A report that nobody reads."""


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """A finished run of three epochs, the best of which is its second: its config and folder."""
    config = dataclasses.replace(config, epochs=2)
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    train(config, workdir, quiet)
    record = read_record(workdir / BEST)
    assert record.epoch == 2
    best = record.history[-1] | {"val_loss": 1e-9}  # whatever the third epoch reaches
    for name in (BEST, LAST):
        model = load(workdir / name)
        save(model, workdir / name, dataclasses.replace(record, history=(record.history[0], best)))
    config = dataclasses.replace(config, epochs=3)
    train(config, workdir, quiet)
    assert read_record(workdir / BEST).epoch == 2
    assert read_record(workdir / LAST).epoch == 3
    return config, workdir


@pytest.fixture
def workdir(whole, tmp_path):
    """A copy of the run, to damage."""
    return shutil.copytree(whole[1], tmp_path / "run")


def weights(path) -> list[np.ndarray]:
    return keras.saving.load_model(path).get_weights()


def _epoch(path) -> int:
    record = read_record(path)
    assert record is not None
    return record.epoch


def retrained(config, workdir) -> list[str]:
    lines: list[str] = []
    train(config, workdir, lines.append)
    return lines


def assert_equal_runs(a, b) -> None:
    """The same networks, settings and epochs."""
    for name in (BEST, LAST):
        for x, y in zip(weights(a / name), weights(b / name), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-6)
        assert _epoch(a / name) == _epoch(b / name)
    first, second = load_run(a), load_run(b)
    assert first.config == second.config
    for column in ("epoch", "loss", "val_loss"):
        np.testing.assert_allclose(first.history[column], second.history[column], atol=1e-5)


DAMAGE = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "binary": lambda content: bytes(range(256)) * 4,
    "one bit": lambda content: content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
    "missing": None,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", [LAST, "config.json", "history.csv"])
def test_a_damaged_file_is_named_and_the_same_command_mends_the_run(whole, workdir, file, damage):
    config, original = whole
    path, change = workdir / file, DAMAGE[damage]
    content = path.read_bytes()
    path.unlink() if change is None else path.write_bytes(change(content))
    lines = retrained(config, workdir)
    text = damage == "one bit" and file == "history.csv"  # another number, which nobody reads
    assert text or any(str(path) in line for line in lines)
    assert_equal_runs(workdir, original)
    assert file == LAST or path.read_bytes() == content
    assert lines[-1] == "already finished: 3 epochs (more: --epochs)" or file == LAST


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_lost_best_network_is_said_and_replaced_by_the_last(whole, workdir, damage):
    change = DAMAGE[damage]
    path = workdir / BEST
    path.unlink() if change is None else path.write_bytes(change(path.read_bytes()))
    with pytest.raises(LensingError, match=f"{path} is (damaged|missing).*: run the command that"):
        _ = load_run(workdir).model
    lines = retrained(whole[0], workdir)
    assert "the network of epoch 2 is lost, and that of epoch 3 replaces it" in lines[0]
    assert read_record(path).epoch == 3
    run = load_run(workdir)
    assert run.best_epoch()["epoch"] == 3 and len(run.history["epoch"]) == 3
    assert "3, judged is 3" in run.describe().section


def test_a_later_epoch_replaces_the_one_that_took_a_lost_networks_place(whole, workdir):
    (workdir / BEST).unlink()
    record = read_record(workdir / LAST)
    poor = record.history[-1] | {"val_loss": 1e9}
    record = dataclasses.replace(record, history=(*record.history[:-1], poor))
    save(load(workdir / LAST), workdir / LAST, record)
    train(dataclasses.replace(whole[0], epochs=4), workdir, quiet)
    assert read_record(workdir / BEST).epoch == 4  # worse than the lost one of epoch 2


def test_a_best_network_that_is_the_last_is_copied_from_there(config, tmp_path):
    train(dataclasses.replace(config, epochs=1), tmp_path, quiet)
    before = (tmp_path / BEST).read_bytes()[:-64]
    (tmp_path / BEST).write_bytes(before)
    lines = retrained(dataclasses.replace(config, epochs=1), tmp_path)
    assert lines[0] == f"{tmp_path / BEST} is damaged: {LAST}, of the same epoch, replaces it"
    assert read_record(tmp_path / BEST) == read_record(tmp_path / LAST)


def test_a_best_network_that_was_put_there_of_a_worse_epoch_is_replaced(whole, workdir):
    record = read_record(workdir / LAST)
    first = {**record.history[0], "val_loss": record.history[2]["val_loss"] + 1}
    record = dataclasses.replace(record, history=(first, *record.history[1:]))
    for name, epochs in ((BEST, 1), (LAST, 3)):
        history = record.history[:epochs]
        save(load(workdir / name), workdir / name, dataclasses.replace(record, history=history))
    lines = retrained(whole[0], workdir)
    assert lines[0] == f"{workdir / BEST} is of epoch 1, and epoch 3 is better: {LAST} replaces it"
    assert read_record(workdir / BEST).epoch == load_run(workdir).best_epoch()["epoch"] == 3
    assert "replaces" not in retrained(whole[0], workdir)[0]


@pytest.mark.parametrize("name", [BEST, LAST])
def test_checkpoints_of_two_runs_of_the_same_settings_are_told_by_their_losses(
    whole, workdir, name
):
    record = read_record(workdir / name)
    changed = {**record.history[1], "loss": 0.5}
    history = (record.history[0], changed, *record.history[2:])
    save(load(workdir / name), workdir / name, dataclasses.replace(record, history=history))
    for open_it in (load_run, lambda folder: train(whole[0], folder, quiet)):
        with pytest.raises(LensingError, match="are of different runs: epoch 2 has loss .*0.5"):
            open_it(workdir)


def test_without_a_whole_checkpoint_the_run_is_refused_and_left(whole, workdir):
    for name in (BEST, LAST):
        (workdir / name).write_bytes(b"nothing")
    with pytest.raises(LensingError, match=f"no checkpoint in {workdir} is whole: restore"):
        train(whole[0], workdir, quiet)
    assert (workdir / BEST).read_bytes() == b"nothing"


@pytest.mark.parametrize("name", [RUNNING, *FILES])
def test_a_folder_in_place_of_a_file_is_named_before_any_work(whole, workdir, name):
    (workdir / name).unlink(missing_ok=True)
    (workdir / name).mkdir()
    with pytest.raises(LensingError, match=f"{workdir / name} is a folder.*: move it away"):
        train(whole[0], workdir, quiet)


def test_a_run_whose_checkpoints_were_removed_begins_again_and_says_so(whole, workdir):
    for name in (BEST, LAST):
        (workdir / name).unlink()
    lines = retrained(whole[0], workdir)
    assert lines[0] == f"{workdir} has a history.csv but no checkpoint: training from the beginning"


def test_a_run_killed_between_its_two_checkpoints_has_the_epochs_of_the_newer_one(workdir):
    record = read_record(workdir / LAST)
    for name, epochs in ((BEST, 2), (LAST, 1)):  # the best one is written first
        history = record.history[:epochs]
        save(load(workdir / name), workdir / name, dataclasses.replace(record, history=history))
    for lost, epochs in (("tensorboard", 2), (LAST, 3), ("history.csv", 2)):
        if lost != "tensorboard":
            (workdir / lost).unlink()
        run = load_run(workdir)
        assert len(run.history["epoch"]) == epochs
        assert run.best_epoch()["epoch"] == 2


def test_every_flipped_bit_of_a_checkpoint_is_noticed(whole, workdir):
    path = workdir / LAST
    content = path.read_bytes()
    rng = random.Random(0)
    places = {0, len(content) - 1, *rng.sample(range(len(content)), 300)}
    for place in places:
        bit = 1 << rng.randrange(8)
        path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        with pytest.raises(LensingError, match=f"{path} is damaged"):
            read_record(path)
        with pytest.raises(LensingError, match=f"{path} is damaged"):
            load(path)


def test_a_checkpoint_is_one_of_keras_and_says_what_it_is_of(whole):
    _, workdir = whole
    assert keras.saving.load_model(workdir / BEST).count_params() == 77
    record = read_record(workdir / BEST)
    assert record.config["model"] == "1x4-3" and record.config["lensing"]["npix"] == 16
    assert [row["epoch"] for row in record.history] == [1, 2]


def test_a_keras_file_without_a_record_is_refused(whole, workdir):
    """As trainings before had them, and other programs have."""
    keras.saving.load_model(workdir / BEST).save(workdir / BEST)
    with pytest.raises(LensingError, match="is damaged, or was not written by this version"):
        _ = load_run(workdir).model


def test_a_checkpoint_of_another_version_of_keras_is_one_line(whole, workdir):
    path = workdir / BEST
    record, other = read_record(path), workdir / "other.zip"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = content.replace(b"Conv2D", b"Conv9D")
            if name != "run.json":
                new.writestr(name, content)

    class Written:
        """Has itself written as that file."""

        def save(self, path):
            shutil.copyfile(other, path)

    save(Written(), path, record)
    with pytest.raises(LensingError, match="is whole, but Keras .* cannot read it") as error:
        _ = load_run(workdir).model
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (OSError(errno.ENOSPC, "No space left"), "cannot read .*: No space left .*unpacks it in"),
        (ValueError("a layer\n" * 999), r"is whole, but .* a layer .*\.\.\.\): read it"),
    ],
)
def test_what_keras_says_is_told_in_short(whole, workdir, monkeypatch, raised, line):
    def load_model(path, compile):
        raise raised

    monkeypatch.setattr(keras.saving, "load_model", load_model)
    with pytest.raises(LensingError, match=line) as error:
        _ = load_run(workdir).model
    assert len(str(error.value).removeprefix(str(workdir))) < 600


@pytest.fixture(scope="module")
def another(whole, tmp_path_factory):
    """A run of another rate: its config and folder."""
    config = dataclasses.replace(whole[0], learning_rate=0.5)
    workdir = tmp_path_factory.mktemp("runs") / "another"
    train(config, workdir, quiet)
    return config, workdir


@pytest.mark.parametrize("file", [BEST, LAST, "config.json"])
def test_files_of_two_runs_in_one_folder_are_never_read_in_silence(whole, another, workdir, file):
    config, (other, folder) = whole[0], another
    shutil.copyfile(folder / file, workdir / file)
    with pytest.raises(LensingError, match=r"are of different runs .*learning_rate: "):
        load_run(workdir)
    if file == "config.json":  # what was trained is in the checkpoints
        lines = retrained(config, workdir)
        assert "config.json is not the checkpoints' (learning_rate: 0.5 -> 0.001)" in lines[0]
        assert load_run(workdir).config.learning_rate == 0.001
        return
    for wanted in (config, other):
        with pytest.raises(LensingError, match=r"are of different runs .*delete the one"):
            train(wanted, workdir, quiet)


def test_a_dataset_that_gives_other_numbers_of_steps_than_before_is_refused(whole, workdir):
    config, _ = whole
    model, record = load(workdir / LAST), read_record(workdir / LAST)
    model.optimizer.iterations.assign(11)
    save(model, workdir / LAST, record)
    with pytest.raises(LensingError, match="of 11 steps in 3 epochs, but an epoch has 4 steps"):
        train(config, workdir, quiet)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "epoch,loss\n1,0.5\n",
        "HEADER\n1,2,3\n",
        "HEADER\n1,1,1,1,1,1,x\n",
        "HEADER\n2,1,1,1,1,1,1\n",
        "HEADER\n1,1,1,1,1,1,1,1\n",
        "\0",
        "\udcff",
    ],
)
def test_a_history_that_is_none_is_named_where_no_checkpoint_has_it(workdir, content):
    from trainer.runs.history import COLUMNS

    (workdir / LAST).unlink()
    path = workdir / "history.csv"
    text = content.replace("HEADER", ",".join(COLUMNS))
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(LensingError, match=f"{path} is damaged"):
        load_run(workdir)
