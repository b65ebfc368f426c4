r"""Estimates κ for a whole split with a trained network, by a Beam pipeline over its shards.

On one machine, and on a Dask cluster:

    python -m pipelines.predict --workdir runs/v10 --dataset lensing/v10 --output predictions/v10
    python -m pipelines.predict --workdir runs/v10 --dataset lensing/v10 --output /shared/v10 \
      --runner DaskRunner --dask_client_address tcp://scheduler:8786

Every flag that is not listed by `--help` goes to Beam as it stands. The estimates are those of
`trainer.runs.run.Run.predict`. They are written beside their indices, one pair of files a shard, in
the format of docs/predictions.md, for which `python -m trainer.evaluate --predictions DIR` is a
judge.
Run again, the command keeps the files that are finished and intact.
"""

from __future__ import annotations

from collections.abc import Sequence

from lensing_tfds.command_line import CommandParser, command, printable
from lensing_tfds.quiet import quiet_tensorflow


def main(argv: Sequence[str] | None = None) -> None:
    """Estimates κ for a split of a dataset with a trained network; other flags are Beam's own."""
    parser = CommandParser("pipelines.predict", str(main.__doc__))
    parser.add_shared("--workdir", required=True)
    parser.add_shared("--dataset", otherwise="the run's")
    parser.add_shared("--data_dir", otherwise="the run's")
    parser.add_shared("--split", default="test")
    parser.add_shared("--output", required=True, help="folder that the predictions go to")
    arguments, flags = parser.parse_known_args(argv)
    with command(arguments.verbose, extra="pipelines"):
        with quiet_tensorflow():
            from lensing_tfds.records.beam_flags import beam_options, prepare_beam
            from lensing_tfds.records.datasets import absolute_data_dir, open_built
            from lensing_tfds.versions import dataset_name
            from pipelines.predictor import predict_split
            from trainer.runs.run import load_run

        prepare_beam(arguments.verbose)
        options = beam_options(flags)
        run = load_run(arguments.workdir)
        data_dir = absolute_data_dir(arguments.data_dir or run.config.data_dir)
        dataset = open_built(dataset_name(arguments.dataset or run.config.dataset), data_dir)
        output = absolute_data_dir(arguments.output)
        summary = predict_split(run, dataset, arguments.split, output, options)
        name = dataset.config.name
        print(f"lensing/{name} {arguments.split}: {summary.total}")
        print(f"predictions: {printable(output)}")


if __name__ == "__main__":
    main()
