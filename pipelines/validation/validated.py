"""A built dataset measured by a Beam pipeline over its shards, and judged."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.records.beam_executor import pipeline_runner
from lensing_tfds.records.shard_plans import SplitPlan
from pipelines.validation.observables import FEWEST_EXAMPLES, Observables
from pipelines.validation.outcome import Verdict
from pipelines.validation.statistics import Statistics
from pipelines.validation.transform import MeasureShards
from pipelines.validation.verdict import judge


def validate_shards(
    plans: Sequence[SplitPlan], folder: str, scratch: str, options: PipelineOptions | None = None
) -> Verdict:
    """Measures the shards of a dataset, and judges them.

    Args:
      plans: the splits to read.
      folder: of the dataset.
      scratch: a folder that all workers can write to, where the sums come home by a file.
      options: Beam's own; None for its defaults.

    Raises:
      LensingError: there are too few examples, a shard is damaged, or a worker failed.
    """
    num_examples = {plan.split: plan.num_examples for plan in plans}
    total = sum(num_examples.values())
    if total < FEWEST_EXAMPLES:
        raise LensingError(
            f"{folder}: {total} examples are too few for errors over examples: "
            f"{FEWEST_EXAMPLES} are the least, 500 are needed for tests to a fraction of a per cent"
        )
    observables = Observables.of(plans[0].config, total)
    path = f"{scratch}/validation-{uuid.uuid4().hex}.npz"
    run = pipeline_runner(options)
    statistics = Statistics.from_bytes(run(MeasureShards(plans, observables.num_rings, path), path))
    return judge(statistics, observables, spectra_of(observables.config, folder), num_examples)
