"""The leaderboard of a search, at any time: `python -m tuning.report --workdir RUN`.

Prints the table and writes `report.html` (one file, learning curves inside) into the search's
folder. A search that is running is not disturbed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lensing_tfds.command_line import CommandParser, command, printable
from lensing_tfds.errors import LensingError


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        "tuning.report", "Show the trials of a search, running or ended, best first."
    )
    parser.add_shared("--workdir", required=True, help="the search's folder")
    parser.add_argument("--rows", type=int, help="print only the first so many [all]")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input."""
    arguments = parse_arguments(argv)
    with command(arguments.verbose, extra="tuning"):
        from tuning import leaderboard, search_page
        from tuning.trials import load_search, read_trials

        if arguments.rows is not None and arguments.rows < 1:
            raise LensingError(f"rows is {arguments.rows}: must be at least 1")
        workdir = Path(arguments.workdir)
        record = load_search(workdir)
        trials = read_trials(workdir, record)
        path = search_page.write(workdir, record, trials)
        print(
            f"{record.config.dataset}, {record.config.tuner}, best {record.config.objective} first"
        )
        print(leaderboard.table(trials, record.config.objective, arguments.rows))
        for trial in trials:
            if trial.status == "FAILED":
                print(f"trial {trial.number} failed: {trial.failure}")
        print(f"report: {printable(path)}")


if __name__ == "__main__":
    main()
