"""Training: stream, network and checkpoints put together; run again, it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from lensing_tfds.records.datasets import find_config, open_dataset, refuse_another
from lensing_tfds.records.locks import alone_in
from lensing_tfds.records.storage import make_folder
from trainer.data import sources
from trainer.data.run_data import RunData
from trainer.loop import announcements, closed_form, errors
from trainer.loop.determinism import use_deterministic_operations
from trainer.loop.epochs import train_epochs
from trainer.loop.interruption import saying_what_is_kept
from trainer.loop.preparation import Prepared, begin, resume
from trainer.loop.running import refuse_beyond_epoch
from trainer.loop.session import Session
from trainer.machine import devices
from trainer.networks.family import FittedNetwork
from trainer.networks.settings import keras_settings
from trainer.runs.history import HISTORY, ended_early, write_history
from trainer.runs.resume import Stopped, stopped_run
from trainer.runs.run import Run, load_run
from trainer.runs.run_config import write_config
from trainer.runs.same_run import refuse_changes
from trainer.settings.config import TrainerConfig


def train(
    config: TrainerConfig,
    workdir: str | Path,
    report: Callable[[str], None] = print,
    live: bool = False,
    model: keras.Model | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    save_every: int | None = None,
    simulators: int | None = None,
) -> Run:
    """Trains a network, or goes on where the run in `workdir` stopped.

    A run that was stopped or killed and resumed gives the weights and the history of one that was
    not. One process at a time trains in a folder.

    Args:
      config: what to train, on what, and how.
      workdir: the run's folder, see `trainer.runs.run`.
      report: prints a line.
      live: whether to show the running epoch on standard output, as on a terminal.
      model: the network to begin with, as `families.build` builds it for the same config; None
        builds it. A run that goes on takes up its own.
      callbacks: more of them, called after those that keep the run.
      save_every: steps of an epoch after which they are kept; None for every ten minutes.
      simulators: processes that simulate skies where these are fresh; None for as many as leave the
        backend what it needs. The run is the same with any number.

    Returns:
      The run, with all epochs finished.

    Raises:
      DivergedError: the loss is no longer a number.
      TooLargeError: the network does not fit into memory.
      Suspended: SIGTERM ended a command, and the same one goes on.
      LensingError: `workdir` holds a run with other settings, or another process trains there; a
        folder cannot be written, or the dataset cannot be opened or is damaged; an epoch has fewer
        steps than `save_every`.
    """
    session = Session(
        config=config,
        lensing=find_config(config.dataset, config.data_dir),
        workdir=Path(workdir),
        report=report,
        live=live,
        callbacks=callbacks,
        save_every=save_every,
        simulators=simulators,
    )
    make_folder(session.workdir)
    with (
        saying_what_is_kept(lambda: "the same command goes on"),
        alone_in(session.workdir, "training"),
        keras_settings(),
    ):
        _train(session, model)
        run = load_run(session.workdir)
        return errors.with_uncertainty(run, report) if config.uncertainty else run


def _train(session: Session, model: keras.Model | None) -> None:
    config, report = session.config, session.report
    stopped = _stopped(session)
    stored = open_dataset(session.lensing, config.data_dir, report)
    begun = time.monotonic()  # the minutes of the run
    version = stored.version if stopped is None else stopped.config.dataset_version
    refuse_another(stored, session.lensing, version)
    network = session.network
    if isinstance(network, FittedNetwork):
        closed_form.fit(session, network, stored, stopped)
        return
    if config.deterministic:
        use_deterministic_operations()
    if unused := devices.unused():
        report(unused)
    source = sources.source_of(config, stored, session.simulators)
    with source.running():
        data = RunData(source, stored, config)
        if config.minutes is None:  # else it takes a network to know an epoch
            refuse_beyond_epoch(session.save_every, data.steps_per_pass)
        if stopped is None:
            prepared = begin(session, data, begun, model)
        else:
            prepared = resume(session, data, stopped)
        refuse_beyond_epoch(session.save_every, prepared.plan.steps_per_epoch)
        _keep_settings(session, prepared)
        if prepared.pace is not None:
            train_epochs(session, data, prepared)
        else:
            report(f"already finished: {_end_of(prepared)}")


def _stopped(session: Session) -> Stopped | None:
    """Finds the run that the session goes on with, and refuses to go on with another."""
    stopped, workdir = stopped_run(session.workdir), session.workdir
    # A folder without a finished epoch holds nothing that other settings could spoil.
    if stopped is not None and stopped.record.epoch == 0 and stopped.record.running is None:
        stopped.discard(session.report)
        return None
    if stopped is not None:
        refuse_changes(stopped.config, session.config, session.lensing, workdir)
    elif (workdir / HISTORY).exists():
        session.report(f"{workdir} has a {HISTORY} but no checkpoint: training from the beginning")
        (workdir / HISTORY).unlink()
    return stopped


def _keep_settings(session: Session, prepared: Prepared) -> None:
    write_config(session.workdir, prepared.config)
    if prepared.history:
        write_history(session.workdir / HISTORY, prepared.history)


def _end_of(prepared: Prepared) -> str:
    config = prepared.config.trainer
    if ended_early(prepared.history, config.patience):
        return announcements.ended_early(config)
    return announcements.all_epochs(prepared.done, config)
