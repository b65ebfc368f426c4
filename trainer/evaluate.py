"""Judges a trained network: `python -m trainer.evaluate --workdir RUN`.

A folder of predictions is judged by `python -m trainer.evaluate --predictions DIR`; another group's
needs `--dataset lensing/v10` too. docs/predictions.md has the format.

On the very same examples it judges the quadratic estimators that a cosmologist would use instead.

Writes into that folder `metrics.json` (see `estimators.metrics_json`), `report.html` (one file,
figures inside) and `maps.png` (the report's gallery); for another split than test,
`metrics-validation.json` and so on. With `--checks` both hold null tests, skies off the training
distribution and delensing too (see `estimators.checks`), with `--figures` each figure is a PDF and
a PNG in `figures`. With `--submission` it judges by the protocol of docs/benchmark.md, and writes
one JSON file in place of these.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lensing_tfds.command_line import CommandParser, command, printable
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records.storage import expanded

if TYPE_CHECKING:
    from estimators.predictions import Predictions
    from estimators.subject import Subject

_SUBMISSION_LOCK = ".submission.lock"  # a run may be training meanwhile, and has the usual one


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        "trainer.evaluate", "Judge a trained network, or predictions, on a split of a dataset."
    )
    judged = parser.add_mutually_exclusive_group(required=True)
    judged.add_argument("--workdir", type=expanded, help="the run's folder")
    judged.add_argument(
        "--predictions", type=expanded, help="a folder of predictions, in place of a run"
    )
    parser.add_shared("--dataset", otherwise="what the predictions say")
    parser.add_shared("--split", otherwise="test, or the predictions'")
    parser.add_shared("--data_dir", otherwise="the run's")
    parser.add_shared("--max_examples", otherwise="all")
    parser.add_argument(
        "--baselines",
        action=argparse.BooleanOptionalAction,
        help="judge quadratic estimators and zero on the same examples too [yes]",
    )
    parser.set_defaults(baselines=True)
    parser.add_argument(
        "--checks",
        action="store_true",
        help="null tests, skies off the training distribution and delensing too",
    )
    parser.add_argument(
        "--submission",
        action="store_true",
        help="judge by the benchmark's protocol (docs/benchmark.md), and write one JSON file for "
        "its leaderboard in place of metrics and report",
    )
    parser.add_argument(
        "--figures", action="store_true", help="write each figure as a PDF and a PNG too"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input."""
    arguments = parse_arguments(argv)
    with command(arguments.verbose, extra="trainer"):
        # Imported here, so that --help and a mistyped flag answer at once.
        with quiet_tensorflow():
            from estimators import checks, judge, results

        subject = _subject(arguments)
        if arguments.submission:
            _submit(arguments, subject)
            return
        split = arguments.split or subject.split or "test"
        if arguments.checks:  # judging takes long: what the checks cannot do is said before it
            number = judge.number_of_examples(subject, split, arguments.max_examples)
            checks.require_possible(subject, number)
        evaluation = judge.judge(subject, split, arguments.max_examples, arguments.baselines)
        checked = checks.check(subject, evaluation) if arguments.checks else None
        page = results.write(subject, evaluation, arguments.figures, checked)
        print(results.summary(subject, evaluation))
        if checked is not None:
            print(checks.summary(checked))
        if arguments.predictions is None and subject.fingerprint != evaluation.fingerprint:
            print(
                "the run was trained further while it was judged: this is of its network of "
                "before; judge again once training has ended"
            )
        print(f"report: {printable(page)}")


def _submit(arguments: argparse.Namespace, subject: Subject) -> None:
    """Judges a subject by the protocol, and writes its line of the leaderboard."""
    from estimators.benchmark import scoring
    from estimators.benchmark.submission import Description
    from lensing_tfds.errors import LensingError
    from lensing_tfds.records.locks import alone_in

    if arguments.checks or arguments.figures:
        raise LensingError("--submission has its own checks, and no figures: leave these flags out")
    with alone_in(subject.workdir, "judging a submission", lock=_SUBMISSION_LOCK):
        description = Description.read(subject.workdir)
        submission = scoring.score(subject, description, arguments.split, arguments.max_examples)
        path = scoring.write(submission, subject.workdir)
    print(scoring.summary(submission))
    print(f"submission: {printable(path)}")


def _subject(arguments: argparse.Namespace) -> Subject:
    """Opens what is to be judged."""
    from estimators.predictions import open_predictions
    from lensing_tfds.errors import LensingError
    from lensing_tfds.records.datasets import absolute_data_dir
    from trainer.runs.run import load_run

    if arguments.predictions is not None:
        predictions = open_predictions(arguments.predictions, arguments.dataset, arguments.data_dir)
        return _with_its_network(predictions)
    if arguments.dataset is not None:
        raise LensingError("--dataset is for --predictions: a run has its own")
    run = load_run(arguments.workdir)
    run.best_epoch()  # a run without one is refused before its dataset is opened, or built
    if arguments.data_dir:
        data_dir = absolute_data_dir(arguments.data_dir)
        run = dataclasses.replace(run, config=dataclasses.replace(run.config, data_dir=data_dir))
    return run


def _with_its_network(predictions: Predictions) -> Predictions:
    """Returns predictions with the errors of the network kept beside them, where one is kept.

    Raises:
      LensingError: it is not the one that they are described to be of.
    """
    from estimators.ensemble import bands_of
    from lensing_tfds.errors import LensingError
    from trainer.runs.run import load_run

    folder = predictions.workdir / "network"
    if (described := predictions.description) is None or not folder.exists():
        return predictions
    run = load_run(folder)
    (sha256,) = run.fingerprint.values()
    for name, said, found in (
        ("network_sha256", described.network_sha256, sha256),
        ("model", described.model, run.config.model),
    ):
        if said != found:
            raise LensingError(
                f"{predictions.workdir}/predictions.json has {name} {said}, but the network kept "
                f"in {folder} is {found}: predict again"
            )
    errors = run.uncertainty
    if errors is None or not errors.covers(bands_of(predictions.config)):
        return predictions  # of another sky's patch, say
    return dataclasses.replace(predictions, uncertainty=errors)


if __name__ == "__main__":
    main()
