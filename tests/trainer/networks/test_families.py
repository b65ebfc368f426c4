"""A new family is a file of its own and a line in the registry."""

import dataclasses
from typing import ClassVar

import keras
import pytest

from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from tests.trainer.tasks import statistics, task
from trainer.networks import families
from trainer.networks.family import Family
from trainer.networks.memory import Footprint
from trainer.networks.space import Choice, Point, Space
from trainer.networks.statistics import Statistics
from trainer.settings.recipes import Recipe
from trainer.settings.spaces import changed, space_for
from trainer.tfx import trainer_config


@dataclasses.dataclass(frozen=True)
class Linear:
    """One convolution."""

    kernel: int

    @property
    def widest_kernel(self) -> int:
        return self.kernel

    def build(self, task: Task, statistics: Statistics, seed: int) -> keras.Model:
        inputs = keras.Input(task.input_shape)
        outputs = keras.layers.Conv2D(1, self.kernel, padding="same")(inputs)
        return keras.Model(inputs, outputs)

    def footprint(self, task: Task) -> Footprint:
        return Footprint.of_chain(self.kernel**2 + 1, [task.npix**2] * 2)


def parse(name: str) -> Linear | None:
    return Linear(int(name[7:])) if name.startswith("linear-") and name[7:].isdecimal() else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearSpace(Space):
    family: ClassVar[str] = "linear"
    kernel: Choice = Choice((3, 5))

    def model(self, point: Point) -> str:
        if int(point["kernel"]) % 2 == 0:
            raise LensingError(f"kernel is {point['kernel']}: must be odd")
        return f"linear-{point['kernel']}"

    def place(self, model: str) -> Point | None:
        network = parse(model)
        return None if network is None else {"kernel": network.kernel}


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(
        families.FAMILIES, "linear", Family("linear", "linear-K", parse, LinearSpace, ("linear-3",))
    )


def test_its_names_are_read_built_and_counted():
    assert families.build("linear-5", task(16), statistics(task(16)), seed=0).count_params() == 26
    assert families.memory("linear-5", task(16), 1, "sgd").parameters == 4 * 26
    assert (
        families.build("2x4-3", task(16), statistics(task(16)), seed=0).count_params()
        == 4 * 10 + 4 * 37 + 37
    )


def test_a_wrong_name_is_told_every_grammar():
    with pytest.raises(LensingError, match="unknown model 'lin': expected LxF.*; or linear-K"):
        families.parse("lin")


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("unett", "unet"),
        ("Unet", "unet"),
        ("hirs", "hires"),
        ("itterated", "iterated"),
        ("4x64-132-9", "4x64-1x32-9"),
        ("linear3", "linear-3"),
    ],
)
def test_a_typo_is_told_the_nearest_name_first(typo, meant):
    with pytest.raises(LensingError, match=f"unknown model '{typo}': did you mean {meant}[? ]"):
        families.parse(typo)


def test_the_names_that_a_family_knows_are_its_own():
    for family in families.FAMILIES.values():
        assert [families.family_of(name) for name in family.known] == [family.name] * len(
            family.known
        )


def test_a_recipe_may_name_it():
    assert Recipe("linear-3").model == "linear-3"


def test_a_search_has_its_dimensions():
    space = changed(space_for("v7"), {"family": "linear", "kernel": [7]})
    point = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 32, "augment": True}
    settings = space.settings(point | {"kernel": 7})
    assert settings["model"] == "linear-7"
    assert space.locate(settings) == point | {"kernel": 7}
    with pytest.raises(LensingError, match="unknown hyperparameter 'depth'"):
        space.changed({"depth": [3]})
    with pytest.raises(LensingError, match="kernel is 4: must be odd"):
        space.changed({"kernel": [4]})


def test_a_tfx_tuners_hyperparameters_are_recognised(data_dir):
    class Arguments:
        custom_config: ClassVar = {"dataset": "lensing/tiny", "data_dir": data_dir}
        hyperparameters: ClassVar = {
            "values": {
                "optimizer": "adam",
                "learning_rate": 1e-3,
                "batch_size": 32,
                "augment": True,
                "kernel": 5,
            }
        }

    assert trainer_config(Arguments()).model == "linear-5"
