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

import argparse
import os
import sys
import uuid
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from lensing_tfds.command_line import one_line_errors
from lensing_tfds.configs import SPLITS
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records import storage
from lensing_tfds.records.beam_executor import pipeline_runner
from lensing_tfds.records.shards import SplitPlan
from pipelines.generate import beam_options, prepare_beam
from pipelines.validation.observables import FEWEST_EXAMPLES, Observables

with quiet_tensorflow():
    from lensing_tfds.records.datasets import absolute_data_dir, open_built, split_plans
    from lensing_tfds.versions import dataset_name
    from pipelines.validation import validation_page
    from pipelines.validation.outcome import Verdict
    from pipelines.validation.statistics import Statistics
    from pipelines.validation.transform import MeasureShards
    from pipelines.validation.verdict import judge


def validate(
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


def main(argv: Sequence[str] | None = None) -> None:
    """Measures a built dataset and compares it with theory; exit status 1 if anything is off."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.validate",
        description=f"{main.__doc__} Other flags are Beam's own.",
        allow_abbrev=False,
    )
    parser.add_argument("--dataset", required=True, help="lensing/<config>")
    parser.add_argument("--data_dir", help="where datasets are (default: TFDS's)")
    parser.add_argument("--split", choices=SPLITS, help="read only this one (default: all)")
    parser.add_argument("--output", help="folder of the report (default: the dataset's own)")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks of errors")
    arguments, flags = parser.parse_known_args(argv)
    prepare_beam(arguments.verbose)
    with one_line_errors(arguments.verbose):
        options = beam_options(flags)
        data_dir = absolute_data_dir(arguments.data_dir)
        builder = open_built(dataset_name(arguments.dataset), data_dir)
        plans = [p for p in split_plans(builder) if arguments.split in (None, p.split)]
        folder = str(builder.data_path)
        output = _output_folder(arguments.output, folder)
        verdict = validate(plans, folder, output, options)
        for name, content in validation_page.files(verdict, str(builder.version)).items():
            with storage.writing(f"{output}/{name}") as file:
                file.write(content)
    print("\n".join(validation_page.lines(verdict)))
    print(f"{arguments.dataset}: {validation_page.summary(verdict)}; see {output}/validation.html")
    if not verdict.passed:
        for test in verdict.failures:
            print(f"error: {arguments.dataset}: {test.message}", file=sys.stderr)
        sys.exit(1)


def _output_folder(asked: str | None, folder: str) -> str:
    if asked is None:
        return folder
    output = absolute_data_dir(asked)
    if not storage.is_remote(output):
        try:
            os.makedirs(output, exist_ok=True)
        except OSError as error:
            raise LensingError(f"--output {output} cannot be made: {error.strerror}") from error
    return output


if __name__ == "__main__":
    main()
