"""Examples per second of one core: ours against the study's recipe, interleaved in one run."""

import os
import statistics
import time

import numpy as np

from benchmarks import study_recipe
from lensing_tfds import LensingConfig
from lensing_tfds.simulation import Simulator

ROUNDS = 5
SECONDS = 0.6  # of each in a round


def rate(batches) -> float:
    """Draws from an iterator of batch sizes for a while; returns examples per second.

    Seconds of this process: one thread simulates, and what else the machine does is left out.
    """
    next(batches)  # what is computed once is not part of the rate
    count, began = 0, time.process_time()
    while time.process_time() - began < SECONDS:
        count += next(batches)
    return count / (time.process_time() - began)


def ours(config):
    while True:
        for block in Simulator(config, "train").examples(range(10**6)):
            yield len(block["index"])


def studys(config):
    simulator = study_recipe.Simulator(config)
    for seed in range(1, 10**6):
        simulator.example(seed)
        yield 1


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # NaMaster's threads; read when it is first imported
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, for both
    print(f"{'npix':>5} {'ours':>8} {'study':>8} {'ratio':>6}  (lowest and highest of {ROUNDS})")
    for npix in (50, 100, 128, 256, 512):
        config = LensingConfig("benchmark", npix=npix, lx=10.0, noise_uK_arcmin=5.0)
        rates = np.array([[rate(ours(config)), rate(studys(config))] for _ in range(ROUNDS)])
        ratios = rates[:, 0] / rates[:, 1]
        new, old = np.median(rates, axis=0)
        print(
            f"{npix:5} {new:8.0f} {old:8.1f} {statistics.median(ratios):5.1f}x"
            f"  ({ratios.min():.1f}-{ratios.max():.1f})"
        )


if __name__ == "__main__":
    main()
