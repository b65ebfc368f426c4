"""Freezes a protocol of the benchmark: the package's file, from the examples themselves.

    python -m benchmarks.freeze_protocol --protocol 1

simulates the test splits (minutes of a core), and writes their hashes and the judge's bands into
estimators/benchmark/protocol.json. Named bands and other skies are those of the present protocol.
A protocol that is frozen is not changed: given its own number, the command only compares; other
data get another number, and are written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from estimators.benchmark import protocol as of_package
from estimators.benchmark.digests import Agreement, digests
from estimators.benchmark.protocol import FILE, FrozenSplit, Protocol, protocol, text_of
from estimators.benchmark.scoring import refuse_other_data
from lensing_tfds import VERSIONS, simulate
from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.records.storage import writing
from lensing_tfds.simulation import Simulator


def frozen_split(name: str, split: str, number: int, num_first: int) -> FrozenSplit:
    """Returns what is to be frozen of a version.

    Args:
      name: the version's.
      split: whose examples are judged.
      number: how many.
      num_first: how many are hashed alone too, the first ones.
    """
    config = VERSIONS[name]
    whole = Simulator(config, split, spectra_of(config)).examples(range(number))
    return FrozenSplit.of(name, digests(whole), digests([simulate(name, split, range(num_first))]))


def frozen_again(now: Protocol, version: str) -> Protocol:
    """Returns the protocol of the data as this release makes them.

    Args:
      now: whose named bands and other skies it has.
      version: its number.
    """
    splits = {
        name: frozen_split(name, now.split, split.config.num_examples[now.split], split.num_first)
        for name, split in now.splits.items()
    }
    return dataclasses.replace(now, version=version, dataset_version=DATASET_VERSION, splits=splits)


def _compared(now: Protocol, again: Protocol) -> Agreement:
    """Returns how the examples agree, the worst of all; refuses others, and other bands."""
    worst = Agreement.IDENTICAL
    for name, split in now.splits.items():
        found = again.splits[name]
        split.refuse_other_bands(np.array(found.ell_edges))
        for of_found, expected in ((found.arrays, split.arrays), (found.first, split.first)):
            if refuse_other_data(name, of_found, expected) is Agreement.ROUNDING:
                worst = Agreement.ROUNDING
    return worst


def main(argv: Sequence[str] | None = None) -> None:
    """Writes a new protocol's file, or compares the present one with the examples."""
    parser = CommandParser("benchmarks.freeze_protocol", str(main.__doc__))
    parser.add_argument("--protocol", required=True, help="its number")
    path = Path(of_package.__file__).with_name(FILE)
    parser.add_shared("--output", type=Path, default=path)
    arguments = parser.parse_args(argv)
    with command(arguments.verbose):
        now = protocol()
        again = frozen_again(now, arguments.protocol)
        if again.version == now.version:
            print(f"protocol {now.version}: {_compared(now, again).value}")
            return
        with writing(str(arguments.output)) as file:
            file.write(text_of(again).encode())
        print(arguments.output)


if __name__ == "__main__":
    main()
