"""Training: stream, network and checkpoints put together; run again, it goes on."""

from __future__ import annotations

import dataclasses
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.datasets import find_config, open_dataset, refuse_another
from lensing_tfds.records.locks import alone_in
from lensing_tfds.records.storage import make_folder
from lensing_tfds.records.stored_dataset import StoredDataset
from trainer.data import sources, stream
from trainer.data.batches import Batches
from trainer.data.fresh import FreshSkies
from trainer.data.measured import measured_statistics, training_sample
from trainer.data.source import STREAM, Source, steps_per_pass
from trainer.loop import closed_form, devices
from trainer.loop.averages import ValidateAverages
from trainer.loop.callbacks import (
    Checkpoints,
    Progress,
    StopEarly,
    StopOnDivergence,
    Stopwatch,
)
from trainer.loop.determinism import use_deterministic_operations
from trainer.loop.fitting import fit
from trainer.loop.input_report import InputReport
from trainer.loop.interruption import (
    EndBetweenSteps,
    ending_between_steps,
    saying_what_is_kept,
    signals_held,
)
from trainer.loop.loss_scale import LeftOutSteps
from trainer.loop.losses import StandardisedError
from trainer.loop.memory import refuse_too_large
from trainer.loop.metrics import MapCorrelation
from trainer.loop.optimizers import build_optimizer
from trainer.loop.pace import measure_pace
from trainer.loop.running import RunningEpoch, refuse_beyond_epoch
from trainer.loop.start import keep_start
from trainer.networks import families
from trainer.networks.family import FittedNetwork
from trainer.networks.physical import scaling_of
from trainer.networks.settings import keras_settings
from trainer.runs import errors
from trainer.runs.history import HISTORY, Row, ended_early, write_history
from trainer.runs.plan import Pace, Plan, duration, planned
from trainer.runs.resume import Stopped, place, stopped_run
from trainer.runs.run import Run, load_run
from trainer.runs.run_config import SEARCH, RunConfig, write_config
from trainer.runs.same_run import refuse_changes, refuse_other_steps, refuse_other_stream
from trainer.settings.config import LENGTHS, TrainerConfig, resumable
from trainer.settings.optimization import check_count

# Of a run's minutes, twice: for the pace of training and of validation.
_MEASURING = 0.02
_MEASURED_STEPS = 1_000  # at most


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
    workdir = Path(workdir)
    lensing = find_config(config.dataset, config.data_dir)
    sources.refuse_impossible(config, lensing, simulators)
    network = families.parse(config.model)
    if isinstance(network, FittedNetwork):
        network.refuse_another(lensing)
        if config.fresh:
            raise LensingError(
                f"fresh is for networks that are trained: {config.model} is fitted to "
                f"{network.examples(lensing)} stored examples"
            )
    if config.uncertainty:
        errors.refuse_too_few(lensing)
    check_count("save_every", save_every)
    if save_every is not None and isinstance(network, FittedNetwork):
        raise LensingError(f"save_every is for networks that are trained: {config.model} is fitted")
    refuse_too_large(config, lensing)
    if (workdir / SEARCH).exists():
        raise LensingError(f"{workdir} holds a search ({SEARCH}): name another --workdir")
    make_folder(workdir)
    with (
        saying_what_is_kept(lambda: "the same command goes on"),
        alone_in(workdir, "training"),
        keras_settings(),
    ):
        run = _train(
            *(config, lensing, workdir, report, live, model, callbacks, save_every, simulators)
        )
        return errors.with_uncertainty(run, report) if config.uncertainty else run


def _train(
    config: TrainerConfig,
    lensing: LensingConfig,
    workdir: Path,
    report: Callable[[str], None],
    live: bool,
    model: keras.Model | None,
    callbacks: Sequence[keras.callbacks.Callback],
    save_every: int | None,
    simulators: int | None,
) -> Run:
    # A folder without a finished epoch holds nothing that other settings could spoil.
    stopped = stopped_run(workdir)
    if stopped is not None and stopped.record.epoch == 0 and stopped.record.running is None:
        stopped.discard(report)
        stopped = None
    elif stopped is not None:
        refuse_changes(stopped.config, config, lensing, workdir)
    elif (workdir / HISTORY).exists():
        report(f"{workdir} has a {HISTORY} but no checkpoint: training from the beginning")
        (workdir / HISTORY).unlink()
    stored = open_dataset(lensing, config.data_dir, report)
    begun = time.monotonic()  # the minutes of the run
    version = stored.version if stopped is None else stopped.config.dataset_version
    refuse_another(stored, lensing, version)
    network = families.parse(config.model)
    if isinstance(network, FittedNetwork):
        settings = RunConfig(config, lensing, version)
        closed_form.fit(network, settings, stored, workdir, stopped, report, callbacks)
        return load_run(workdir)
    if config.deterministic:
        use_deterministic_operations()
    if unused := devices.unused():
        report(unused)
    source = sources.source_of(config, stored, simulators)
    with source.running():
        return _train_on(
            *(source, stored, config, lensing, version, workdir, stopped, begun),
            *(report, live, model, callbacks, save_every),
        )


def _train_on(
    source: Source,
    stored: StoredDataset,
    config: TrainerConfig,
    lensing: LensingConfig,
    version: str,
    workdir: Path,
    stopped: Stopped | None,
    begun: float,
    report: Callable[[str], None],
    live: bool,
    model: keras.Model | None,
    callbacks: Sequence[keras.callbacks.Callback],
    save_every: int | None,
) -> Run:
    network = families.parse(config.model)
    assert not isinstance(network, FittedNetwork), "it has no steps"
    in_a_pass = steps_per_pass(source, config.batch_size)
    if config.minutes is None:  # else it takes a network to know an epoch
        refuse_beyond_epoch(save_every, in_a_pass)
    done, best, running, early, finished = 0, None, None, False, False
    history: tuple[Row, ...] = ()
    if stopped is not None:
        record, best = stopped.record, stopped.best
        done, history, running = record.epoch, record.history, record.running
        plan = _plan_of(stopped, config, in_a_pass)
        model = stopped.restore(report)
        refuse_other_steps(model, stopped, plan.steps_per_epoch, stored)
        early = ended_early(history, config.patience)
        finished = early or plan.epochs <= done
        if finished:  # fewer epochs than a run has do not make it a shorter run
            kept = dataclasses.asdict(stopped.config.trainer)
            config = dataclasses.replace(config, **{name: kept[name] for name in LENGTHS})
            plan = stopped.config.plan or plan
        else:
            refuse_other_stream(stopped)
    elif model is None:
        with signals_held() as signals:
            statistics = measured_statistics(source)
            sample = training_sample(source, stored.spectra, signals.obey)
            model = families.build(
                *(config.model, source.task, statistics, config.seed, config.precision), sample
            )
    resuming = "" if stopped is None else f", resuming after {place(stopped.record)}"
    if not finished:
        report(
            f"training {config.model} ({model.count_params():,} parameters) on "
            f"{source.description}{resuming}"
        )
    if stopped is None:
        plan, pace = _measured(model, stored, source, config, begun, network.starts_fitted)
    refuse_beyond_epoch(save_every, plan.steps_per_epoch)
    kept_plan = None if config.minutes is None else plan
    stream_of = STREAM if stopped is None else stopped.config.stream
    run_config = RunConfig(config, lensing, version, kept_plan, stream_of)
    write_config(workdir, run_config)
    if history:
        write_history(workdir / HISTORY, history)
    if finished:
        how = _how_early(config) if early else f"{done} epochs ({_how_to_get_more(config)})"
        report(f"already finished: {how}")
        return load_run(workdir)

    examples = source.examples_per_epoch * plan.steps_per_epoch / in_a_pass
    if done:
        pace = Pace.of(history[-1], examples, plan.steps_per_epoch)
    elif stopped is not None:
        pace = _pace_of(model, stored, source, config)
    taken = 0 if running is None else running.steps
    report(_expectation(plan, done, taken, pace, in_a_pass))
    kept = Checkpoints(workdir, run_config.to_json(), history, best)
    stopwatch = Stopwatch(examples, 0.0 if running is None else running.seconds)
    validation = stream.validation_batches(stored, config.batch_size)

    input_report = InputReport(source) if isinstance(source, FreshSkies) else None

    def training(steps: range) -> Batches:
        batches = stream.training_batches(source, config, steps)
        return batches if input_report is None else input_report.timed(batches)

    with signals_held() as signals:
        ending = EndBetweenSteps(signals)
        epoch = RunningEpoch(kept, stopwatch, signals, save_every, running)

        def where() -> str:
            steps = kept.epochs * plan.steps_per_epoch + epoch.saved
            return f"the same command goes on after step {steps:,} of {plan.steps:,}"

        with saying_what_is_kept(where):
            if network.starts_fitted and stopped is None:
                keep_start(model, validation, kept, report, ending)
            correlation = kept.history[-1]["val_map_correlation"] if kept.history else None
            told = [
                stopwatch,
                ValidateAverages(),
                StopOnDivergence(),
                *([LeftOutSteps(report)] if config.precision == "float16" else ()),
                kept,
                StopEarly(kept, config.patience),
                *_tensorboard(workdir / "tensorboard", stored, report),
                Progress(plan, pace.validation, report, live, correlation, taken, input_report),
                *callbacks,
                epoch,
                ending,
            ]
            fit(model, training, validation, plan, done, running, told)
    if ended_early(kept.history, config.patience):
        report(_how_early(config))
    return load_run(workdir)


def _tensorboard(
    folder: Path, stored: StoredDataset, report: Callable[[str], None]
) -> list[keras.callbacks.Callback]:
    """Returns the writers of losses and examples for TensorBoard, where TensorFlow is there."""
    if importlib.util.find_spec("tensorflow") is None:
        report("nothing is written for TensorBoard: TensorFlow, which writes it, is not installed")
        return []
    from trainer.loop.shown_examples import ShownExamples

    losses = keras.callbacks.TensorBoard(folder, write_graph=False)
    return [losses, ShownExamples(folder / "examples", stored)]


def _plan_of(stopped: Stopped, config: TrainerConfig, in_a_pass: int) -> Plan:
    """The plan of a run that goes on: its own, or with as many epochs as are asked for now."""
    old, done = stopped.config, stopped.record.epoch
    if config.epochs is not None:
        return Plan(max(config.epochs, done), in_a_pass)
    assert config.minutes is not None and old.plan is not None, "what may change is as it was"
    assert old.trainer.minutes is not None
    if config.minutes == old.trainer.minutes:
        return old.plan
    if not done:
        epochs = round(old.plan.epochs * config.minutes / old.trainer.minutes)
        return dataclasses.replace(old.plan, epochs=max(1, epochs))
    mean = sum(row["seconds"] for row in stopped.record.history if row["epoch"]) / done
    return dataclasses.replace(old.plan, epochs=max(done, int(60 * config.minutes / mean)))


def _measured(
    model: keras.Model,
    stored: StoredDataset,
    source: Source,
    config: TrainerConfig,
    begun: float,
    starts_fitted: bool,
) -> tuple[Plan, Pace]:
    """Measures a new network's pace, plans its run, and makes it ready to fit."""
    in_a_pass = steps_per_pass(source, config.batch_size)
    compile_network(model, config, in_a_pass * (config.epochs or 1))
    pace = _pace_of(model, stored, source, config)
    if config.minutes is None:
        assert config.epochs is not None, "one of the two is given"
        return Plan(config.epochs, in_a_pass), dataclasses.replace(pace, starting=0.0)
    # A start is validated before the first step, and the errors are measured after the last.
    more = pace.validation * (starts_fitted + config.uncertainty)
    plan = planned(config.minutes, time.monotonic() - begun + more, pace)
    compile_network(model, config, plan.steps)  # which is traced once more
    return plan, pace


def _pace_of(
    model: keras.Model, stored: StoredDataset, source: Source, config: TrainerConfig
) -> Pace:
    seconds = 1.0 if config.minutes is None else min(_MEASURING * 60 * config.minutes, 12.0)
    with ending_between_steps() as ending:
        return measure_pace(
            model,
            stream.training_batches(source, config, range(_MEASURED_STEPS)),
            stream.validation_batches(stored, config.batch_size),
            seconds,
            [ending],
        )


def _expectation(plan: Plan, done: int, taken: int, pace: Pace, in_a_pass: int) -> str:
    """Says what a run will take, of which epochs are done and steps of the next one are taken."""
    left = dataclasses.replace(plan, epochs=plan.epochs - done)
    epoch = (pace.seconds(left) - pace.starting) / left.epochs
    seconds = pace.seconds(left) - taken * pace.step
    starting = f" with {duration(pace.starting)} to start" if pace.starting > 0.5 else ""
    passes = plan.steps_per_epoch / in_a_pass
    take = "epoch takes" if left.epochs == 1 else "epochs take"
    end = time.strftime("%H:%M", time.localtime(time.time() + seconds))
    return (
        f"an epoch takes {duration(epoch)}: {plan.steps_per_epoch:,} steps of "
        f"{pace.step:.2g} s ({passes:.2g} passes) and {pace.validation:.2g} s of validation; "
        f"{left.epochs} {take} {duration(seconds)}{starting}, until {end}"
    )


def _how_early(config: TrainerConfig) -> str:
    return f"ended early: {config.patience} epochs without a lower val_loss (more: --patience)"


def _how_to_get_more(config: TrainerConfig) -> str:
    name = "epochs" if config.minutes is None else "minutes"
    if name in resumable(config.to_json()):
        return f"more: --{name}"
    return f"its schedule has ended: for more --{name}, train in another --workdir"


def compile_network(model: keras.Model, config: TrainerConfig, steps: int) -> None:
    """Makes a network ready to fit.

    Args:
      model: as `families.build` builds it.
      config: how to train.
      steps: of the whole run, for its schedule.
    """
    model.compile(
        optimizer=build_optimizer(config, steps),
        loss=StandardisedError(scaling_of(model).label_std),
        metrics=[MapCorrelation()],
        jit_compile=_jit_compile(),
    )


def _jit_compile() -> bool | str:
    """XLA, except with TensorFlow on a CPU, where it is slower for these convolutions."""
    on_cpu = keras.backend.backend() == "tensorflow" and not devices.has_accelerator()
    return False if on_cpu else "auto"
