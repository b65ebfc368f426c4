r"""Builds a version of the dataset with Apache Beam.

On one machine, and on a Dask cluster:

    python -m pipelines.generate --config v7 --data_dir ~/tensorflow_datasets --runner FnApiRunner
    python -m pipelines.generate --config v7 --data_dir /shared/tensorflow_datasets \
      --runner DaskRunner --dask_client_address tcp://scheduler:8786

Every flag that is not listed by `--help` goes to Beam as it stands, so that any of its runners can
be named: docs/engines.md has a command for each. The result is what
`tfds build lensing_tfds --config v7` makes.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.runner import create_runner

from lensing_tfds.command_line import one_line_errors
from lensing_tfds.errors import LensingError
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records.beam_executor import beam_executor, known_runner
from lensing_tfds.versions import get_config

JOB_SERVER_RUNNERS = ("FlinkRunner", "PortableRunner", "SparkRunner")
"""Runners whose job server has flags of its own, which nobody knows before it runs."""


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
    standard = options.view_as(StandardOptions)
    standard.runner = known_runner(standard.runner)
    try:
        create_runner(standard.runner)  # which also lets Beam know the runner's own flags
    except (ValueError, ImportError) as error:
        raise LensingError(f"runner {standard.runner!r}: {error}") from error
    known = options.get_all_options()
    given = options.get_all_options(drop_default=True, retain_unknown_options=True)
    unknown = set(given) - set(known)
    for flag in flags:
        typed = flag.split("=")[0]
        if typed.lstrip("-").replace("-", "_") not in unknown:
            continue
        if standard.runner not in JOB_SERVER_RUNNERS:
            raise LensingError(f"neither this command nor Beam knows the flag {typed}")
        print(f"note: {typed} is left to the job server of {standard.runner}", file=sys.stderr)
    return options


def prepare_beam(verbose: bool) -> None:
    """Sets this process up for a command that runs a pipeline.

    Args:
      verbose: let Beam log failures itself, tracebacks and all.
    """
    if not verbose:
        logging.getLogger().setLevel(logging.CRITICAL)
    # Beam starts worker processes on this machine, where it does, as just `python`.
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])


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
        import tensorflow  # noqa: F401  (TFDS will, with more ado)
    prepare_beam(arguments.verbose)
    with one_line_errors(arguments.verbose):
        options = beam_options(flags)
        builder = Builder(config=get_config(arguments.config), data_dir=arguments.data_dir)
        builder.executor = beam_executor(options)
        builder.check_shards = True  # a dataset that is prepared too: run again, this repairs it
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(num_shards=arguments.num_shards)
        )
        print(f"lensing/{builder.builder_config.name} is in {builder.data_dir}")


if __name__ == "__main__":
    main()
