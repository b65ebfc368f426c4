"""The plan of a run that begins, by the pace of its network on this machine."""

from __future__ import annotations

import dataclasses
import time

import keras

from trainer.data.run_data import RunData
from trainer.loop.compiling import compile_network
from trainer.loop.interruption import ending_between_steps
from trainer.loop.pace import measure_pace
from trainer.runs.plan import Pace, Plan, planned

# Of a run's minutes, twice: for the pace of training and of validation.
_MEASURING = 0.02
_MEASURED_STEPS = 1_000  # at most


def measured_plan(
    model: keras.Model, data: RunData, begun: float, starts_fitted: bool
) -> tuple[Plan, Pace]:
    """Measures a new network's pace, plans its run, and makes it ready to fit.

    Args:
      model: as `families.build` builds it.
      data: the run's examples.
      begun: the time (`time.monotonic`) at which the minutes of the run began.
      starts_fitted: whether the network is validated before its first step.

    Raises:
      LensingError: the minutes hold no step.
    """
    config = data.config
    compile_network(model, config, data.steps_per_pass * (config.epochs or 1))
    pace = measured_pace(model, data)
    if config.minutes is None:
        assert config.epochs is not None, "one of the two is given"
        return Plan(config.epochs, data.steps_per_pass), dataclasses.replace(pace, starting=0.0)
    # A start is validated before the first step, and the errors are measured after the last.
    more = pace.validation * (starts_fitted + config.uncertainty)
    plan = planned(config.minutes, time.monotonic() - begun + more, pace)
    compile_network(model, config, plan.steps)  # which is traced once more
    return plan, pace


def measured_pace(model: keras.Model, data: RunData) -> Pace:
    """Measures a compiled network's pace; it is as before."""
    minutes = data.config.minutes
    seconds = 1.0 if minutes is None else min(_MEASURING * 60 * minutes, 12.0)
    with ending_between_steps() as ending:
        return measure_pace(
            model, data.training(range(_MEASURED_STEPS)), data.validation(), seconds, [ending]
        )
