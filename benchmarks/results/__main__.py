"""Makes the cells that are asked for, one after the other, and the page of all that is there."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import page, record
from benchmarks.results.cells import IMPORTANT, MODELS, Cell, cells
from benchmarks.results.evidence import gather
from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.errors import LensingError
from lensing_tfds.records.datasets import absolute_data_dir
from lensing_tfds.records.storage import make_folder
from trainer.runs.plan import duration

LOG = "log.txt"
"""Name of the file in a cell's folder that holds what its processes said."""


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        "benchmarks.results",
        "Train and judge networks on versions, each for some minutes, and write the page of what "
        "they reach. What is finished is skipped, and what was stopped goes on.",
        epilog="With --page alone nothing is trained: the page is written from what is there. "
        "Figures that its .json has already are kept, and a cell's new ones take their place.",
    )
    parser.add_shared("--data_dir")
    parser.add_argument(
        "--results", type=Path, default=Path("runs/results"), help="where the runs are"
    )
    parser.add_argument("--minutes", type=float, help="of training a network [10]")
    parser.add_argument("--versions", nargs="+", metavar="V", help=f"[{' '.join(IMPORTANT)}]")
    parser.add_argument("--models", nargs="+", metavar="M", help=f"[{' '.join(MODELS)}]")
    parser.add_shared("--max_examples", help="judge on the first so many only", otherwise="all")
    parser.add_argument(
        "--page", type=Path, help="a file.md to write, with file.json and file.png beside it"
    )
    parser.add_argument(
        "--readme", type=Path, help="a file whose marked part is to say what the page says"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 1 if a cell failed, and 2 for bad input."""
    flags = parse_arguments(argv)
    with command(flags.verbose, extra="trainer"):
        asked = (flags.minutes, flags.versions, flags.models, flags.max_examples)
        if flags.readme is not None and flags.page is None:
            raise LensingError("--readme says what a page says: name it by --page")
        if flags.page is not None:
            record.read(page.figures_of(flags.page))  # a damaged one is refused now
        failed = 0
        if flags.page is None or asked != (None,) * len(asked):
            failed = make(flags, cells(flags.versions or IMPORTANT, flags.models or MODELS))
        write_page(flags)
        if failed:
            sys.exit(1)


def make(flags: argparse.Namespace, wanted: Sequence[Cell]) -> int:
    """Makes cells, and the page after each.

    Returns:
      How many failed.
    """
    minutes = 10.0 if flags.minutes is None else flags.minutes
    data_dir = absolute_data_dir(flags.data_dir)
    configs = [cell.config(data_dir, minutes) for cell in wanted]  # refused before any is made
    failed = 0
    for number, (cell, config) in enumerate(zip(wanted, configs, strict=True), start=1):
        title = f"{number}/{len(wanted)} {cell.name}"
        if cell.is_as_asked(flags.results, config, flags.max_examples):
            print(f"{title}: is there", flush=True)
            cell.succeed(flags.results)
            continue
        print(f"{title}: begun {time.strftime('%H:%M:%S')}", flush=True)
        begun = time.monotonic()
        make_folder(flags.results / cell.name)
        line = _made(flags, cell, data_dir, minutes)
        if line is None and not cell.is_as_asked(flags.results, config, flags.max_examples):
            line = "it was stopped before it was judged: the same command goes on"
        if line is None:
            cell.succeed(flags.results)
            what = _found(flags, cell)
        else:
            failed += 1
            cell.fail(flags.results, line, config.taken.get("minutes"))
            what = f"failed: {line}"
        print(f"{title}: {what} ({duration(time.monotonic() - begun)})", flush=True)
        try:
            write_page(flags)
        except Exception:  # the networks matter more; it is written once more at the end
            traceback.print_exc()
    return failed


def _found(flags: argparse.Namespace, cell: Cell) -> str:
    found = cell.judged(flags.results)
    assert found is not None, "it was just judged"
    value, error = found[1].measured["map_correlation"]
    return f"correlation {float(value):.4f} ± {float(error):.4f}"


def _made(flags: argparse.Namespace, cell: Cell, data_dir: str, minutes: float) -> str | None:
    """Makes a cell in a process of its own; returns the line by which it failed."""
    arguments = [sys.executable, "-m", "benchmarks.results.work"]
    arguments += ["--version", cell.version, "--model", cell.model, "--data_dir", data_dir]
    arguments += ["--results", str(flags.results), f"--minutes={minutes!r}"]
    arguments += ["--parent", str(os.getpid())]
    if flags.max_examples is not None:
        arguments += ["--max_examples", str(flags.max_examples)]
    return ended(arguments, flags.results / cell.name / LOG)


def ended(arguments: Sequence[str], log: Path) -> str | None:
    """Runs a program to its end; if this one is stopped, so is that.

    Args:
      arguments: the program's command line.
      log: a file that all it says is added to.

    Returns:
      None where it did what it should, else its last line.
    """
    with log.open("a", encoding="utf-8") as file:
        start = file.tell()
        process = subprocess.Popen(arguments, stdout=file, stderr=subprocess.STDOUT)
        try:
            status = process.wait()
        except BaseException:  # it keeps what it has finished
            process.terminate()
            process.wait()
            raise
    if status == 0:
        return None
    said = log.read_bytes()[start:].decode("utf-8", "replace").strip().splitlines()
    last = said[-1].removeprefix("error: ") if said else f"it said nothing in {log}"
    return f"{signal.Signals(-status).name} ended it, after: {last}" if status < 0 else last


def write_page(flags: argparse.Namespace) -> None:
    """Writes the page of what is there and what it had before, if one is asked for."""
    if flags.page is not None:
        for line in page.write(gather(flags.results), flags.page, flags.readme):
            print(line, flush=True)


if __name__ == "__main__":
    main()
