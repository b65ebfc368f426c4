"""A pace that nobody measures, which is a second's work, and another pass over the data."""

from trainer.runs.plan import Pace


def given(*arguments) -> Pace:
    """Stands for `measure_pace`: of a run of epochs its pace says only how long it will take."""
    return Pace(0.1, 0.1)
