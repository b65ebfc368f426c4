"""The source of training pairs that a run's settings ask for."""

from __future__ import annotations

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.stored_dataset import StoredDataset
from lensing_tfds.symmetries import ORDER
from trainer.data.fresh import FreshSkies
from trainer.data.source import Source
from trainer.data.stored import StoredExamples
from trainer.machine import devices
from trainer.machine.memory import available_memory
from trainer.settings.config import TrainerConfig

_BACKEND_CORES = 2  # beside a GPU: for Keras, and for the stream
_SIMULATOR_BYTES = 0.25e9  # of a process: Python, NumPy and compiled code


def refuse_impossible(
    config: TrainerConfig, lensing: LensingConfig, simulators: int | None
) -> None:
    """Makes sure, before anything is built, that a run's examples can be had.

    Args:
      config: the run's settings.
      lensing: the dataset's own config.
      simulators: processes that are asked for; None where nobody asked.

    Raises:
      LensingError: they cannot be had.
    """
    config.examples_per_pass(lensing)
    if not config.fresh:
        if simulators is not None:
            raise LensingError(f"simulators is {simulators}: is for skies that are --fresh")
        return
    cores = devices.cores()
    if simulators is not None and not 1 <= simulators <= cores:
        raise LensingError(
            f"simulators is {simulators}: must be from 1 to {cores}, the cores that this process "
            "may use"
        )
    if lensing.fixed_unlensed:
        raise LensingError(
            f"fresh: all examples of {config.dataset} lens one unlensed sky (fixed_unlensed): "
            "train on the stored ones, or on a dataset whose skies differ"
        )
    most = ORDER if config.augment else 1
    if lensing.noise_uK_arcmin == 0 and config.reuse > most:
        raise LensingError(
            f"reuse is {config.reuse}: must be at most {most}, as {config.dataset} has no noise, "
            "and beyond that a sky looks as it did before"
        )


def source_of(config: TrainerConfig, stored: StoredDataset, simulators: int | None) -> Source:
    """Returns the examples of a run.

    Args:
      config: its settings.
      stored: its dataset.
      simulators: processes that simulate fresh skies; None for as many as leave the backend what
        it needs.

    Raises:
      LensingError: the dataset is damaged, or there is too little memory.
    """
    if not config.fresh:
        return StoredExamples(stored, config.max_examples)
    task = stored.task
    table = stored.spectra()
    number = simulators or _usual_simulators()
    source = FreshSkies(task, table, config, number)
    needed, limit = source.memory + number * _SIMULATOR_BYTES, available_memory()
    if needed > limit:
        raise LensingError(
            f"fresh skies need {needed / 1e9:,.1f} GB of memory ({source.memory / 1e9:,.1f} GB for "
            f"those that are simulated ahead), but there are {limit / 1e9:,.1f} GB: take fewer "
            f"--simulators than {number}, or a smaller --batch_size or --reuse"
        )
    return source


def _usual_simulators() -> int:
    """The cores less what the backend needs, which on a CPU is as much as simulation does."""
    left = devices.cores() - _BACKEND_CORES if devices.has_accelerator() else devices.cores() // 2
    return max(1, left)
