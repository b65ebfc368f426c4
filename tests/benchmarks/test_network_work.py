"""Parts of a network are those that somebody counts by hand, and the roof is made of them."""

import math

import pytest

from benchmarks.network_work import Device, Part, parts_of
from tests.trainer.tasks import statistics, task
from trainer.networks import families


def parts(name):
    of = task(16)
    model = families.build(name, of, statistics(of), 0)
    return parts_of(model, of.input_shape)


def test_convolutions_of_a_stack_are_counted():
    found = parts("2x4-3")
    pairs = [(1, 4), (4, 4), (4, 1)]  # channels, filters
    assert [part.flops for part in found] == [2 * 9 * a * b * 16**2 for a, b in pairs]
    assert [part.bytes for part in found] == [4 * (a + b) * 16**2 for a, b in pairs]
    assert {part.times for part in found} == {3}


def test_transforms_and_coarser_grids_of_a_unet_are_counted():
    found = parts("unet-4x2x1")
    transforms = [part for part in found if part.times == 1]  # T there, and whitened back
    assert transforms == 2 * [Part(5 * 16**2 * math.log2(16**2), 16 * 16**2, 1)]
    doubled = Part(2 * 4 * 8 * 4 * 8**2, 4 * (8 * 8**2 + 4 * 16**2), 3)
    halved = Part(2 * 4 * 4 * 8 * 8**2, 4 * (4 * 16**2 + 8 * 8**2), 3)
    assert doubled == halved and found.count(doubled) == 2


def test_each_part_takes_what_its_limit_makes_it_take():
    device = Device(flops=10.0, bytes=1.0)
    assert device.seconds([Part(20, 1, 3), Part(1, 5, 1)]) == pytest.approx(3 * 2 + 5)
