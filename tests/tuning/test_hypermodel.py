import keras_tuner
import pytest

from lensing_tfds.versions import VERSIONS
from trainer.networks.stacks import StackSpace
from tuning.config import SearchConfig
from tuning.hypermodel import LensingHyperModel


@pytest.mark.parametrize(("version", "shape"), [("v8", (50, 50, 1)), ("v11", (128, 128, 2))])
def test_a_network_takes_the_maps_of_its_version(version, shape):
    space = StackSpace().changed({"depth": [1], "width": [2]})
    config = SearchConfig(dataset=f"lensing/{version}", data_dir="/data", space=space)
    model = LensingHyperModel(config, VERSIONS[version]).build(keras_tuner.HyperParameters())
    assert model.input_shape == (None, *shape)
    assert model.output_shape == (None, *shape[:2], 1)
