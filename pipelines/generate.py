r"""Builds a version of the dataset with Apache Beam.

On one machine, and on a Dask cluster:

    python -m pipelines.generate --config v7 --data_dir ~/tensorflow_datasets --runner FnApiRunner
    python -m pipelines.generate --config v7 --data_dir /shared/tensorflow_datasets \
      --runner DaskRunner --dask_client_address tcp://scheduler:8786

Every flag that is not listed by `--help` goes to Beam as it stands, so that any of its runners can
be named: docs/engines.md has a command for each. The result is what
`tfds build lensing_tfds --config v7` makes.
"""

from __future__ import annotations

from collections.abc import Sequence

from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.quiet import quiet_tensorflow


def main(argv: Sequence[str] | None = None) -> None:
    """Builds a version of the dataset with Apache Beam; other flags are Beam's own."""
    parser = CommandParser("pipelines.generate", str(main.__doc__))
    parser.add_argument(
        "--config", required=True, help="a version, as v7 (docs/versions.md lists them), or JSON"
    )
    parser.add_shared("--data_dir")
    parser.add_shared("--num_shards")
    parser.add_shared("--file_format")
    arguments, flags = parser.parse_known_args(argv)
    with command(arguments.verbose, extra="pipelines"):
        with quiet_tensorflow():
            import tensorflow  # noqa: F401  (TFDS will, with more ado)
            import tensorflow_datasets as tfds

            from lensing_tfds.lensing_tfds_dataset_builder import Builder
            from lensing_tfds.records.beam_executor import beam_executor
            from lensing_tfds.records.beam_flags import beam_options, prepare_beam
            from lensing_tfds.versions import get_config

        prepare_beam(arguments.verbose)
        options = beam_options(flags)
        builder = Builder(
            config=get_config(arguments.config),
            data_dir=arguments.data_dir,
            file_format=arguments.file_format,
        )
        builder.executor = beam_executor(options)
        builder.check_shards = True  # a dataset that is prepared too: run again, this repairs it
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(num_shards=arguments.num_shards)
        )
        print(f"lensing/{builder.builder_config.name} is in {builder.data_dir}")


if __name__ == "__main__":
    main()
