"""The length of a run: what fits into minutes at a pace, in epochs and steps.

A pass goes through the training split once. An epoch ends with the validation split, a row of the
history and a checkpoint: of a run of N epochs it is a pass, and a run of minutes is cut into equal
ones, whatever part of a pass they are.
"""

from __future__ import annotations

import dataclasses
import math

from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_types
from trainer.runs.history import Row
from trainer.settings.optimization import check_count

# Of a run of minutes. Fewer would lose much to a kill; more would spend much on validation, which
# takes a twentieth of the time where that makes as few, and a quarter at most.
_FEWEST_EPOCHS, _MOST_EPOCHS = 5, 15
_EPOCH_SECONDS = 600.0  # a longer one is cut, however many there are
_USUAL_VALIDATION, _MOST_VALIDATION = 0.05, 0.25
_FEWEST_STEPS = 5  # in an epoch, unless there are fewer in all

_USED = 0.97  # the rest is for checkpoints


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps of a run.

    Attributes:
      epochs: of the run.
      steps_per_epoch: between two validations.
    """

    epochs: int
    steps_per_epoch: int

    def __post_init__(self) -> None:
        check_types(self)
        check_count("epochs", self.epochs)
        check_count("steps_per_epoch", self.steps_per_epoch)

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.epochs * self.steps_per_epoch


@dataclasses.dataclass(frozen=True)
class Pace:
    """The speed at which a network trains on a machine.

    Attributes:
      step: seconds of a training step.
      validation: seconds of the validation split.
      starting: seconds until the first step, and the first of validation: a network that was just
        compiled is traced then.
    """

    step: float
    validation: float
    starting: float = 0.0

    @classmethod
    def of(cls, row: Row, examples: float, steps: int) -> Pace:
        """Returns the pace of an epoch in the history.

        Args:
          row: of the epoch.
          examples: that it trained on.
          steps: that it took.
        """
        training = min(examples / row["examples_per_second"], row["seconds"])
        return cls(training / steps, row["seconds"] - training)

    def seconds(self, plan: Plan) -> float:
        """Time that a plan takes."""
        return self.starting + plan.steps * self.step + plan.epochs * self.validation


def planned(minutes: float, spent: float, pace: Pace) -> Plan:
    """Cuts minutes into equal epochs.

    Args:
      minutes: of the run, validation and checkpoints included.
      spent: seconds of them that have passed.
      pace: of the network on this machine.

    Raises:
      LensingError: they hold no step.
    """
    left = _USED * (60 * minutes - spent) - pace.starting
    most = max(_MOST_EPOCHS, math.ceil(left / _EPOCH_SECONDS))
    usual, limit = (
        share * max(left, 0.0) / pace.validation for share in (_USUAL_VALIDATION, _MOST_VALIDATION)
    )
    epochs = max(1, int(min(most, max(usual, min(_FEWEST_EPOCHS, limit)))))
    steps = int((left - epochs * pace.validation) / pace.step)
    if steps < _FEWEST_STEPS * epochs:
        steps = int((left - pace.validation) / pace.step)
        epochs = max(1, min(epochs, steps // _FEWEST_STEPS))
        steps = int((left - epochs * pace.validation) / pace.step)
    if steps < 1:
        needed = pace.seconds(Plan(1, 1)) / _USED + spent
        raise LensingError(
            f"minutes is {minutes:g}: must be at least {needed / 60:.2g}, which hold one step of "
            f"{pace.step:.2g} s, the validation split in {pace.validation:.2g} s, and the "
            f"{spent + pace.starting:.2g} s of getting ready"
        )
    return Plan(epochs, steps // epochs)


def duration(seconds: float) -> str:
    """Writes seconds as 1h 02m, 2m 05s or 12s."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {seconds:02}s" if minutes else f"{seconds}s"
