"""Builds a version of the dataset on this machine, without TensorFlow Datasets.

    python -m lensing_tfds.build --config v7

The files are those that `tfds build lensing_tfds --config v7` writes, and the same command goes on
with a build that was interrupted, and writes again what is damaged.
"""

from __future__ import annotations

from collections.abc import Sequence

from lensing_tfds.command_line import CommandParser, command


def main(argv: Sequence[str] | None = None) -> None:
    """Builds a version of the dataset on this machine, without TensorFlow Datasets."""
    parser = CommandParser("lensing_tfds.build", str(main.__doc__))
    parser.add_argument(
        "--config", required=True, help="a version, as v7 (docs/versions.md lists them), or JSON"
    )
    parser.add_shared("--data_dir")
    parser.add_shared("--num_shards")
    parser.add_shared("--file_format")
    arguments = parser.parse_args(argv)
    with command(arguments.verbose, extra="worker"):
        from lensing_tfds.records.building import build
        from lensing_tfds.records.datasets import absolute_data_dir
        from lensing_tfds.versions import get_config

        config = get_config(arguments.config)
        data_dir = absolute_data_dir(arguments.data_dir)
        summary = build(config, data_dir, arguments.num_shards, arguments.file_format)
        print(f"lensing/{config.name} is in {data_dir}: {summary.total}")


if __name__ == "__main__":
    main()
