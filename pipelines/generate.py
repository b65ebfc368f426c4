"""Builds a version of the dataset with Apache Beam.

On one machine:

    python -m pipelines.generate --config v7 --data_dir ~/tensorflow_datasets --runner FnApiRunner

Every flag that is not listed by `--help` goes to Beam as it stands, so that any of its runners can
be named. The result is what `tfds build lensing_tfds --config v7` makes.
"""

import argparse
from collections.abc import Sequence

import apache_beam as beam
import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.pvalue import PCollection
from apache_beam.runners.runner import create_runner

from lensing_tfds.command_line import one_line_errors
from lensing_tfds.configs import LensingError, get_config
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.shards import Executor, ShardResult, SplitPlan, write_shard
from trainer.quiet import quiet_tensorflow


class WriteShards(beam.PTransform):
    """Split plans -> what was written of each shard.

    The graph has the same size for ten shards or a million, and no example goes through it.
    """

    def expand(self, plans: PCollection[SplitPlan]) -> PCollection[ShardResult]:
        return (
            plans
            | "PlanShards" >> beam.FlatMap(SplitPlan.shards)
            | "SpreadOverWorkers" >> beam.Reshuffle()
            | "WriteShard" >> beam.Map(write_shard)
        )


def beam_executor(options: PipelineOptions) -> Executor:
    """Returns an executor that writes shards by a Beam pipeline and waits for its end."""

    def execute(plans: Sequence[SplitPlan]) -> None:
        with beam.Pipeline(options=options) as pipeline:
            pipeline | "Splits" >> beam.Create(plans) | WriteShards()

    return execute


def beam_options(flags: Sequence[str]) -> PipelineOptions:
    """Reads Beam's own flags; without `--runner`, the runner works in this process.

    Raises:
      LensingError: an argument that Beam does not know, which Beam itself would ignore, or a
        runner that it does not have.
    """
    for before, flag in zip(["", *flags], flags, strict=False):
        if not flag.startswith("-") and (not before.startswith("-") or "=" in before):
            raise LensingError(f"stray argument {flag!r}: flags start with --")
    options = PipelineOptions(list(flags))
    known = options.get_all_options()
    given = options.get_all_options(drop_default=True, retain_unknown_options=True)
    unknown = set(given) - set(known)
    for flag in flags:
        typed = flag.split("=")[0]
        if typed.lstrip("-").replace("-", "_") in unknown:
            raise LensingError(f"neither this command nor Beam knows the flag {typed}")
    standard = options.view_as(StandardOptions)
    if standard.runner is None:
        # Beam's own default would first try to download a runner.
        standard.runner = "FnApiRunner"
    try:
        create_runner(standard.runner)
    except (ValueError, ImportError) as error:
        raise LensingError(f"runner {standard.runner!r}: {error}") from error
    return options


def main(argv: Sequence[str] | None = None) -> None:
    """Builds a version of the dataset with Apache Beam; other flags are Beam's own."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.generate", description=main.__doc__, allow_abbrev=False
    )
    parser.add_argument("--config", required=True, help="v1 ... v8, or a config as JSON")
    parser.add_argument("--data_dir", help="where datasets are (default: TFDS's)")
    parser.add_argument("--num_shards", type=int, help="files per split (default: by their size)")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks of errors")
    arguments, flags = parser.parse_known_args(argv)
    with quiet_tensorflow():
        import tensorflow  # noqa: F401  (TFDS and write_shard will, with more ado)
    with one_line_errors(arguments.verbose):
        options = beam_options(flags)
        builder = Builder(config=get_config(arguments.config), data_dir=arguments.data_dir)
        builder.executor = beam_executor(options)
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(num_shards=arguments.num_shards)
        )
        print(f"lensing/{builder.builder_config.name} is in {builder.data_dir}")


if __name__ == "__main__":
    main()
