"""Compares built datasets with the benchmark's protocol, docs/benchmark.md.

    python -m pipelines.protocol --dataset lensing/v11 lensing/v12

decodes the test split of each and compares it with the frozen hashes; the exit status is 2 if one
differs by more than rounding.

    python -m pipelines.protocol --dataset lensing/v11 --other_skies DIR

writes the maps of skies off the training distribution into DIR, for estimates of κ that are
submitted: a folder a kind of skies, with `lensed.npy` and `index.npy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lensing_tfds.command_line import CommandParser, command, printable
from lensing_tfds.errors import LensingError
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records.storage import expanded, is_remote


def main(argv: Sequence[str] | None = None) -> None:
    """Compares the test splits of built datasets with the benchmark's frozen hashes."""
    parser = CommandParser("pipelines.protocol", str(main.__doc__))
    parser.add_shared("--dataset", required=True, nargs="+", help="lensing/<version>, built")
    parser.add_shared("--data_dir")
    parser.add_argument(
        "--other_skies",
        type=expanded,
        metavar="DIR",
        help="write the maps of one version's other skies there instead",
    )
    arguments = parser.parse_args(argv)
    with command(arguments.verbose, extra="pipelines"):
        with quiet_tensorflow():
            from estimators.benchmark.protocol import protocol
            from lensing_tfds.versions import dataset_name, get_config

        frozen = protocol()
        names = [dataset_name(dataset) for dataset in arguments.dataset]
        for name in names:
            frozen.split_of(get_config(name))  # all are of the benchmark, before one is read
        if arguments.other_skies is None:
            _compare(names, arguments.data_dir)
            return
        if len(names) > 1:
            raise LensingError("--other_skies takes one dataset at a time")
        if is_remote(arguments.other_skies):
            raise LensingError(
                f"--other_skies is {arguments.other_skies}: maps are written to a disk, "
                "give a folder"
            )
        from estimators.benchmark.other_skies import write_maps
        from estimators.ensemble import SkyEnsemble

        ensemble = SkyEnsemble.of(get_config(names[0]))
        for place in write_maps(frozen, ensemble, Path(arguments.other_skies)):
            print(f"{printable(place)}: {frozen.num_other_skies} examples")


def _compare(names: Sequence[str], data_dir: str | None) -> None:
    from estimators.benchmark.digests import digests
    from estimators.benchmark.protocol import protocol
    from estimators.benchmark.scoring import refuse_other_data
    from estimators.dataset import Dataset
    from lensing_tfds.records.datasets import absolute_data_dir, open_built
    from lensing_tfds.versions import VERSIONS

    frozen, found_in = protocol(), absolute_data_dir(data_dir)
    for name in names:
        open_built(name, found_in)  # a build that was just made would say nothing of theirs
        split = frozen.splits[name]
        dataset = Dataset.open(VERSIONS[name], found_in, frozen.dataset_version, "the protocol's")
        number = dataset.num_examples(frozen.split)
        found = digests(dataset.batches(frozen.split, number))
        agreement = refuse_other_data(name, found, split.arrays)
        print(f"{dataset.name} {frozen.split}: {number} examples, {agreement.value}")


if __name__ == "__main__":
    main()
