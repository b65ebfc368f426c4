"""Fresh skies as a training gets them, beside the bare simulator, on one core.

    python -m benchmarks.fresh_skies v7 v11 v12

A process of `lensing_tfds.simulators`, whose skies are copied out of shared memory batch by batch
as the trainer does, and a simulator in a loop that drops what it makes, in turns. Seconds are the
processor's, of the process that simulates and of the one that takes its skies together: what else
a machine does is left out. The ratio has the lowest and highest of the rounds. With `--reuse 4` a
sky is four examples, each with noise of its own.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.kernel import rate
from lensing_tfds import VERSIONS
from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.simulation import Simulator
from lensing_tfds.task import Task

ROUNDS = 5
SECONDS = 2.0  # of the processor, in a round
BATCH = 32
REUSE = 4

_TICKS = os.sysconf("SC_CLK_TCK")


def bare(config: LensingConfig) -> Iterator[int]:
    """Simulates what training needs; yields the number of skies of each block."""
    for _, kappa in Simulator(config, "train").looks(range(10**9), 1):
        yield len(kappa)


def fresh(config: LensingConfig, reuse: int) -> tuple[float, float]:
    """Draws batches for a while; returns skies and examples per second of the processor."""
    from trainer.data.fresh import FreshSkies
    from trainer.settings.config import resolve

    settings = resolve(
        f"lensing/{config.name}",
        "",
        config,
        model="unet",
        batch_size=BATCH,
        fresh=True,
        reuse=reuse,
    )
    task = Task(config, DATASET_VERSION)
    source = FreshSkies(task, spectra_of(config), settings, simulators=1)
    with source.running():
        batches = source.pairs(range(10**9))
        ahead = source.memory // (4 * 3 * config.npix**2 * BATCH)
        for _ in range(ahead):  # all memory has been written to then
            next(batches)
        begun, skies, examples = _spent(source.process_ids), source.simulated, 0
        while (spent := _spent(source.process_ids) - begun) < SECONDS:
            examples += len(next(batches)[0])
        return (source.simulated - skies) / spent, examples / spent


def _spent(process_ids: Sequence[int]) -> float:
    """Seconds of the processor, of this process and of others."""
    ticks = 0
    for number in process_ids:
        fields = Path(f"/proc/{number}/stat").read_text("utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / _TICKS


def rates(config: LensingConfig, rounds: int = ROUNDS) -> NDArray[np.float64]:
    """Returns rates per second of the processor, (rounds, 3).

    They are of the bare simulator's skies, of fresh skies, and of examples where skies are reused.
    """
    return np.array(
        [[rate(bare(config)), fresh(config, 1)[0], fresh(config, REUSE)[1]] for _ in range(rounds)]
    )


def main(versions: Sequence[str]) -> None:
    """Prints a row a version."""
    print(f"| | bare skies/s | fresh skies/s | ratio | examples/s with --reuse {REUSE} |")
    print("| --- |" + " ---: |" * 4)
    for version in versions:
        table = rates(VERSIONS[version])
        ratios = table[:, 1] / table[:, 0]
        alone, ours, reused = np.median(table, axis=0)
        print(
            f"| {version} | {alone:.0f} | {ours:.0f} | {np.median(ratios):.2f} "
            f"({ratios.min():.2f}–{ratios.max():.2f}) | {reused:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", default=["v7", "v11", "v12"])
    main(parser.parse_args().versions)
