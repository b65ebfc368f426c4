"""run_fn(fn_args): the contract of TFX's Trainer component. TFX itself is not needed.

Name it there as `run_fn="trainer.run_fn"`, or this file as `module_file`. Of TFX's arguments

    custom_config       {"dataset": "lensing/v8", "data_dir": ...} and any fields of `TrainerConfig`
    train_files         names the dataset where custom_config does not: patterns of a built
                        dataset's files, `<data_dir>/lensing/<config>/<version>/...`
    train_steps         trained, rounded up to whole epochs; None leaves custom_config's epochs or
                        minutes, or the default ones
    hyperparameters     what the Tuner found, all but the epochs: Keras Tuner's config; or the
                        content of best_hyperparameters.json; custom_config wins
    model_run_dir       the run's folder
    serving_model_dir   where a SavedModel goes that takes maps in µK and gives κ

are used. The others may be there and change nothing: the whole validation split is always judged
(eval_files, eval_steps), and the dataset carries its own schema (schema_path, transform_graph_path,
data_accessor).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import checked_as
from lensing_tfds.records.datasets import absolute_data_dir, find_config
from trainer.networks.families import FAMILIES
from trainer.settings.config import TrainerConfig, overridden
from trainer.settings.hparams import FIELDS, HParams


def run_fn(fn_args: Any) -> None:
    """Trains as `python -m trainer` does, and exports the best epoch's network.

    Args:
      fn_args: an object with TFX's attributes; missing ones are None.

    Raises:
      LensingError: the dataset or a setting is missing or impossible, or training fails.
    """
    from trainer.serving import export
    from trainer.train import train

    workdir = argument(fn_args, "model_run_dir")
    if workdir is None:
        raise LensingError("fn_args.model_run_dir is missing: the folder of the run")
    config = trainer_config(fn_args)
    run = train(config, workdir)
    target = argument(fn_args, "serving_model_dir")
    if target is not None:
        export(run, Path(target), overwrite=True)


def trainer_config(fn_args: Any) -> TrainerConfig:
    """The settings of a run that TFX asks for.

    Raises:
      LensingError: the dataset or a setting is missing or impossible.
    """
    dataset, data_dir, settings = dataset_and_settings(fn_args, FIELDS)
    lensing = find_config(dataset, data_dir)
    found = _settings_of(argument(fn_args, "hyperparameters"))
    hparams = HParams(overridden(found, settings))
    config = hparams.resolve(dataset, data_dir, lensing)
    steps = argument(fn_args, "train_steps")
    if steps is None:
        return config
    epochs = whole_epochs(steps, lensing, config)
    return hparams.resolve(dataset, data_dir, lensing, epochs=epochs)


def argument(fn_args: Any, name: str) -> Any:
    """One of TFX's arguments; None where it is missing or empty."""
    return getattr(fn_args, name, None) or None


def dataset_and_settings(fn_args: Any, known: tuple[str, ...]) -> tuple[str, str, dict[str, Any]]:
    """The dataset, its data_dir, and what else custom_config says.

    Args:
      fn_args: an object with TFX's attributes.
      known: the settings that custom_config may hold.

    Raises:
      LensingError: there is no dataset, or a setting is unknown.
    """
    settings = dict(argument(fn_args, "custom_config") or {})
    dataset, data_dir = settings.pop("dataset", None), settings.pop("data_dir", None)
    for name in settings:
        if name not in known:
            raise LensingError(
                f"custom_config: unknown {name!r}: known are dataset, data_dir, {', '.join(known)}"
            )
    if dataset is None:
        dataset, data_dir = _dataset_of(argument(fn_args, "train_files") or [])
    return dataset, absolute_data_dir(data_dir), settings


def whole_epochs(steps: int, lensing: LensingConfig, config: TrainerConfig) -> int:
    """Counts the epochs that hold so many batches.

    Raises:
      LensingError: there are no batches.
    """
    steps = checked_as(int, "train_steps", steps)
    if steps < 1:
        raise LensingError(f"train_steps is {steps}: must be at least 1")
    return math.ceil(steps / math.ceil(config.examples_per_pass(lensing) / config.batch_size))


def _dataset_of(train_files: list[str]) -> tuple[str, str]:
    for pattern in train_files:
        folder, _, file = pattern.rpartition("/lensing/")
        if folder and file.count("/") == 2:  # <config>/<version>/<files>
            return f"lensing/{file.split('/')[0]}", folder
    raise LensingError(
        'no dataset: give custom_config={"dataset": "lensing/<config>", "data_dir": ...}, or '
        f"train_files in <data_dir>/lensing/<config>/<version>/ (they are {train_files})"
    )


def _settings_of(hyperparameters: Any) -> dict[str, Any]:
    """Reads what a TFX Tuner hands over."""
    if hyperparameters is None:
        return {}
    if not isinstance(hyperparameters, Mapping):
        raise LensingError(f"hyperparameters are {hyperparameters!r}: expected a dict")
    if "hyperparameters" in hyperparameters:
        return dict(hyperparameters["hyperparameters"])
    values = hyperparameters.get("values")
    if not isinstance(values, Mapping):
        raise LensingError("hyperparameters have no 'values': expected Keras Tuner's config")
    for space in (family.space() for family in FAMILIES.values() if family.space is not None):
        if space.dimensions().keys() <= values.keys():
            return space.settings(values)
    raise LensingError(
        f"hyperparameters {', '.join(values)} are of no known family: {', '.join(FAMILIES)}"
    )
