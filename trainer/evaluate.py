"""Judges a trained network: `python -m trainer.evaluate --workdir RUN`.

On the very same examples it judges the quadratic estimators that a cosmologist would use instead.

Writes into the run's folder `metrics.json` (see `trainer.evaluation`), `report.html` (one file,
figures inside) and `maps.png` (the report's first figure); for another split than test,
`metrics-validation.json` and so on. With `--figures` each figure is a PDF and a PNG in `figures`,
with `--checks` there is `checks.json` too (see `trainer.checks`).
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

from trainer.quiet import quiet_tensorflow


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer.evaluate",
        description="Judge a trained network on a split that it was not trained on.",
        allow_abbrev=False,
    )
    parser.add_argument("--workdir", required=True, help="the run's folder")
    parser.add_argument("--split", default="test", help="test, validation or train [%(default)s]")
    parser.add_argument("--data_dir", help="where the dataset is, if it has moved [the run's]")
    parser.add_argument("--max_examples", type=int, help="judge only the first so many [all]")
    parser.add_argument(
        "--baselines",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="judge quadratic estimators and zero on the same examples too [yes]",
    )
    parser.add_argument(
        "--checks",
        action="store_true",
        help="null tests, skies off the training distribution and delensing too: checks.json",
    )
    parser.add_argument(
        "--figures", action="store_true", help="write each figure as a PDF and a PNG too"
    )
    parser.add_argument("--verbose", action="store_true", help="tracebacks of errors")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input."""
    arguments = parse_arguments(argv)
    # Imported here, so that --help and a mistyped flag answer at once.
    with quiet_tensorflow():
        from lensing_tfds.command_line import one_line_errors
        from trainer import checks
        from trainer.dataset import absolute_data_dir
        from trainer.evaluation import evaluate, summary, write
        from trainer.run import load_run

    with one_line_errors(arguments.verbose):
        run = load_run(arguments.workdir)
        if arguments.data_dir:
            data_dir = absolute_data_dir(arguments.data_dir)
            run = dataclasses.replace(
                run, config=dataclasses.replace(run.config, data_dir=data_dir)
            )
        evaluation = evaluate(run, arguments.split, arguments.max_examples, arguments.baselines)
        found = checks.check(run, evaluation, arguments.max_examples) if arguments.checks else None
        page = write(run, evaluation, arguments.figures)
        if found is not None:
            checks.write(run, found)
    print(summary(run, evaluation))
    if found is not None:
        print(checks.summary(found))
    print(f"report: {page}")


if __name__ == "__main__":
    main()
