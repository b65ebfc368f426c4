"""Lines that a run prints of itself, before its first step and after its last."""

from __future__ import annotations

import dataclasses
import time

import keras

from trainer.data.run_data import RunData
from trainer.machine import devices
from trainer.runs.plan import Pace, Plan, duration
from trainer.settings.config import TrainerConfig, resumable


def training(model: keras.Model, data: RunData, kept: str = "") -> str:
    """Says what is trained on what.

    Args:
      model: the network.
      data: its examples.
      kept: the epoch and step that a run goes on after; nothing for one that begins.
    """
    resuming = f", resuming after {kept}" if kept else ""
    return (
        f"training {data.config.model} ({model.count_params():,} parameters) on "
        f"{data.source.description}{resuming}"
    )


def other_cores(begun: int | None) -> str:
    """Says that a run goes on on another number of cores; nothing where it does not, or a GPU does.

    Args:
      begun: cores that computed its first step; None where that is not known.
    """
    cores = devices.cores()
    if begun in (None, cores) or devices.has_accelerator():
        return ""
    return (
        f"begun on {begun} core{'s'[: begun != 1]}, going on on {cores}: sums round otherwise, and "
        "the run will equal one that was never stopped but for rounding, not to the bit"
    )


def expectation(plan: Plan, done: int, taken: int, pace: Pace, steps_per_pass: int) -> str:
    """Says what a run will take.

    Args:
      plan: of the whole run.
      done: epochs that are finished.
      taken: steps of the next one that were taken.
      pace: of the network on this machine.
      steps_per_pass: steps that take each training example once.
    """
    left = dataclasses.replace(plan, epochs=plan.epochs - done)
    epoch = (pace.seconds(left) - pace.starting) / left.epochs
    seconds = pace.seconds(left) - taken * pace.step
    starting = f" with {duration(pace.starting)} to start" if pace.starting > 0.5 else ""
    passes = plan.steps_per_epoch / steps_per_pass
    take = "epoch takes" if left.epochs == 1 else "epochs take"
    end = time.strftime("%H:%M", time.localtime(time.time() + seconds))
    return (
        f"an epoch takes {duration(epoch)}: {plan.steps_per_epoch:,} steps of "
        f"{pace.step:.2g} s ({passes:.2g} passes) and {pace.validation:.2g} s of validation; "
        f"{left.epochs} {take} {duration(seconds)}{starting}, until {end}"
    )


def ended_early(config: TrainerConfig) -> str:
    """Says why a run ended before its last epoch."""
    return f"ended early: {config.patience} epochs without a lower val_loss (more: --patience)"


def all_epochs(done: int, config: TrainerConfig) -> str:
    """Says that a run has all its epochs, and what would give it more."""
    name = "epochs" if config.minutes is None else "minutes"
    if name in resumable(config.to_json()):
        return f"{done} epochs (more: --{name})"
    return f"{done} epochs (its schedule has ended: for more --{name}, train in another --workdir)"
