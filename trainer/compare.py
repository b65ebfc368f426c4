"""Compares judged runs: `python -m trainer.compare RUN1 RUN2 ...`.

Reads their metrics.json, prints a table and writes one self-contained page.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lensing_tfds.command_line import CommandParser, command, printable
from lensing_tfds.records.storage import expanded


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser("trainer.compare", "Compare runs that were judged on the same examples.")
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", type=expanded, help="a judged run's folder"
    )
    parser.add_shared("--split", default="test")
    parser.add_shared("--output", default="comparison.html", help="the page")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input."""
    arguments = parse_arguments(argv)
    with command(arguments.verbose, extra="trainer"):
        from estimators.compared_runs import read
        from estimators.reports.comparison import refuse_output, summary, write

        refuse_output(Path(arguments.output))
        compared = read(arguments.runs, arguments.split)
        write(compared, Path(arguments.output))
        print(summary(compared))
        print(f"report: {printable(arguments.output)}")


if __name__ == "__main__":
    main()
