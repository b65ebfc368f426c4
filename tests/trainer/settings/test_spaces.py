import dataclasses

import pytest

from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from lensing_tfds.versions import VERSIONS
from trainer.networks import families
from trainer.networks.space import Choice, LogRange
from trainer.networks.stacks import StackSpace
from trainer.settings.recipes import RECIPES, recipe_for
from trainer.settings.spaces import changed, space_for

POINT = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 32, "augment": True}
POINT_SIZES = ("depth", "width", "tail", "last_kernel", "batch_size")
POINT |= {"depth": 4, "width": 64, "tail": 32, "last_kernel": 9, "upsampling": 1}


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_a_versions_study_trained_is_inside_its_space(version):
    space = space_for(version)
    studied = (r for r in RECIPES[version] if families.family_of(r.model) == space.family)
    for recipe in studied:
        point = space.locate(dataclasses.asdict(recipe) | {"augment": version != "v1"})
        settings = space.settings(point)
        assert settings.pop("augment") is (version != "v1")
        # Clipping and epochs are no dimensions.
        assert dataclasses.replace(recipe, **settings) == recipe


@pytest.mark.parametrize("version", ["v9", "v10", "v11", "v12"])
def test_the_largest_network_of_a_surveys_space_fits_into_memory(version):
    config, space = VERSIONS[version], space_for(version)
    largest = {name: max(d.values) for name, d in space.dimensions().items() if name in POINT_SIZES}
    name, task = space.model(POINT | largest), Task(config, DATASET_VERSION)
    total = families.memory(name, task, largest["batch_size"], "adam").total
    assert 2 * 2**30 < total < 5 * 2**30  # no larger than needed, no smaller than possible


def test_v7s_space_holds_the_set_that_its_study_names():
    for depth in (6, 8, 10):
        for kernel in (3, 9):
            assert space_for("v7").place(f"{depth}x64-{kernel}") is not None
    assert space_for("v7").place("7x64-3") is None
    assert space_for("v5").place("hires")["upsampling"] == 2
    assert space_for("v7").place("hires") is None


def test_a_recipe_with_a_value_outside_is_outside():
    settings = dataclasses.asdict(recipe_for("v7", "6x64-3")) | {"augment": True}
    assert space_for("v7").locate(settings) is not None
    for values in ({"batch_size": [16]}, {"learning_rate": [1.0]}, {"augment": False}):
        assert space_for("v7").changed(values).locate(settings) is None


def test_examples_of_one_sky_are_never_mirrored():
    assert space_for("v1").augment == Choice((False,))


def test_a_point_is_a_network_and_the_settings_to_train_it():
    space = space_for("v3")
    assert space.settings(POINT) == {
        "model": "4x64-1x32-9",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": 0.0,
        "batch_size": 32,
        "augment": True,
    }
    sgd = space.settings(POINT | {"optimizer": "sgd", "tail": 0, "upsampling": 2})
    assert (sgd["model"], sgd["momentum"], sgd["nesterov"]) == ("hires-4x64-9", 0.9, True)


def test_a_learning_rate_is_the_same_after_a_trip_through_single_precision():
    import numpy as np

    rate = 0.0012345678912345
    settings = [
        space_for("v3").settings(POINT | {"learning_rate": value})["learning_rate"]
        for value in (rate, float(np.float32(rate)))  # Keras Tuner's protocol has floats of 4 bytes
    ]
    assert settings == [0.00123, 0.00123]


@pytest.mark.parametrize("version", [*VERSIONS, "custom"])
def test_a_space_survives_json(version):
    space = space_for(version)
    assert changed(StackSpace(), space.to_json()) == space


def test_a_file_narrows_widens_and_fixes():
    space = space_for("v8").changed(
        {"depth": [20], "width": 128, "learning_rate": {"min": 1e-3, "max": 1}}
    )
    assert (space.depth, space.width) == (Choice((20,)), Choice((128,)))
    assert space.learning_rate == LogRange(1e-3, 1.0)
    assert space.last_kernel == space_for("v8").last_kernel
    assert space_for("v8").changed({"learning_rate": [1, 0.1]}).learning_rate == Choice((1.0, 0.1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dept": [3]}, "unknown hyperparameter 'dept': the space has optimizer, learning_rate"),
        ({"depth": []}, "depth has no values"),
        ({"depth": [2, 2]}, "depth has a value twice"),
        ({"depth": ["2"]}, r"depth has values \['2'\]: must be int"),
        ({"depth": [2, "3"]}, "depth has values of several types"),
        ({"depth": [None]}, "depth has values that are no text, number or truth"),
        ({"depth": [0]}, "depth is 0: must be at least 1"),
        ({"depth": {"min": 1, "max": 4}}, "depth is a range: list its values"),
        ({"last_kernel": [3, 4]}, "last_kernel is 4: must be odd"),
        ({"upsampling": 3}, "upsampling is 3: must be 1 or 2"),
        ({"optimizer": ["adam", "lion"]}, "optimizer is 'lion': must be adam or adamw or sgd"),
        ({"batch_size": [32, 0]}, "batch_size is 0: must be at least 1"),
        ({"augment": [1]}, "augment has values .*: must be bool"),
        ({"learning_rate": [0]}, "learning_rate is 0.0: must be a positive number"),
        ({"learning_rate": ["fast"]}, "learning_rate is 'fast': must be a number"),
        ({"learning_rate": {"min": 1, "max": 0.1}}, "learning_rate is from 1.0 to 0.1"),
        ({"learning_rate": {"low": 1, "high": 2}}, "learning_rate is .*: a range is"),
        ({"family": "vit"}, "unknown family 'vit': known are stack, unet"),
    ],
)
def test_a_space_that_nothing_can_be_built_from_is_refused(values, message):
    with pytest.raises(LensingError, match=message):
        changed(space_for("v7"), values)


def test_a_family_that_is_fitted_has_nothing_to_search():
    with pytest.raises(LensingError, match="iterated is fitted in closed form: it has nothing to"):
        changed(space_for("v11"), {"family": "iterated"})
