"""The remaining epochs of a run: trained, kept and reported."""

from __future__ import annotations

import keras

from trainer.data.batches import Batches
from trainer.data.fresh import FreshSkies
from trainer.data.run_data import RunData
from trainer.loop import announcements, tensorboard
from trainer.loop.callbacks import Checkpoints, Progress, StopEarly, StopOnDivergence, Stopwatch
from trainer.loop.fitting import fit
from trainer.loop.input_report import InputReport
from trainer.loop.interruption import EndBetweenSteps, saying_what_is_kept, signals_held
from trainer.loop.loss_scale import LeftOutSteps
from trainer.loop.preparation import Prepared
from trainer.loop.running import RunningEpoch
from trainer.loop.session import Session
from trainer.loop.start import keep_start
from trainer.runs.averages import ValidateAverages
from trainer.runs.history import ended_early


def train_epochs(session: Session, data: RunData, prepared: Prepared) -> None:
    """Trains until the plan's end, unless the loss stops falling before.

    Args:
      session: the call of `train`.
      data: the run's examples.
      prepared: the network, with steps left.

    Raises:
      DivergedError: the loss is no longer a number.
      LensingError: the dataset is damaged, or a file cannot be written.
    """
    config, report, workdir = session.config, session.report, session.workdir
    model, plan, pace, running = prepared.model, prepared.plan, prepared.pace, prepared.running
    assert pace is not None, "steps are left"
    report(
        announcements.expectation(plan, prepared.done, prepared.taken, pace, data.steps_per_pass)
    )
    kept = Checkpoints(workdir, prepared.config.to_json(), prepared.history, prepared.best)
    stopwatch = Stopwatch(
        data.examples_of(plan.steps_per_epoch), 0.0 if running is None else running.seconds
    )
    validation = data.validation()
    input_report = InputReport(data.source) if isinstance(data.source, FreshSkies) else None

    def training(steps: range) -> Batches:
        batches = data.training(steps)
        return batches if input_report is None else input_report.timed(batches)

    with signals_held() as signals:
        ending = EndBetweenSteps(signals)
        epoch = RunningEpoch(kept, stopwatch, signals, session.save_every, running)

        def where() -> str:
            steps = kept.epochs * plan.steps_per_epoch + epoch.saved
            return f"the same command goes on after step {steps:,} of {plan.steps:,}"

        with saying_what_is_kept(where):
            if prepared.is_estimator:
                keep_start(model, validation, kept, report, ending)
            correlation = kept.history[-1]["val_map_correlation"] if kept.history else None
            told: list[keras.callbacks.Callback] = [
                stopwatch,
                ValidateAverages(),
                StopOnDivergence(),
                *([LeftOutSteps(report)] if config.precision == "float16" else ()),
                kept,
                StopEarly(kept, config.patience),
                *tensorboard.writers(workdir / "tensorboard", data.stored, report),
                Progress(
                    *(plan, pace.validation, report, session.live, correlation, prepared.taken),
                    input_report,
                ),
                *session.callbacks,
                epoch,
                ending,
            ]
            fit(model, training, validation, plan, prepared.done, running, told)
    if ended_early(kept.history, config.patience):
        report(announcements.ended_early(config))
