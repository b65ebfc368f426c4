"""Nothing that ties predictions to their dataset, split and network can be changed unseen."""

import dataclasses
import json
import os

import numpy as np
import pytest

from estimators.kappa_files import open_kappa_maps
from estimators.predictions import open_predictions
from estimators.sealed_predictions import PredictionDescription, PredictionShard, read_description
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.shard_plans import SplitPlan
from tests.estimators.prediction_files import seal, write_predictions

CONFIG = LensingConfig(
    "small", npix=8, lx=5.0, num_examples={"train": 20, "validation": 20, "test": 20}
)


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    kappa = np.random.default_rng(0).standard_normal((20, 8, 8)).astype(np.float32)
    write_predictions(tmp_path, kappa, CONFIG, str(tmp_path / "data"), num_shards=3)
    return tmp_path


def edit(folder, **fields):
    path = folder / "predictions.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def refuse(folder):
    maps = open_kappa_maps(folder)
    read_description(str(folder / "predictions.json")).refuse_unless_sealed(maps)


def test_predictions_as_they_were_written_are_taken(folder):
    refuse(folder)
    opened = open_predictions(folder)
    assert (opened.name, opened.split, opened.caution) == ("1x4-3", "test", "")
    assert opened.config == CONFIG


def test_a_description_there_and_back(folder):
    text = (folder / "predictions.json").read_text()
    description = read_description(str(folder / "predictions.json"))
    assert json.dumps(description.to_json(), indent=2) == text


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"dataset": "lensing/v8"}, "dataset is 'lensing/v8', its config says 'lensing/small'"),
        ({"config": CONFIG.to_json() | {"seed": 5}}, "kappa-00000-of-00003.npy holds other examp"),
        ({"config": CONFIG.to_json() | {"lx": 6.0}}, "kappa-00000-of-00003.npy holds other examp"),
        ({"split": "train"}, "examples 0 to 5 of lensing/small train by network 0123456789ab"),
        ({"dataset_version": "0.9.0"}, "from data version 0.9.0, which is .* now: predict again"),
        ({"network_sha256": "f" * 64}, "holds other examples: .* by network ffffffffffff"),
        ({"network_sha256": "f"}, "network_sha256 is 'f': not a SHA-256 hash"),
        ({"num_shards": 2}, "kappa-00000-of-00002.npy is missing"),
        ({"num_shards": 0}, "num_shards is 0: must be 1 to 20"),
        ({"num_examples": 19}, "num_examples is 19, its config says 20"),
        ({"split": "tset"}, "split is 'tset': must be one of train, validation, test"),
        ({"model": 4}, "model is 4, not of type str"),
        ({"config": []}, r"config is \[\], not of type dict"),
        ({"config": {"npix": 8}}, "the field 'name' is missing"),
        ({"colour": "blue"}, "'colour' is unknown"),
    ],
)
def test_an_edited_description_is_refused(folder, fields, line):
    edit(folder, **fields)
    with pytest.raises(LensingError, match=line):
        refuse(folder)


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(PredictionDescription)]
)
def test_a_description_needs_each_of_its_fields(folder, name):
    path = folder / "predictions.json"
    values = json.loads(path.read_text())
    del values[name]
    path.write_text(json.dumps(values))
    with pytest.raises(LensingError, match=rf"predictions.json is not .*: '{name}' is missing"):
        read_description(str(path))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"split": "test", "split": "train"}'])
def test_a_description_that_is_no_json_is_named(folder, content):
    (folder / "predictions.json").write_text(content)
    with pytest.raises(LensingError, match="predictions.json"):
        open_predictions(folder)


def test_a_flipped_bit_is_seen(folder):
    path = folder / "kappa-00001-of-00003.npy"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(LensingError, match="00001-of-00003.npy does not have the bytes that were"):
        refuse(folder)


def test_files_that_changed_places_are_seen(folder):
    """Of one length: their own seals and indices go with them."""
    write_predictions(folder, np.zeros((20, 8, 8)), CONFIG, str(folder / "data"), num_shards=2)
    for number in (0, 1, 2):
        for path in folder.glob(f"*-0000{number}-of-00003*"):
            path.unlink()
    refuse(folder)
    for ending in ("kappa-{}.npy", "kappa-{}.npy.crc32c", "index-{}.npy"):
        first, second = (folder / ending.format(f"0000{n}-of-00002") for n in (0, 1))
        os.rename(first, folder / "aside")
        os.rename(second, first)
        os.rename(folder / "aside", second)
    with pytest.raises(LensingError, match="kappa-00000-of-00002.npy holds other examples"):
        refuse(folder)


def test_indices_that_were_edited_are_seen(folder):
    path = folder / "index-00000-of-00003.npy"
    np.save(path, np.load(path)[::-1])
    with pytest.raises(LensingError, match="kappa-00000-of-00003.npy has other indices"):
        refuse(folder)


def test_a_file_too_many_is_named(folder):
    np.save(folder / "kappa-more.npy", np.zeros((1, 8, 8)))
    np.save(folder / "index-more.npy", [20])
    with pytest.raises(LensingError, match="kappa-more.npy is not one of the 3 files of"):
        refuse(folder)


def test_maps_without_a_seal_are_not_those_described(folder):
    (folder / "kappa-00002-of-00003.npy.crc32c").unlink()
    with pytest.raises(LensingError, match="00002-of-00003.npy has no checksum beside it"):
        refuse(folder)


def test_another_networks_shard_is_seen(folder):
    spec = SplitPlan(CONFIG, "test", 3, f"{folder}/kappa").shard(1)
    seal(PredictionShard(spec, "e" * 64))
    with pytest.raises(LensingError, match="00001-of-00003.npy holds other examples"):
        refuse(folder)


def test_maps_without_a_description_are_named_as_such(folder):
    (folder / "predictions.json").unlink()
    with pytest.raises(LensingError, match="no predictions.json that says what it holds"):
        open_predictions(folder)
    opened = open_predictions(folder, "lensing/v1", str(folder))
    assert opened.split is None and opened.name == folder.name
    assert "taken to be of lensing/v1 because whoever judged them said so" in opened.caution
