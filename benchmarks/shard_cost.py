"""Processor time of writing a shard, part by part, on one core.

    TMPDIR=/dev/shm python -m benchmarks.shard_cost v7 v12 --seconds 60

Microseconds of an example that this process works, or the system for it: what else the machine does
is left out, but what it does to caches. "system" is the share of the whole that the kernel of the
operating system takes, which copies the bytes to pages of the file.
"""

import argparse
import collections
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

import google_crc32c
import numpy as np

from lensing_tfds import VERSIONS, LensingConfig
from lensing_tfds.records import shards, tfrecord
from lensing_tfds.records.shard_plans import ShardSpec, default_num_shards
from lensing_tfds.simulation import Examples, Simulator

ROUNDS = 8


def compare(config: LensingConfig, folder: str, seconds: float) -> None:
    """Prints a row."""
    number = config.num_examples["train"] // default_num_shards(config, "train")
    spec = ShardSpec(config, "train", 0, number, f"{folder}/shard")

    def cost(work: Callable[[Iterator[Examples]], object]) -> float:
        blocks = Simulator(config, "train").examples(range(number))
        first = len(next(blocks)["index"])
        begun = time.process_time()
        work(blocks)
        return (time.process_time() - begun) / (number - first)

    def kernel(blocks: Iterator[Examples]) -> None:
        collections.deque(blocks, maxlen=0)

    def records(blocks: Iterator[Examples]) -> None:
        collections.deque(tfrecord.stretches(blocks), maxlen=0)

    def checksum(blocks: Iterator[Examples]) -> None:
        crc = 0
        for piece in tfrecord.stretches(blocks):
            crc = google_crc32c.extend(crc, piece)

    def shard() -> tuple[float, float]:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        begun = os.times()
        shards.write_shard(spec)
        ended = os.times()
        user, system = ended.user - begun.user, ended.system - begun.system
        return (user + system) / number, system / number

    cost(kernel), shard()
    rows: list[tuple[float, ...]] = []
    end = time.process_time() + seconds
    while time.process_time() < end or len(rows) < ROUNDS:
        rows.append((*map(cost, (kernel, records, checksum)), *shard()))
    table = 1e6 * np.array(rows)
    alone, encoded, checked, whole, system = np.median(table, axis=0)
    ratios = table[:, 0] / table[:, 3]
    print(
        f"| {config.name} | {alone:.1f} | {encoded - alone:.1f} | {checked - encoded:.1f} | "
        f"{whole - checked:.1f} | {whole:.1f} | {system:.1f} | "
        f"{np.median(ratios):.2f} ({ratios.min():.2f}–{ratios.max():.2f}) |",
        flush=True,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", default=["v7", "v12"])
    parser.add_argument("--seconds", type=float, default=60.0, help="of a version")
    flags = parser.parse_args(argv)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(
        "| | kernel, µs | records | checksum of the file | to the file | whole | system | "
        "kernel to whole |\n| --- |" + " ---: |" * 7
    )
    for version in flags.versions:
        with tempfile.TemporaryDirectory() as folder:
            compare(VERSIONS[version], folder, flags.seconds)


if __name__ == "__main__":
    main()
