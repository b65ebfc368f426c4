"""A run that goes on has its own plan, or one of other length where that may change."""

import dataclasses
from pathlib import Path

import pytest

from lensing_tfds.versions import VERSIONS
from trainer.runs.checkpoints import LAST, Record
from trainer.runs.plan import Plan
from trainer.runs.resume import Stopped
from trainer.runs.run_config import RunConfig
from trainer.settings.config import resolve

PASS = 7  # steps


def stopped(config, done, plan=None):
    """A run with so many epochs, of twelve seconds each."""
    rows = tuple({"epoch": float(epoch), "seconds": 12.0} for epoch in range(1, done + 1))
    settings = RunConfig(config, VERSIONS["v8"], "2.0.0", plan)
    return Stopped(Path("run"), settings, LAST, Record({}, rows), None, None, ())


@pytest.fixture
def of_epochs():
    return resolve("lensing/v8", "", VERSIONS["v8"], model="1x4-3", epochs=4)


@pytest.fixture
def of_minutes():
    return resolve("lensing/v8", "", VERSIONS["v8"], model="1x4-3", minutes=1.0)


@pytest.mark.parametrize(("asked", "planned"), [(4, 4), (9, 9), (1, 2)])
def test_epochs_are_those_that_are_asked_for_and_at_least_those_that_are_done(
    of_epochs, asked, planned
):
    config = dataclasses.replace(of_epochs, epochs=asked)
    assert stopped(of_epochs, done=2).plan(config, PASS) == Plan(planned, PASS)


def test_the_same_minutes_hold_what_they_were_found_to_hold(of_minutes):
    plan = Plan(5, 40)
    assert stopped(of_minutes, 2, plan).plan(of_minutes, PASS) == plan


@pytest.mark.parametrize(
    ("minutes", "done", "epochs"),
    [
        (2.0, 0, 10),  # twice the plan
        (0.05, 0, 1),
        (2.0, 2, 10),  # at the pace of the epochs that are done
        (3.0, 2, 15),
        (0.1, 2, 2),
    ],
)
def test_other_minutes_hold_other_epochs_each_as_long(of_minutes, minutes, done, epochs):
    config = dataclasses.replace(of_minutes, minutes=minutes)
    assert stopped(of_minutes, done, Plan(5, 40)).plan(config, PASS) == Plan(epochs, 40)


def test_the_time_of_a_start_counts_for_no_epoch(of_minutes):
    run = stopped(of_minutes, 2, Plan(5, 40))
    start = {"epoch": 0.0, "seconds": 500.0}
    run = dataclasses.replace(run, record=Record({}, (start, *run.record.history)))
    config = dataclasses.replace(of_minutes, minutes=2.0)
    assert run.plan(config, PASS) == Plan(10, 40)
