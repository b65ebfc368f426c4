"""The Beam side: ranges of shards -> statistics of each -> their sum -> a file."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PBegin, PCollection

from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.records import storage
from lensing_tfds.records.beam_executor import Range, ranges
from lensing_tfds.records.shard_plans import SplitPlan
from pipelines.validation.observables import Observables
from pipelines.validation.statistics import Measurement, Statistics, measure_shard


class MeasureShards(beam.PTransform):
    """Measures all shards of the plans; the sum of what was found goes to a file.

    Attributes:
      plans: the splits.
      num_rings: at most so many rings of modes; see `Observables`.
      report: the file.
    """

    def __init__(self, plans: Sequence[SplitPlan], num_rings: int, report: str):
        super().__init__()
        self.plans = list(plans)
        self.num_rings = num_rings
        self.report = report

    def expand(self, begin: PBegin) -> PCollection[None]:
        return (
            begin
            | "Ranges" >> beam.Create(list(ranges(self.plans)))
            | "Measure" >> beam.Map(measure_range, self.plans, self.num_rings)
            | "Sum" >> beam.CombineGlobally(_sum).without_defaults()
            | "Report" >> beam.Map(_write, self.report)
        )


def measure_range(piece: Range, plans: Sequence[SplitPlan], num_rings: int) -> Statistics:
    """Measures the shards of a range one after the other; the counter shows how far a job is."""
    number, first, stop = piece
    examples = Metrics.counter("lensing", "examples")
    plan = plans[number]
    measurement = _measurement(plan.config, plan.prefix.rpartition("/")[0], num_rings)
    total = Statistics()
    for shard in range(first, stop):
        spec = plan.shard(shard)
        total = total + measure_shard(spec, measurement)
        examples.inc(spec.num_examples)
    return total


@functools.lru_cache(maxsize=1)  # its sums take a second, and a worker gets many ranges
def _measurement(config: LensingConfig, folder: str, num_rings: int) -> Measurement:
    return Measurement(Observables(config, num_rings), spectra_of(config, folder))


def _sum(parts: Iterable[Statistics]) -> Statistics:
    return functools.reduce(operator.add, parts, Statistics())


def _write(total: Statistics, path: str) -> None:
    with storage.writing(path) as file:
        file.write(total.to_bytes())
