"""Time of an example of some versions of one core, beside that of another, interleaved in one run.

python -m benchmarks.version_speed v16 v17 --beside v10
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np

from lensing_tfds import VERSIONS
from lensing_tfds.simulation import Simulator

ROUNDS = 7


def seconds(names: Sequence[str], examples: int, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Measures the processor's time of an example of each version, once a round.

    Args:
      names: of versions.
      examples: how many are simulated for each number.
      rounds: how many numbers of each version.
    """
    simulators = {name: Simulator(VERSIONS[name], "train") for name in names}
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name, simulator in simulators.items():
            began = time.process_time()
            for _ in simulator.examples(range(examples)):
                pass
            if number:  # the first compiles
                found[name].append((time.process_time() - began) / examples)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.version_speed", description=__doc__)
    parser.add_argument("versions", nargs="+", choices=VERSIONS)
    parser.add_argument("--beside", choices=VERSIONS, required=True)
    parser.add_argument("--examples", type=int, default=10)
    arguments = parser.parse_args(argv)
    names = [arguments.beside, *arguments.versions]
    found = seconds(names, arguments.examples)
    reference = np.array(found[arguments.beside])
    for name in names:
        ratio = np.median(np.array(found[name]) / reference)
        milliseconds = 1e3 * np.median(found[name])
        print(f"{name}: {milliseconds:.1f} ms an example, {ratio:.2f} times {arguments.beside}'s")


if __name__ == "__main__":
    main()
