import dataclasses

import pytest

from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from lensing_tfds.versions import VERSIONS
from trainer.config import resolve
from trainer.networks import families
from trainer.recipes import RECIPES, Recipe, recipe_for

# What the versions' own study trained: the first is the version's default.
STUDIED = {
    "v1": ["2x64-1x32-9"],
    "v2": ["4x64-9"],
    "v3": ["4x64-1x32-9"],
    "v4": ["4x64-1x32-9", "3x64-1x32-9", "5x64-1x32-9"],
    "v5": ["6x64-3", "7x64-3", "6x64-7", "10x32-3", "hires"],
    "v6": ["12x32-3", "24x16-3", "48x8-3"],
    "v7": ["6x64-3", "6x64-9", "8x64-3", "8x64-9", "10x64-3", "10x64-9"],
    "v8": ["5x64-1x32-3", "7x64-3"],
}
SURVEYS = ["v9", "v10", "v11", "v12"]


def test_every_version_has_the_networks_that_its_study_used():
    studied = {v: [r.model for r in RECIPES[v]] for v in RECIPES if v not in SURVEYS}
    assert studied == STUDIED
    assert RECIPES.keys() == VERSIONS.keys()


@pytest.mark.parametrize(
    ("versions", "rate", "clipnorm", "batch_size"),
    [("v1 v2 v3", 1e-3, None, 32), ("v4 v5 v7", 1e-3, 1, 128), ("v6", 1e-4, 1, 128)],
)
def test_every_network_has_the_optimizer_that_its_study_used(versions, rate, clipnorm, batch_size):
    for version in versions.split():
        for recipe in RECIPES[version]:
            assert recipe.optimizer == "adam"
            assert recipe.learning_rate == rate
            assert recipe.clipnorm == clipnorm
            assert recipe.batch_size == batch_size


def test_on_v8_one_network_has_adam_and_the_other_sgd_with_nesterov_momentum():
    adam, sgd = recipe_for("v8"), recipe_for("v8", "7x64-3")
    assert (adam.model, adam.optimizer, adam.clipnorm) == ("5x64-1x32-3", "adam", 1)
    assert (sgd.optimizer, sgd.momentum, sgd.nesterov, sgd.clipnorm) == ("sgd", 0.9, True, None)
    assert adam.batch_size == sgd.batch_size == 128


def test_a_network_that_the_version_never_studied_gets_the_default_optimizer():
    expected = dataclasses.replace(recipe_for("v6"), model="4x64-9")
    assert recipe_for("v6", "4x64-9") == expected
    assert expected.learning_rate == 1e-4


def test_a_custom_config_has_a_recipe():
    assert recipe_for("wide").optimizer == "adam"
    assert recipe_for("wide", npix=100) == recipe_for("wide")


@pytest.mark.parametrize("version", SURVEYS)
def test_a_surveys_network_trains_in_a_few_gigabytes(version):
    config, recipe = VERSIONS[version], recipe_for(version)
    task = Task(config, DATASET_VERSION)
    memory = families.memory(recipe.model, task, recipe.batch_size, recipe.optimizer)
    assert memory.total < 2 * 2**30


@pytest.mark.parametrize(("npix", "batch_size"), [(50, 128), (128, 128), (256, 32), (4096, 1)])
def test_batches_of_a_custom_configs_large_maps_fit_too(npix, batch_size):
    lensing = LensingConfig(name="wide", npix=npix, lx=20.0)
    config = resolve("lensing/wide", "/data", lensing)
    assert config.batch_size == recipe_for("wide", npix=npix).batch_size == batch_size
    if npix < 1000:
        task = Task(lensing, DATASET_VERSION)
        assert families.memory(config.model, task, batch_size, "adam").total < 4 * 2**30


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimizer", "adamw"),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("momentum", 0.9),  # the optimizer is Adam
        ("clipnorm", 0.0),
        ("batch_size", 0),
        ("epochs", 0),
    ],
)
def test_an_impossible_value_names_field_and_value(field, value):
    with pytest.raises(LensingError, match=f"{field} is {value!r}: must be"):
        Recipe("4x64-9", **{field: value})
