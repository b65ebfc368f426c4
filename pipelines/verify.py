"""Reads every file of a dataset and compares it with its checksum.

    python -m pipelines.verify --dataset lensing/v7 --data_dir ~/tensorflow_datasets

What is damaged is named, with the command that writes just that again; the exit status is then 1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.quiet import quiet_tensorflow

if TYPE_CHECKING:
    from lensing_tfds.records.shard_plans import ShardSpec, SplitPlan


def damaged_shards(plans: Sequence[SplitPlan], workers: int | None = None) -> list[str]:
    """Verifies all shards.

    Args:
      plans: the splits.
      workers: how many processes; see `write_locally`.

    Returns:
      A line for each damaged shard: "shard ... is missing".
    """
    from lensing_tfds.records.local_executor import each_shard

    results = each_shard(_inspect, plans, workers)
    return sorted(f"shard {path} {what}" for path, what in results if what is not None)


def _inspect(spec: ShardSpec, on_examples: Callable[[int], object]) -> tuple[str, str | None]:
    from lensing_tfds.records.shard_seals import damage

    what = damage(spec)
    on_examples(spec.num_examples)
    return spec.path, what


def main(argv: Sequence[str] | None = None) -> None:
    """Verifies every file of a dataset against its checksum; exit status 1 if any is damaged."""
    parser = CommandParser("pipelines.verify", str(main.__doc__))
    parser.add_shared("--dataset", required=True)
    parser.add_shared("--data_dir")
    arguments = parser.parse_args(argv)
    with command(arguments.verbose, extra="tfds"):
        with quiet_tensorflow():
            from lensing_tfds.records import seals
            from lensing_tfds.records.datasets import absolute_data_dir, built_folder
            from lensing_tfds.records.stored_dataset import mending_command, read_dataset
            from lensing_tfds.versions import dataset_name

        data_dir = absolute_data_dir(arguments.data_dir)
        folder = built_folder(dataset_name(arguments.dataset), data_dir)
        if faults := seals.faults(folder):
            # They say which shards there must be, and of which config: these first.
            for name, fault in faults.items():
                print(f"{folder}/{name} {fault}")
            print(
                f"error: shards were not looked at: first write that again (intact shards are "
                f"kept): {mending_command(folder)}",
                file=sys.stderr,
            )
            sys.exit(1)
        plans = list(read_dataset(folder).plans.values())
        damaged = damaged_shards(plans)
        count = sum(plan.num_shards for plan in plans)
        if not seals.names(folder):
            print(
                f"note: {folder} was built without checksums of its files other than shards; to "
                f"add them: {mending_command(folder)}"
            )
        if not damaged:
            print(f"{arguments.dataset}: all {count} shards are intact")
            return
        for line in damaged:
            print(line)
        print(
            f"error: {len(damaged)} of {count} shards are damaged; to write just those again: "
            f"{mending_command(folder)}",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
