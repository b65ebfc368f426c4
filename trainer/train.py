"""train(config, workdir): stream, model and checkpoints put together; run again, it goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf
import tensorflow_datasets as tfds

from lensing_tfds.configs import LensingConfig, differences
from lensing_tfds.errors import LensingError
from lensing_tfds.records import reading
from lensing_tfds.records.datasets import find_config, open_dataset, refuse_another, stored_config
from lensing_tfds.records.locks import alone_in
from lensing_tfds.records.storage import make_folder
from lensing_tfds.task import Task
from trainer.callbacks import Checkpoints, Progress, StopOnDivergence, Stopwatch
from trainer.config import RESUMABLE, TrainerConfig
from trainer.data import stream
from trainer.data.scaling import Scaling, measure_scaling
from trainer.history import read_history, write_history
from trainer.metrics import MapCorrelation
from trainer.networks import families
from trainer.run import Run, RunConfig, load_model, load_run, read_config, write_config

# Mean and variance of a pixel are known to better than a percent from these.
_SCALING_EXAMPLES = 1_000


def train(
    config: TrainerConfig,
    workdir: str | Path,
    report: Callable[[str], None] = print,
    live: bool = False,
    model: keras.Model | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Trains a network, or goes on where the run in `workdir` stopped.

    A run that was stopped and resumed gives the weights of one that was not. One process at a time
    trains in a folder.

    Args:
      config: what to train, on what, and how.
      workdir: the run's folder, see `trainer.run`.
      report: prints a line.
      live: whether to show the running epoch on standard output, as on a terminal.
      model: the network to begin with, as `build_compiled` builds it from the same config; None
        builds it. A run that goes on takes up its own.
      callbacks: more of them, called after those that keep the run.

    Returns:
      The run, with all epochs finished.

    Raises:
      DivergedError: the loss is no longer a number.
      LensingError: `workdir` holds a run with other settings, or another process trains there; a
        folder cannot be written, or the dataset cannot be opened or is damaged.
    """
    workdir = Path(workdir)
    lensing = find_config(config.dataset, config.data_dir)
    make_folder(workdir)
    with alone_in(workdir, "training"):
        return _train(config, lensing, workdir, report, live, model, callbacks)


def _train(
    config: TrainerConfig,
    lensing: LensingConfig,
    workdir: Path,
    report: Callable[[str], None],
    live: bool,
    model: keras.Model | None,
    callbacks: Sequence[keras.callbacks.Callback],
) -> Run:
    # A folder without a finished epoch holds nothing that other settings could spoil.
    old = read_config(workdir) if (workdir / "last.keras").exists() else None
    if old is not None:
        _refuse_changes(old, config, lensing, workdir)
    builder = open_dataset(lensing, config.data_dir, report)
    version = str(builder.version) if old is None else old.dataset_version
    refuse_another(builder, lensing, version)
    scaling = _measure_scaling(builder, config) if old is None else old.scaling
    steps = stream.steps_per_epoch(builder, config)
    model = _last_model(workdir) or model or build_compiled(config, Task(lensing, version))
    done = int(model.optimizer.iterations) // steps
    # Fewer epochs than a run already has do not make it a shorter run.
    settled = dataclasses.replace(config, epochs=max(config.epochs, done))
    write_config(workdir, RunConfig(settled, lensing, version, scaling))
    if done >= config.epochs:
        report(f"already finished: {done} epochs (more: --epochs)")
        return load_run(workdir)

    report(
        f"training {config.model} ({model.count_params():,} parameters) on "
        f"{stream.num_train_examples(builder, config.max_examples):,} examples of {config.dataset}"
        + (f", resuming after epoch {done}" if done else "")
    )
    history = [row for row in read_history(workdir / "history.csv") if row["epoch"] <= done]
    write_history(workdir / "history.csv", history)
    all_callbacks = [
        Stopwatch(stream.num_train_examples(builder, config.max_examples)),
        StopOnDivergence(),
        keras.callbacks.TensorBoard(workdir / "tensorboard", write_graph=False),
        Checkpoints(workdir, history),
        Progress(config.epochs, steps, report, live),
        *callbacks,
    ]
    _fit(model, builder, config, scaling, done, all_callbacks)
    return load_run(workdir)


def build_compiled(config: TrainerConfig, task: Task) -> keras.Model:
    """Builds a network, ready to fit.

    Args:
      config: its model, seed and optimizer settings are used.
      task: what goes in and what comes out.

    Raises:
      LensingError: the model's name is not in the grammar.
    """
    model = families.build(config.model, task, config.seed)
    model.compile(
        optimizer=build_optimizer(config),
        loss="mse",
        metrics=[MapCorrelation()],
        jit_compile=_jit_compile(),
    )
    return model


def build_optimizer(config: TrainerConfig) -> keras.optimizers.Optimizer:
    """Builds the optimizer that a config names."""
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(
            config.learning_rate,
            momentum=config.momentum,
            nesterov=config.nesterov,
            clipnorm=config.clipnorm,
        )
    return keras.optimizers.Adam(config.learning_rate, clipnorm=config.clipnorm)


def _fit(
    model: keras.Model,
    builder: tfds.core.DatasetBuilder,
    config: TrainerConfig,
    scaling: Scaling,
    initial_epoch: int,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    with reading.damage_named(builder):
        model.fit(
            stream.training_batches(builder, config, scaling, initial_epoch),
            validation_data=stream.validation_batches(builder, config.batch_size, scaling),
            initial_epoch=initial_epoch,
            epochs=config.epochs,
            steps_per_epoch=stream.steps_per_epoch(builder, config),
            shuffle=False,  # the stream does
            verbose=0,
            callbacks=callbacks,
        )


def _refuse_changes(
    old: RunConfig, config: TrainerConfig, lensing: LensingConfig, workdir: Path
) -> None:
    changeable = {name: getattr(config, name) for name in RESUMABLE}
    same_run = dataclasses.replace(old.trainer, **changeable)
    changed = [
        differences(same_run.to_json(), config.to_json()),
        differences(old.lensing.to_json(), lensing.to_json()),
    ]
    if any(changed):
        raise LensingError(
            f"{workdir} holds a run with other settings: {'; '.join(filter(None, changed))} "
            "(name another --workdir, or the settings it was made with)"
        )


def _measure_scaling(builder: tfds.core.DatasetBuilder, config: TrainerConfig) -> Scaling:
    n = min(stream.num_train_examples(builder, config.max_examples), _SCALING_EXAMPLES)
    batches = reading.evaluation_batches(builder, f"train[:{n}]", batch_size=32)
    return measure_scaling(batches, stored_config(builder).channels)


def _last_model(workdir: Path) -> keras.Model | None:
    path = workdir / "last.keras"
    return load_model(path) if path.exists() else None


def _jit_compile() -> bool | str:
    """XLA, except with TensorFlow on a CPU, where it is slower for these convolutions."""
    on_cpu = keras.backend.backend() == "tensorflow" and not tf.config.list_physical_devices("GPU")
    return False if on_cpu else "auto"
