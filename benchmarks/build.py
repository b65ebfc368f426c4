"""Examples per second of a whole build: one worker, two, and what the kernel alone would do."""

import argparse
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from lensing_tfds import VERSIONS, LensingConfig
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.local_executor import WORKERS_VARIABLE
from lensing_tfds.simulation import Simulator

ROUNDS = 5
CONFIGS = (
    VERSIONS["v7"],
    LensingConfig(
        "npix256",
        npix=256,
        lx=10.0,
        noise_uK_arcmin=5.0,
        num_examples={"train": 2000, "validation": 100, "test": 100},
    ),
)
TINY = LensingConfig(
    "tiny", npix=8, lx=5.0, num_examples=dict.fromkeys(VERSIONS["v7"].num_examples, 2)
)


def kernel_rate(config: LensingConfig, seconds: float = 1.0) -> float:
    """Simulates on one core and writes nothing; returns examples per second."""
    blocks = Simulator(config, "train").examples(range(10**6))
    next(blocks)  # what is computed once is not part of the rate
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        count += len(next(blocks)["index"])
    return count / (time.perf_counter() - began)


def build_seconds(config: LensingConfig, workers: int) -> float:
    """Builds a dataset in a new folder, as `tfds build` does."""
    os.environ[WORKERS_VARIABLE] = str(workers)
    with tempfile.TemporaryDirectory() as folder:
        builder = Builder(config=config, data_dir=folder)
        began = time.perf_counter()
        builder.download_and_prepare()
        return time.perf_counter() - began


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args(argv).rounds
    cores = len(os.sched_getaffinity(0))
    os.environ["OMP_NUM_THREADS"] = "1"
    print(
        f"Written to {tempfile.gettempdir()} (TMPDIR chooses). Medians of {rounds} rounds, with the"
    )
    print(
        "lowest and highest ratio. 'start' is what it takes to start the workers, imports and all;"
    )
    print("it is not in the rates.\n")
    print(
        f"{'':>8} {'kernel':>8} {'1 worker':>9} {'of kernel':>17} {'2 workers':>10} "
        f"{'of 2 kernels':>17} {'2 to 1':>16} {'start':>6}"
    )
    for config in CONFIGS:
        total = sum(config.num_examples.values())
        rows = []
        for _ in range(rounds):
            # In a process of its own, like a worker.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                kernel = pool.submit(kernel_rate, config).result()
            one = total / build_seconds(config, 1)
            start = build_seconds(TINY, 2)
            two = total / (build_seconds(config, 2) - start)
            rows.append((kernel, one, one / kernel, two, two / kernel / 2, two / one, start))
        kernel, one, of_one, two, of_two, speedup, start = np.median(rows, axis=0)
        low, high = np.min(rows, axis=0), np.max(rows, axis=0)

        def spread(i, low=low, high=high):
            return f"({low[i]:.2f}-{high[i]:.2f})"

        print(
            f"{config.name:>8} {kernel:8.0f} {one:9.0f} {of_one:5.2f} {spread(2)} {two:10.0f} "
            f"{of_two:5.2f} {spread(4)} {speedup:4.2f} {spread(5)} {start:5.1f}s"
        )
    if cores < 2:
        print("only one core may be used here: the figures for two workers mean nothing")


if __name__ == "__main__":
    main()
