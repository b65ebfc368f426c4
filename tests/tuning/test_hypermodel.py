import keras_tuner
import pytest

from trainer.data.stored import StoredExamples
from trainer.networks import families
from trainer.networks.physical import task_of
from trainer.networks.stacks import StackSpace
from tuning.config import SearchConfig
from tuning.hypermodel import LensingHyperModel


@pytest.mark.parametrize(
    ("name", "channels", "fresh"),
    [("stored", 1, False), ("polarized", 3, False), ("polarized", 3, True)],
)
def test_a_network_takes_the_maps_of_its_dataset(name, channels, fresh, data_dir, request):
    task = request.getfixturevalue(name).task
    space = StackSpace().changed({"depth": [1], "width": [2]})
    dataset = f"lensing/{task.lensing.name}"
    config = SearchConfig(dataset=dataset, data_dir=data_dir, space=space, fresh=fresh)
    model = LensingHyperModel(config, task.lensing).build(keras_tuner.HyperParameters())
    assert model.input_shape == (None, 16, 16, channels)
    assert model.output_shape == (None, 16, 16, 1)
    assert task_of(model) == task


@pytest.mark.parametrize("name", ["qe_unet", "unrolled"])
def test_networks_that_begin_as_an_estimator_are_fitted_once_for_all_trials(
    name, polarized, data_dir, monkeypatch
):
    task, read = polarized.task, []
    family = families.FAMILIES[name]
    space = family.space().changed({"filters": [4, 8], "levels": [1], "blocks": [1]})
    config = SearchConfig(dataset=f"lensing/{task.lensing.name}", data_dir=data_dir, space=space)
    hypermodel = LensingHyperModel(config, task.lensing)
    first = StoredExamples.first
    monkeypatch.setattr(
        StoredExamples, "first", lambda self, number: read.append(number) or first(self, number)
    )
    trials = []
    for filters in (4, 8):
        hp = keras_tuner.HyperParameters()
        hp.Fixed("filters", filters)
        trials.append((hypermodel.build(hp), len(read)))
    (small, before), (large, after) = trials
    assert small.count_params() < large.count_params()
    assert before == after > 0
