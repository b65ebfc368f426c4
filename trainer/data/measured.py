"""Measurements of a dataset's first training examples, before a network is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import tensorflow_datasets as tfds
from numpy.typing import NDArray

from estimators.iterated.fitting import Examples
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.records import reading
from lensing_tfds.records.datasets import task_of
from trainer.data.stored import StoredExamples
from trainer.networks.sample import Sample
from trainer.networks.statistics import Statistics, measure_statistics

# Mean and variance of a pixel, and all but a few rings' power, are known to a percent from these.
_MEASURED_EXAMPLES = 1_000
_BATCH_SIZE = 32


def measured_statistics(builder: tfds.core.DatasetBuilder, max_examples: int | None) -> Statistics:
    """Measures the statistics of a dataset's maps on the first training examples.

    Args:
      builder: the dataset.
      max_examples: how many of them a run uses; None for all.

    Raises:
      LensingError: the dataset is damaged, or its maps are all constant or not finite.
    """
    available = StoredExamples(builder, max_examples).examples_per_epoch
    split = f"train[:{min(available, _MEASURED_EXAMPLES)}]"
    return measure_statistics(
        reading.evaluation_batches(builder, split, _BATCH_SIZE), task_of(builder)
    )


def training_sample(
    builder: tfds.core.DatasetBuilder,
    max_examples: int | None,
    between: Callable[[], object] = lambda: None,
) -> Sample:
    """Returns a dataset's training examples, for a network that begins as an estimator.

    Args:
      builder: the dataset.
      max_examples: how many of them a run uses; None for all.
      between: called for each batch.
    """
    available = StoredExamples(builder, max_examples).examples_per_epoch

    def first(number: int) -> Examples:
        def examples() -> Iterator[Mapping[str, NDArray]]:
            split = f"train[:{min(number, available)}]"
            for batch in reading.evaluation_batches(builder, split, _BATCH_SIZE):
                between()
                yield batch

        return examples

    return Sample(lambda: spectra_of(task_of(builder).lensing, str(builder.data_path)), first)
