import keras_tuner
import pytest

from lensing_tfds.records.datasets import task_of
from trainer.networks.physical import task_of as task_of_model
from trainer.networks.stacks import StackSpace
from tuning.config import SearchConfig
from tuning.hypermodel import LensingHyperModel


@pytest.mark.parametrize(("name", "channels"), [("builder", 1), ("polarized_builder", 3)])
def test_a_network_takes_the_maps_of_its_dataset(name, channels, data_dir, request):
    task = task_of(request.getfixturevalue(name))
    space = StackSpace().changed({"depth": [1], "width": [2]})
    config = SearchConfig(dataset=f"lensing/{task.lensing.name}", data_dir=data_dir, space=space)
    model = LensingHyperModel(config, task.lensing).build(keras_tuner.HyperParameters())
    assert model.input_shape == (None, 16, 16, channels)
    assert model.output_shape == (None, 16, 16, 1)
    assert task_of_model(model) == task
