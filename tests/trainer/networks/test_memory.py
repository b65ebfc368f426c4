import dataclasses
import math

import pytest

from lensing_tfds.task import Task
from tests.trainer.tasks import TRAINED, statistics, task
from trainer.networks import unet
from trainer.networks.families import memory, parse
from trainer.networks.memory import Footprint

MODELS = sorted({*TRAINED, "unet-4x3x1", "whiten-2x8-3", "whiten-hires"})


def test_activations_are_counted_by_hand():
    # Input 10x10x1, two layers 10x10x8, output 10x10x1: 100 (1 + 8 + 8 + 1) floats are kept, and
    # the gradients of the two hidden layers, 100 (8 + 8) floats, exist together.
    estimate = memory("2x8-3", task(10), batch_size=4, optimizer="adam")
    assert estimate.activations == 100 * (18 + 16) * 4 * 4


def test_hires_keeps_four_times_the_pixels():
    plain, hires = (memory(name, task(20), 1, "adam").activations for name in ("6x64-3", "hires"))
    assert hires / plain == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(("optimizer", "slots"), [("adam", 2), ("sgd", 1)])
def test_parameters_gradients_and_moments_are_four_bytes_each(optimizer, slots):
    estimate = memory("4x64-9", task(10), batch_size=1, optimizer=optimizer)
    assert estimate.parameters == estimate.gradients == 4 * 116_609
    assert estimate.optimizer == slots * 4 * 116_609
    assert estimate.total == (2 + slots) * 4 * 116_609 + estimate.activations


def test_outputs_of_half_precision_take_half_and_an_average_is_one_more_number_a_weight():
    plain, half = (memory("2x8-3", task(10), 4, "adam", of) for of in ("float32", "float16"))
    assert half.activations == plain.activations / 2 and half.parameters == plain.parameters
    averaged = memory("2x8-3", task(10), 4, "adam", averaged=True)
    assert averaged.total - plain.total == plain.parameters


@pytest.mark.parametrize("stokes", ["T", "TQU"])
@pytest.mark.parametrize("name", MODELS)
def test_what_is_counted_is_what_is_built(name, stokes):
    of = task(15, stokes)
    edges = Task(dataclasses.replace(of.lensing, taper=1.0), of.dataset_version)
    for each in (of, edges) if name.startswith("unet") else (of,):
        model = parse(name).build(each, statistics(each), seed=0)
        outputs = [math.prod(layer.output.shape[1:]) for layer in model.layers]
        expected = Footprint.of_chain(model.count_params(), outputs)
        assert parse(name).footprint(each) == expected


@pytest.mark.parametrize("name", ["unet", "unet-4x3x1"])
def test_maps_that_are_continued_once_a_block_are_counted_so(name, monkeypatch):
    monkeypatch.setattr(unet, "ONCE_FROM", 8)  # of the grids of 15, 8 and 4 pixels two
    test_what_is_counted_is_what_is_built(name, "T")


def test_a_network_that_no_machine_holds_is_counted_at_once():
    assert memory("9999x9999-9", task(50), 128, "adam").total > 2**46
