"""Shards on any Apache Beam runner: one linear chain of four transforms, whatever the dataset.

    ranges of shards -> write each -> sum what was done -> write the sum beside the shards

No example goes through Beam. Not every runner hands values or metrics back to the program that
started it (Dask's hands back neither), so the sum comes home as a file, on all of them alike.
Apache Beam is imported here and nowhere else in this package; see docs/engines.md.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import operator
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.metrics.metric import Metrics
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.pvalue import PBegin, PCollection
from apache_beam.runners.runner import PipelineRunner

from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.records.shard_plans import ShardSpec, SplitPlan
from lensing_tfds.records.shard_summary import ShardResult, ShardSummary
from lensing_tfds.records.shards import Executor, write_shard

MAX_RANGES = 4096
"""Pieces that the work has at most: the job's size, and the workers that can share it."""

DASK_RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"  # Beam knows it by this name only
DASK_PARTITIONS = 64  # the runner's own choice would be one; its sum takes 0.1 s a partition

Range = tuple[int, int, int]
"""Number of the plan, first shard, one past the last shard."""

Write = Callable[[ShardSpec, Callable[[int], object]], ShardResult]
"""Writes a shard, as `write_shard` does; the workers must be able to import it."""


def beam_executor(
    options: PipelineOptions | None = None,
    runner: str | PipelineRunner | None = None,
    write: Write = write_shard,
) -> Executor:
    """Returns an executor that writes shards by a Beam pipeline and waits for its end.

    Args:
      options: Beam's own; None for its defaults.
      runner: in place of the one that the options name. Where neither names any, the shards are
        written in this process: Beam's own default would first try to download a runner.
      write: what is done with each shard.
    """
    run = pipeline_runner(options, runner, " (finished shards are kept: the same command goes on)")

    def execute(plans: Sequence[SplitPlan]) -> ShardSummary:
        folder = plans[0].prefix.rpartition("/")[0]
        report = f"{folder}/beam-summary-{uuid.uuid4().hex}.json"
        return ShardSummary.from_json(json.loads(run(WriteShards(plans, report, write), report)))

    return execute


def pipeline_runner(
    options: PipelineOptions | None = None,
    runner: str | PipelineRunner | None = None,
    advice: str = "",
) -> Callable[[beam.PTransform, str], bytes]:
    """Returns a function that runs a pipeline, waits for its end, and returns what it found.

    Its arguments are the pipeline's one transform, and the file that this transform writes what it
    found to: where all workers can write and this process can read. The file is removed at the
    end. The function raises a `LensingError` where the pipeline fails or leaves no file.

    Args:
      options: as in `beam_executor`, like the next.
      runner: in place of the one that the options name.
      advice: added to the message where it was the runner that failed.
    """
    options = PipelineOptions([]) if options is None else options
    runner = known_runner(runner or options.view_as(StandardOptions).runner)
    if runner == DASK_RUNNER:
        _set_dask_partitions(options)

    def run(transform: beam.PTransform, report: str) -> bytes:
        try:
            try:
                with (
                    _listening_to_this_machine_only(),
                    beam.Pipeline(runner=runner, options=options) as pipeline,
                ):
                    pipeline | transform
            except Exception as error:  # each runner has its own
                raise _as_lensing_error(runner, error, advice) from error
            if storage.size(report) is None:
                folder = report.rpartition("/")[0]
                raise LensingError(
                    f"{runner} ended, but {folder} has no report of it: do its workers see that "
                    "folder? Give one that every machine shares"
                )
            with storage.reading(report) as file:
                return file.read()
        finally:
            storage.remove(report)

    return run


def known_runner(runner: str | PipelineRunner | None) -> str | PipelineRunner:
    """Returns the runner by the name that Beam knows; the one of this process if there is none."""
    if runner is None:
        return "FnApiRunner"
    return DASK_RUNNER if runner == "DaskRunner" else runner


class WriteShards(beam.PTransform):
    """Writes all shards of the plans, and a report of it.

    Attributes:
      plans: the splits.
      report: the file that the JSON of their `ShardSummary` is written to.
      write: what is done with each shard.
    """

    def __init__(self, plans: Sequence[SplitPlan], report: str, write: Write = write_shard):
        super().__init__()
        self.plans = list(plans)
        self.report = report
        self.write = write

    def expand(self, begin: PBegin) -> PCollection[None]:
        return (
            begin
            | "Ranges" >> beam.Create(list(ranges(self.plans)))
            | "Write" >> beam.Map(write_range, self.plans, self.write)
            | "Sum" >> beam.CombineGlobally(_sum).without_defaults()
            | "Report" >> beam.Map(_write_report, self.report)
        )


def ranges(plans: Sequence[SplitPlan], at_most: int = MAX_RANGES) -> Iterator[Range]:
    """Cuts the shards of all plans into even, contiguous ranges.

    Args:
      plans: the splits.
      at_most: how many ranges; there is one a plan at least, and none is empty.
    """
    total = sum(plan.num_shards for plan in plans)
    for number, plan in enumerate(plans):
        pieces = min(plan.num_shards, max(1, at_most * plan.num_shards // total))
        bounds = [plan.num_shards * piece // pieces for piece in range(pieces + 1)]
        for first, stop in itertools.pairwise(bounds):
            yield number, first, stop


def write_range(
    piece: Range, plans: Sequence[SplitPlan], write: Write = write_shard
) -> ShardSummary:
    """Writes the shards of a range one after the other; the counters show how far a job is."""
    number, first, stop = piece
    examples = Metrics.counter("lensing", "examples")
    num_bytes = Metrics.counter("lensing", "bytes")
    milliseconds = Metrics.distribution("lensing", "shard_milliseconds")
    results = []
    for shard in range(first, stop):
        result = write(plans[number].shard(shard), examples.inc)
        num_bytes.inc(result.num_bytes)
        if not result.reused:
            milliseconds.update(round(1000 * result.seconds))
        results.append(result)
    return ShardSummary.of(results)


def _sum(summaries: Iterable[ShardSummary]) -> ShardSummary:
    return functools.reduce(operator.add, summaries, ShardSummary())


def _write_report(summary: ShardSummary, path: str) -> None:
    with storage.writing(path) as file:
        file.write(json.dumps(summary.to_json()).encode())


@contextlib.contextmanager
def _listening_to_this_machine_only() -> Iterator[None]:
    """Lets what Beam serves from this process be reached through the loopback interface alone.

    Beam's servers here give orders, data and pickled code to whoever connects, and take them; they
    listen on every interface, without a setting for it, though the workers are told `localhost`.
    """
    make = grpc.server

    def make_local(*args: Any, **kwargs: Any) -> grpc.Server:
        server = make(*args, **kwargs)
        listen = server.add_insecure_port
        server.add_insecure_port = lambda address: listen(address.replace("[::]", "localhost"))
        return server

    grpc.server = make_local
    try:
        yield
    finally:
        grpc.server = make


def _set_dask_partitions(options: PipelineOptions) -> None:
    from apache_beam.runners.dask.dask_runner import DaskOptions  # needs Dask

    dask = options.view_as(DaskOptions)
    if dask.npartitions is None and dask.partition_size is None:
        dask.npartitions = DASK_PARTITIONS


def _as_lensing_error(runner: str | PipelineRunner, error: Exception, advice: str) -> LensingError:
    """Finds what a worker said in the text that the runner made of it.

    Runners that talk to other processes hand on no exception, but all hand on its traceback.
    """
    said = re.findall(r"\bLensingError: (.+?)(?: \[while running .*)?$", str(error), re.MULTILINE)
    if isinstance(error, LensingError):
        said = [re.sub(r" \[while running .*", "", str(error))]
    if said:
        return LensingError(said[-1])
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return LensingError(f"{runner} failed: {lines[-1].strip()}{advice}")
