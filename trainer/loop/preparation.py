"""A network made ready for the steps of its run: a new one, or the one of a run that stopped."""

from __future__ import annotations

import dataclasses

import keras

from trainer.data.measured import measured_statistics, training_sample
from trainer.data.run_data import RunData
from trainer.loop import announcements
from trainer.loop.interruption import signals_held
from trainer.loop.planning import measured_pace, measured_plan
from trainer.loop.session import Session
from trainer.machine import devices
from trainer.networks import families
from trainer.networks.family import FittedNetwork
from trainer.runs.checkpoints import Running
from trainer.runs.history import Row, ended_early, last_epoch
from trainer.runs.plan import Pace, Plan
from trainer.runs.resume import Stopped, place
from trainer.runs.run_config import RunConfig
from trainer.runs.same_run import refuse_other_steps, refuse_other_stream
from trainer.settings.config import LENGTHS


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A network that is ready to fit, and how far its run is.

    Attributes:
      model: compiled.
      config: the run's settings, to be kept with it.
      plan: of the whole run.
      pace: of the network on this machine; None where no step is left.
      history: the rows of the finished epochs.
      best: the row of the epoch whose network is kept as the best one; None where there is none.
      running: the epoch that goes on; None where one begins.
      is_estimator: whether the network, which no step has changed, is kept before the first one.
    """

    model: keras.Model
    config: RunConfig
    plan: Plan
    pace: Pace | None
    history: tuple[Row, ...] = ()
    best: Row | None = None
    running: Running | None = None
    is_estimator: bool = False

    @property
    def done(self) -> int:
        """Epochs that are finished."""
        return last_epoch(self.history)

    @property
    def taken(self) -> int:
        """Steps of the next epoch that were taken."""
        return 0 if self.running is None else self.running.steps


def begin(
    session: Session, data: RunData, begun: float, model: keras.Model | None = None
) -> Prepared:
    """Builds a network, measures its pace and plans its run.

    Args:
      session: the call of `train`.
      data: the run's examples.
      begun: the time (`time.monotonic`) at which the minutes of the run began.
      model: the network, as `families.build` builds it; None builds it.

    Raises:
      LensingError: the dataset is damaged, or the minutes hold no step.
    """
    config, network = session.config, session.network
    assert not isinstance(network, FittedNetwork), "it has no steps"
    if model is None:
        with signals_held() as signals:
            statistics = measured_statistics(data.source)
            sample = training_sample(data.source, data.stored.spectra, signals.obey)
            model = families.build(
                *(config.model, data.source.task, statistics, config.seed, config.precision),
                sample,
            )
    session.report(announcements.training(model, data))
    plan, pace = measured_plan(model, data, begun, network.starts_fitted)
    kept_plan = None if config.minutes is None else plan
    run_config = RunConfig(
        *(config, session.lensing, data.stored.version, kept_plan), cores=devices.cores()
    )
    return Prepared(model, run_config, plan, pace, is_estimator=network.starts_fitted)


def resume(session: Session, data: RunData, stopped: Stopped) -> Prepared:
    """Repairs a run that stopped and takes its network up again.

    Args:
      session: the call of `train`, whose settings may differ where a run may go on with others.
      data: the run's examples.
      stopped: the run.

    Raises:
      LensingError: its files cannot be read or written, or its data give other steps now.
    """
    config, record = session.config, stopped.record
    plan = stopped.plan(config, data.steps_per_pass)
    model = stopped.restore(session.report)
    refuse_other_steps(model, stopped, plan.steps_per_epoch, data.stored)
    pace = None
    if ended_early(record.history, config.patience) or plan.epochs <= record.epoch:
        # Fewer epochs than a run has do not make it a shorter run.
        kept = dataclasses.asdict(stopped.config.trainer)
        config = dataclasses.replace(config, **{name: kept[name] for name in LENGTHS})
        plan = stopped.config.plan or plan
    else:
        refuse_other_stream(stopped)
        session.report(announcements.training(model, data, place(record)))
        if other := announcements.other_cores(stopped.config.cores):
            session.report(other)
        steps = plan.steps_per_epoch
        if record.epoch:
            pace = Pace.of(record.history[-1], data.examples_of(steps), steps)
        else:
            pace = measured_pace(model, data)
    kept_plan = None if config.minutes is None else plan
    run_config = RunConfig(
        *(config, session.lensing, data.stored.version, kept_plan),
        *(stopped.config.stream, stopped.config.cores),
    )
    return Prepared(*(model, run_config, plan, pace, record.history, stopped.best, record.running))
