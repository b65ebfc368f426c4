"""What minutes hold, at any pace."""

import dataclasses
import itertools

import pytest

from lensing_tfds.errors import LensingError
from trainer.runs.plan import Pace, Plan, planned

MINUTES = (0.05, 1.0, 10.0, 600.0)
STEPS = (1e-4, 0.02, 0.5, 7.0)
VALIDATIONS = (1e-4, 0.5, 6.0, 45.0)


@pytest.mark.parametrize(
    ("minutes", "step", "validation"), list(itertools.product(MINUTES, STEPS, VALIDATIONS))
)
def test_a_plan_takes_its_minutes_and_no_more(minutes, step, validation):
    pace = Pace(step, validation)
    try:
        plan = planned(minutes, 0.0, pace)
    except LensingError:
        assert step + validation > 0.97 * 60 * minutes
        return
    assert pace.seconds(plan) <= 0.97 * 60 * minutes
    one_more = dataclasses.replace(plan, steps_per_epoch=plan.steps_per_epoch + 1)
    assert pace.seconds(one_more) > 0.97 * 60 * minutes


@pytest.mark.parametrize(
    ("minutes", "step", "validation", "epochs"),
    [
        (10, 0.5, 1.0, 15),  # validation costs little
        (10, 0.5, 3.0, 9),  # a twentieth of 582 s
        (10, 0.5, 12.0, 5),  # ten per cent, for five checkpoints
        (10, 0.5, 40.0, 3),  # a quarter at most
        (10, 5.0, 400.0, 1),
        (600, 0.5, 1.0, 59),  # of ten minutes
        (600, 0.5, 600.0, 5),
        (0.1, 0.5, 0.01, 2),  # eleven steps
        (0.1, 3.0, 0.01, 1),
    ],
)
def test_epochs_are_few_where_validation_is_slow_and_short_in_a_long_run(
    minutes, step, validation, epochs
):
    assert planned(minutes, 0.0, Pace(step, validation)).epochs == epochs


def test_what_has_passed_and_what_a_start_takes_are_taken_off():
    pace = Pace(0.5, 3.0)
    assert planned(11, 0.0, Pace(0.5, 3.0, starting=0.97 * 60)) == planned(10, 0.0, pace)
    with pytest.raises(LensingError, match="must be at least 1.3, .* the 70 s of getting ready"):
        planned(1, 10.0, Pace(0.5, 3.0, starting=60.0))
    assert planned(11, 60.0, pace) == planned(10, 0.0, pace) != planned(11, 0.0, pace)


@pytest.mark.parametrize(("spent", "needed"), [(0.0, "0.15"), (30.0, "0.65")])
def test_minutes_without_a_step_are_refused_saying_how_many_are_needed(spent, needed):
    with pytest.raises(
        LensingError, match=f"minutes is 0.1: must be at least {needed}, .* one step of 3 s"
    ):
        planned(0.1, spent, Pace(3.0, 6.0))
    planned(float(needed) * 1.1, spent, Pace(3.0, 6.0))


def test_the_pace_of_an_epoch_is_read_from_its_row():
    row = {"seconds": 10.0, "examples_per_second": 100.0}
    pace = Pace.of(row, 800.0, 16)
    assert pace == Pace(0.5, 2.0)
    assert pace.seconds(Plan(3, 16)) == 30.0
