"""Compares judged runs: `python -m trainer.compare RUN1 RUN2 ...`.

Reads their metrics.json, prints a table and writes one self-contained page.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer.compare",
        description="Compare runs that were judged on the same examples.",
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a judged run's folder")
    parser.add_argument("--split", default="test", help="test, validation or train [%(default)s]")
    parser.add_argument(
        "--output", type=Path, default=Path("comparison.html"), help="the page [%(default)s]"
    )
    parser.add_argument("--verbose", action="store_true", help="tracebacks of errors")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input."""
    arguments = parse_arguments(argv)
    from estimators.reports.comparison import read, summary, write
    from lensing_tfds.command_line import one_line_errors

    with one_line_errors(arguments.verbose):
        marks = read(arguments.runs, arguments.split)
        write(marks, arguments.output)
    print(summary(marks))
    print(f"report: {arguments.output}")


if __name__ == "__main__":
    main()
