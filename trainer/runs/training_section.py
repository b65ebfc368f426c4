"""The section of a judged run's report on its training."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from estimators.reports import figures, page
from estimators.subject import SubjectDescription
from trainer.networks.memory import MemoryEstimate
from trainer.runs.plan import Plan
from trainer.settings.config import LENGTHS, TrainerConfig

_LEAD = (
    "A network sees a lensed map of the cosmic microwave background and estimates the convergence "
    "κ: the projected matter that lensed it. Here its estimates meet the truth, on skies that it "
    "was not trained on."
)
_HISTORY = (
    "Loss: the mean squared error relative to κ's variance; 1 is as good as estimating zero. "
    "Dotted: the epoch judged here, the best on the validation split."
)
_START = "the network before its first step"


def describe(
    workdir: Path,
    config: TrainerConfig,
    plan: Plan | None,
    history: Mapping[str, NDArray[np.float64]],
    judged: int,
    num_parameters: int,
    memory: MemoryEstimate,
) -> SubjectDescription:
    """Describes a run for its report.

    Args:
      workdir: the run's folder.
      config: its settings.
      plan: the steps that its minutes were found to hold; None where epochs decide.
      history: one array a column of history.csv, at least one epoch.
      judged: the epoch whose network is kept as the best one.
      num_parameters: of the network.
      memory: what a training step needs.
    """
    drawn = figures.history(history, judged)
    settings: list[tuple[str, object]] = [
        ("epochs trained", f"{history['epoch'][-1]:.0f}, judged is {judged or _START}"),
        ("time trained", f"{history['seconds'].sum() / 60:.1f} minutes"),
        ("parameters", f"{num_parameters:,}"),
        (
            "memory of a training step",
            f"about {memory.total / 2**20:,.0f} MiB, of which activations "
            f"{memory.activations / 2**20:,.0f} MiB (estimated)",
        ),
        *((name, value) for name, value in config.taken.items() if name not in LENGTHS),
    ]
    if plan is not None:
        length = (
            f"{config.minutes:g} minutes, which held {plan.epochs} epochs of "
            f"{plan.steps_per_epoch:,} steps"
        )
        settings.insert(0, ("length", length))
    elif "epochs" in config.taken:
        settings.insert(0, ("length", f"{config.epochs} passes over the training split"))
    return SubjectDescription(
        lead=_LEAD,
        tiles=((f"{num_parameters:,}", f"parameters of the network {config.model}"),),
        section=page.section(
            "Training",
            page.beside(
                page.figure("Learning history", drawn, _HISTORY),
                page.card(page.settings(settings)),
            ),
        ),
        figures={"history": drawn},
        commands=(_train_command(workdir, config),),
        option=f"--workdir {shlex.quote(str(workdir))}",
    )


def _train_command(workdir: Path, config: TrainerConfig) -> str:
    data_dir, folder = shlex.quote(config.data_dir), shlex.quote(str(workdir))
    train = (
        f"python -m trainer --dataset {config.dataset} --data_dir {data_dir} --workdir {folder} "
        f"--model {config.model}"
    )
    if "epochs" in config.taken:
        train += (
            f" --epochs {config.epochs}"
            if config.minutes is None
            else f" --minutes {config.minutes:g}"
        )
        train += (
            f" --batch_size {config.batch_size} "
            f"--optimizer {config.optimizer} --learning_rate {config.learning_rate:g} "
            f"--schedule {config.schedule} --warmup_steps {config.warmup_steps} "
            f"--seed {config.seed} --{'' if config.augment else 'no-'}augment"
        )
    if config.precision != "float32":
        train += f" --precision {config.precision}"
    if config.ema_momentum is not None:
        train += f" --ema_momentum {config.ema_momentum:g}"
    if config.weight_decay:
        train += f" --weight_decay {config.weight_decay:g}"
    if config.patience is not None:
        train += f" --patience {config.patience}"
    if config.deterministic:
        train += " --deterministic"
    if config.fresh:
        train += f" --fresh --reuse {config.reuse}"
    if config.max_examples is not None:
        train += f" --max_examples {config.max_examples}"
    if config.uncertainty:
        train += " --uncertainty"
    return train
