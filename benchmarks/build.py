"""Examples per second of a whole build: one worker, two, and what the kernel alone would do.

    TMPDIR=/dev/shm python -m benchmarks.build v7 --examples 250000 --rounds 2

Without versions: v7 and a patch of 256 pixels, of their own numbers of examples.
"""

import argparse
import dataclasses
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from lensing_tfds import VERSIONS, LensingConfig
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records.local_executor import WORKERS_VARIABLE
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


def kernel_rate(config: LensingConfig, begin: float, seconds: float = 2.0) -> float:
    """Simulates on one core and writes nothing, from a given time on; returns examples/s."""
    blocks = Simulator(config, "train").examples(range(10**6))
    next(blocks)  # what is computed once is not part of the rate
    time.sleep(max(0.0, begin - time.time()))
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        count += len(next(blocks)["index"])
    return count / (time.perf_counter() - began)


def kernels_rate(config: LensingConfig, processes: int) -> float:
    """Simulates in several processes at once, as the workers do; returns examples/s of all."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        begin = time.time() + 5  # they have started by then
        return sum(pool.map(kernel_rate, [config] * processes, [begin] * processes))


def with_examples(config: LensingConfig, number: int) -> LensingConfig:
    """Returns a config of the same maps with so many training examples, and few others."""
    numbers = {split: min(count, 16) for split, count in config.num_examples.items()}
    return dataclasses.replace(
        config, name=f"{config.name}_long", num_examples={**numbers, "train": number}
    )


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
    parser.add_argument("versions", nargs="*")
    parser.add_argument("--examples", type=int, help="of the training split, in place of its own")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    flags = parser.parse_args(argv)
    rounds = flags.rounds
    configs = [VERSIONS[name] for name in flags.versions] or CONFIGS
    if flags.examples:
        configs = [with_examples(config, flags.examples) for config in configs]
    os.environ["OMP_NUM_THREADS"] = "1"
    start = statistics.median(build_seconds(TINY, 2) for _ in range(rounds))
    print(f"Written to {tempfile.gettempdir()} (TMPDIR chooses); examples/s, medians of {rounds}")
    print(f"rounds, lowest and highest ratio. Not counted: {start:.1f} s to start two workers.\n")
    print(
        f"{'':>8} {'kernel':>7} {'2 kernels':>9} {'1 worker':>9} {'2 workers':>9} "
        f"{'1 worker/kernel':>18} {'2 workers/2 kernels':>20} {'2 workers/1':>17} "
        f"{'2 kernels/1':>17}"
    )
    for config in configs:
        total = sum(config.num_examples.values())
        rows = np.array(
            [
                (
                    kernels_rate(config, 1),
                    kernels_rate(config, 2),
                    total / build_seconds(config, 1),
                    total / (build_seconds(config, 2) - start),
                )
                for _ in range(rounds)
            ]
        )
        kernel, kernels, one, two = rows.T
        rates = " ".join(f"{np.median(rate):9.0f}" for rate in (kernels, one, two))
        ratios = " ".join(
            f"{np.median(r):7.2f} ({r.min():.2f}-{r.max():.2f})"
            for r in (one / kernel, two / kernels, two / one, kernels / kernel)
        )
        print(f"{config.name:>8} {np.median(kernel):7.0f} {rates} {ratios}")


if __name__ == "__main__":
    main()
