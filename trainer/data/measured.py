"""Measurements of a source's first training examples, before a network is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from numpy.typing import NDArray

from estimators.iterated.fitting import Examples
from lensing_tfds.sky.spectra import PowerSpectra
from trainer.data.source import Source
from trainer.networks.sample import Sample
from trainer.networks.statistics import Statistics, measure_statistics

# Mean and variance of a pixel, and all but a few rings' power, are known to a percent from these.
_MEASURED_EXAMPLES = 1_000


def measured_statistics(source: Source) -> Statistics:
    """Measures the statistics of the maps of a source's first examples.

    Args:
      source: that is running.

    Raises:
      LensingError: the dataset is damaged, or its maps are all constant or not finite.
    """
    return measure_statistics(source.first(_MEASURED_EXAMPLES), source.task)


def training_sample(
    source: Source,
    table: Callable[[], PowerSpectra],
    between: Callable[[], object] = lambda: None,
) -> Sample:
    """Returns a source's examples, for a network that begins as an estimator.

    Args:
      source: that is running.
      table: reads the spectra of its cosmology.
      between: called for each batch.
    """

    def first(number: int) -> Examples:
        def examples() -> Iterator[Mapping[str, NDArray]]:
            for batch in source.first(number):
                between()
                yield batch

        return examples

    return Sample(table, first)
