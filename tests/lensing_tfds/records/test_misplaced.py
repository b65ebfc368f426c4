"""A dataset is known by its folder's name: under another it is refused by all who open it."""

import dataclasses
import pathlib
import shutil

import pytest
import tensorflow_datasets as tfds

from lensing_tfds import VERSIONS, LensingConfig, LensingError, simulate
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records import storage
from lensing_tfds.records.datasets import (
    absolute_data_dir,
    find_config,
    open_built,
    open_dataset,
)
from lensing_tfds.records.stored_config import refuse_misplaced
from lensing_tfds.records.stored_dataset import read_dataset
from pipelines import verify

MINE = LensingConfig("mine", npix=16, lx=5.0, num_examples={"train": 4, "validation": 2, "test": 2})


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("intact")
    Builder(config=MINE, data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture
def data_dir(intact, tmp_path) -> pathlib.Path:
    shutil.copytree(intact / "lensing", tmp_path / "lensing")
    return tmp_path


def rename(old, new):
    old.rename(new)


def link(old, new):
    new.symlink_to(old)


def load(name, data_dir):
    return tfds.load(f"lensing/{name}", data_dir=data_dir, download=False)


def load_a_version_of_the_data(name, data_dir):
    return tfds.load(f"lensing/{name}:{DATASET_VERSION}", data_dir=data_dir)


def by_its_folder(name, data_dir):
    return tfds.builder_from_directory(data_dir / "lensing" / name / DATASET_VERSION)


def train(name, data_dir):
    return open_dataset(find_config(f"lensing/{name}", str(data_dir)), str(data_dir))


def run_verify(name, data_dir):
    verify.main(["--verbose", "--dataset", f"lensing/{name}", "--data_dir", str(data_dir)])


OPENERS = [
    load,
    load_a_version_of_the_data,
    by_its_folder,
    train,
    run_verify,
    lambda name, data_dir: open_built(name, str(data_dir)),
    lambda name, data_dir: tfds.builder(f"lensing/{name}", data_dir=data_dir).as_dataset(),
]


@pytest.mark.parametrize("opens", OPENERS)
@pytest.mark.parametrize("move", [rename, shutil.copytree, link])
@pytest.mark.parametrize("name", ["yours", "v7"])
def test_a_dataset_under_another_name_is_refused_by_all(data_dir, opens, move, name):
    opens("mine", data_dir)
    move(data_dir / "lensing" / "mine", data_dir / "lensing" / name)
    with pytest.raises(LensingError, match=rf"lensing/{name}/|holds another config named '{name}'"):
        opens(name, data_dir)


def test_simulate_refuses_it_too(data_dir):
    (data_dir / "lensing" / "mine").rename(data_dir / "lensing" / "yours")
    with pytest.raises(LensingError, match="holds lensing/mine, by its metadata.json"):
        simulate("yours", "train", [0], data_dir)


def test_a_version_has_its_whole_config():
    v7, folder = VERSIONS["v7"], f"/data/lensing/v7/{DATASET_VERSION}"
    refuse_misplaced(v7, folder)
    refuse_misplaced(
        dataclasses.replace(v7, num_examples={"train": 3, "validation": 3, "test": 3}), folder
    )
    more = dict(v7.num_examples, train=v7.num_examples["train"] + 1)
    for change in ({"seed": v7.seed + 1}, {"noise_uK_arcmin": 9.0}, {"num_examples": more}):
        with pytest.raises(LensingError, match=rf"is not the version v7 \({next(iter(change))}: "):
            refuse_misplaced(dataclasses.replace(v7, **change), folder)


def test_another_config_of_the_name_is_not_served_unbuilt(data_dir):
    builder = Builder(config=dataclasses.replace(MINE, seed=9), data_dir=data_dir)
    with pytest.raises(LensingError, match=r"holds another config \(seed: 9 -> 0\)"):
        builder.as_dataset(split="train")


def test_another_data_version_under_this_ones_name_is_refused(data_dir):
    folder = data_dir / "lensing" / "mine" / DATASET_VERSION
    with pytest.raises(LensingError, match=f"holds data version {DATASET_VERSION}"):
        read_dataset(str(folder.rename(folder.with_name("3.0.0"))))


def test_beside_an_empty_newer_folder_a_dataset_is_found(data_dir):
    (data_dir / "lensing" / "mine" / "3.0.0").mkdir()
    assert len(tfds.load("lensing/mine", data_dir=data_dir, split="train")) == 4


def test_what_tfds_cannot_open_says_why(data_dir):
    folder = data_dir / "lensing" / "mine" / DATASET_VERSION
    with pytest.raises(LensingError, match=f"in data version {DATASET_VERSION}, not in 1.0.0"):
        tfds.load("lensing/mine:1.0.0", data_dir=data_dir)
    (folder / "features.json").unlink()
    with pytest.raises(LensingError, match="features.json is missing"):
        tfds.load("lensing/mine", data_dir=data_dir)
    (folder / "dataset_info.json").unlink()
    with pytest.raises(LensingError, match="was not finished"):
        tfds.load("lensing/mine", data_dir=data_dir)
    with pytest.raises(LensingError, match="unknown version 'yours'"):
        tfds.load("lensing/yours", data_dir=data_dir)


@pytest.mark.parametrize(
    "opens", [run_verify, train, lambda name, data_dir: simulate(name, "train", [0], data_dir)]
)
def test_a_folder_that_may_not_be_read_is_not_called_missing(data_dir, opens, monkeypatch):
    folder = str(data_dir / "lensing" / "mine")

    def refusing(function):
        def refuse(path, **settings):
            if str(path).startswith(folder):
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, **settings)

        return refuse

    for name in ("scandir", "stat"):  # root, who runs tests in containers, may read all
        monkeypatch.setattr(storage.os, name, refusing(getattr(storage.os, name)))
    with pytest.raises(LensingError, match=f"cannot read {folder}.*: Permission denied"):
        opens("mine", data_dir)


def test_a_folder_is_given_as_a_path_or_as_text(data_dir):
    assert simulate("mine", "train", [0], data_dir)["index"].tolist() == [0]
    assert simulate("mine", "train", [0], str(data_dir))["index"].tolist() == [0]
    assert absolute_data_dir(data_dir) == str(data_dir)
    for opens in (
        lambda: simulate("mine", "train", [0], 3),
        lambda: Builder(config=MINE, data_dir=3),
        lambda: absolute_data_dir(3),
    ):
        with pytest.raises(LensingError, match="data_dir is 3: give a folder"):
            opens()
