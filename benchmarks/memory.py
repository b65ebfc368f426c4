"""Peak memory of a process that writes shards, by the number of examples and of shards."""

import subprocess
import sys
import tempfile

CASES = (
    # npix, examples, shards
    (50, 1_000, 1),
    (50, 10_000, 1),
    (50, 100_000, 1),
    (50, 100_000, 25),
    (256, 100, 1),
    (256, 2_000, 1),
    (256, 2_000, 12),
)

WORKER = """
import resource, sys
from lensing_tfds import LensingConfig
from lensing_tfds.records.shard_plans import SplitPlan
from lensing_tfds.records.shards import write_shard
npix, examples, shards = map(int, sys.argv[2:])
config = LensingConfig("memory", npix=npix, lx=10.0, noise_uK_arcmin=5.0,
                       num_examples={"train": examples, "validation": 1, "test": 1})
for spec in SplitPlan(config, "train", shards, sys.argv[1] + "/shard").shards():
    write_shard(spec)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak_mib(npix: int, examples: int, shards: int) -> float:
    """Writes shards in a new process; returns its peak resident memory, MiB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", WORKER, folder, str(npix), str(examples), str(shards)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    print(f"{'npix':>5} {'examples':>9} {'shards':>7} {'maps':>9} {'peak memory':>12}")
    for npix, examples, shards in CASES:
        maps = 3 * 4 * npix**2 * examples / 2**20
        peak = peak_mib(npix, examples, shards)
        print(f"{npix:5} {examples:9,} {shards:7} {maps:5,.0f} MiB {peak:8.0f} MiB")


if __name__ == "__main__":
    main()
