"""The data stream: a source's pairs -> batches for Keras, never a whole split in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.records.stored_dataset import StoredDataset
from lensing_tfds.task import Task
from trainer.data.augmentation import augment
from trainer.data.batches import Batches, Pair
from trainer.data.source import Maps, Source, passes_of, steps_per_pass
from trainer.settings.config import TrainerConfig


def training_batches(source: Source, config: TrainerConfig, steps: range) -> Batches:
    """Streams a source, augmented, one pass after another.

    The order and the augmentation of a pass depend on (config.seed, pass) alone, so that a resumed
    run sees what an uninterrupted one would have seen.

    Args:
      source: of the pairs.
      config: its batch_size, seed and augment are used.
      steps: of a run, counted from 0; `steps_per_pass` of them make a pass.

    Returns:
      (input, label) batches in physical units, (batch, *task.input_shape) and
      (batch, *task.label_shape) float32, one a step.
    """
    return Batches(
        source.task, len(steps), lambda first: _training_pairs(source, config, steps[first:])
    )


def _training_pairs(source: Source, config: TrainerConfig, steps: range) -> Iterator[Pair]:
    task = source.task
    channels = (task.inputs.channels, task.labels.channels)
    batches = source.batches(steps, config.seed, config.batch_size)
    for epoch, numbers in passes_of(steps, steps_per_pass(source, config.batch_size)):
        for number, maps in zip(numbers, batches, strict=False):
            pair = _pair(maps, task)
            if config.augment and not source.is_augmented:
                lensed, kappa = augment(pair, channels, config.seed, epoch, number)
                pair = lensed, kappa
            yield pair
    if next(batches, None) is not None:
        raise RuntimeError(f"there are batches of more than {len(steps)} steps")


def validation_batches(stored: StoredDataset, batch_size: int) -> Batches:
    """Streams the validation split in order: batches as `training_batches` has, not augmented."""
    task = stored.task
    examples = stored.plan("validation").num_examples
    names = (task.inputs.name, task.labels.name)

    def begin(first: int) -> Iterator[Pair]:
        split = f"validation[{first * batch_size}:]"
        for maps in evaluation_batches(stored, split, batch_size, names):
            yield _pair(maps, task)

    return Batches(task, math.ceil(examples / batch_size), begin)


def _pair(maps: Maps, task: Task) -> Pair:
    return maps[task.inputs.name], maps[task.labels.name]
