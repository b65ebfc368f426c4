"""Trials an hour of one worker against two, one core each."""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lensing_tfds.records.datasets import absolute_data_dir
from tuning.trials import project

# One network, so that every trial costs the same.
SPACE = {"depth": 4, "width": 32, "tail": 0, "last_kernel": 5, "upsampling": 1}
TRAINING = {"batch_size": 64, "augment": True, "optimizer": "adam"}


@dataclasses.dataclass(frozen=True)
class Rate:
    """The result of a search with some workers; `seconds` are of the whole command."""

    trials_per_hour: float
    seconds: float


def measure(workers: int, arguments: argparse.Namespace, workdir: Path) -> Rate:
    """Searches with so many workers; the rate is of the trials, start and end of processes aside.

    The clock runs from the first trial's begin to the last one's end, as their files' times say.
    As many cores as workers: one worker has one core too, and the chief shares the first.
    """
    space = workdir / "space.json"
    workdir.mkdir(parents=True)
    space.write_text(json.dumps(SPACE | TRAINING), encoding="utf-8")
    command = [sys.executable, "-m", "tuning", f"--dataset={arguments.dataset}"]
    command += [
        f"--data_dir={absolute_data_dir(arguments.data_dir)}",
        f"--workdir={workdir}/search",
    ]
    command += [f"--space={space}", "--tuner=random", f"--max_trials={arguments.trials}"]
    command += [f"--max_epochs={arguments.epochs}", f"--max_examples={arguments.examples}"]
    command += [f"--workers={workers}"]
    cores = sorted(os.sched_getaffinity(0))
    began = time.perf_counter()
    subprocess.run(
        ["taskset", "-c", ",".join(map(str, cores[:workers])), *command],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - began
    folders = list(project(workdir / "search").glob("trial_*"))
    starts = [(folder / "run" / "config.json").stat().st_mtime for folder in folders]
    ends = [(folder / "run" / "history.csv").stat().st_mtime for folder in folders]
    return Rate(3600 * len(folders) / (max(ends) - min(starts)), seconds)


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="lensing/v3")
    parser.add_argument("--data_dir")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        print("only one core may be used here: the figures for two workers mean nothing\n")
    print("| round | 1 worker, trials/hour | 2 workers | ratio | whole command, ratio |")
    print("| --- | --- | --- | --- | --- |")
    for number in range(1, arguments.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            one, two = (measure(n, arguments, Path(folder) / str(n)) for n in (1, 2))
        ratio = two.trials_per_hour / one.trials_per_hour
        print(
            f"| {number} | {one.trials_per_hour:.0f} | {two.trials_per_hour:.0f} "
            f"| {ratio:.2f} | {one.seconds / two.seconds:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
