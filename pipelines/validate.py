r"""Proves a built dataset against theory, before anyone trains on it.

On one machine, and on a Dask cluster:

    python -m pipelines.validate --dataset lensing/v10 --data_dir ~/tensorflow_datasets
    python -m pipelines.validate --dataset lensing/v10 --data_dir /shared/tensorflow_datasets \
      --runner DaskRunner --dask_client_address tcp://scheduler:8786

Every flag that is not listed by `--help` goes to Beam as it stands. Over all examples are measured:
binned auto- and cross-spectra, the moments of pixels, the response of the quadratic estimator to κ,
and whether examples are finite, there, and different. A table is printed; `validation.json`,
`validation.html` and `validation.png` are written into the dataset's folder. The exit status is 1
if anything is off, and the last lines say what.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.quiet import quiet_tensorflow


def main(argv: Sequence[str] | None = None) -> None:
    """Measures a built dataset and compares it with theory; exit status 1 if anything is off."""
    parser = CommandParser("pipelines.validate", f"{main.__doc__} Other flags are Beam's own.")
    parser.add_shared("--dataset", required=True)
    parser.add_shared("--data_dir")
    parser.add_shared("--split", otherwise="all of them")
    parser.add_shared("--output", help="folder of the report", otherwise="the dataset's own")
    arguments, flags = parser.parse_known_args(argv)
    with command(arguments.verbose, extra="pipelines"):
        with quiet_tensorflow():
            from lensing_tfds.records import storage
            from lensing_tfds.records.beam_flags import beam_options, prepare_beam
            from lensing_tfds.records.datasets import absolute_data_dir, open_built
            from lensing_tfds.versions import dataset_name
            from pipelines.validation import validation_page
            from pipelines.validation.validated import validate_shards

        prepare_beam(arguments.verbose)
        options = beam_options(flags)
        dataset = open_built(dataset_name(arguments.dataset), absolute_data_dir(arguments.data_dir))
        splits = list(dataset.plans) if arguments.split is None else [arguments.split]
        plans, folder = [dataset.plan(split) for split in splits], dataset.data_path
        output = folder if arguments.output is None else absolute_data_dir(arguments.output)
        if not storage.is_remote(output):
            storage.make_folder(Path(output))
        verdict = validate_shards(plans, folder, output, options)
        for name, content in validation_page.files(verdict, dataset.version).items():
            with storage.writing(f"{output}/{name}") as file:
                file.write(content)
        print("\n".join(validation_page.lines(verdict)))
        summary = validation_page.summary(verdict)
        print(f"{arguments.dataset}: {summary}; see {output}/validation.html")
        for test in verdict.failures:
            print(f"error: {arguments.dataset}: {test.message}", file=sys.stderr)
        if not verdict.passed:
            sys.exit(1)


if __name__ == "__main__":
    main()
