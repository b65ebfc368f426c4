"""Searches networks for a version of `lensing`: `python -m tuning --dataset lensing/v8`."""

from __future__ import annotations

import argparse
import os
import sys

from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records.storage import expanded

_SUPERVISORS = ("workers", "port", "overwrite")  # flags that chief and workers are not given


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        "tuning",
        "Search networks and settings that estimate κ well. The dataset is built if it "
        "is missing, and a search that was stopped goes on when the same command is run again.",
        epilog="What is searched by default is in trainer/settings/spaces.py. With "
        "KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT set, this is a "
        "chief or a worker of many.",
    )
    parser.add_shared("--dataset", default="lensing/v8")
    parser.add_shared("--workdir", help="the search's folder", otherwise="runs/tune-<config>")
    parser.add_shared("--data_dir")
    parser.add_argument("--tuner", default="hyperband", help="hyperband, bayesian or random")
    parser.add_argument("--objective", default="val_loss", help="val_loss or val_map_correlation")
    parser.add_argument(
        "--space",
        metavar="FILE",
        type=expanded,
        help='JSON that changes the version\'s space: {"depth": [4, 6]}',
    )
    parser.add_argument("--max_epochs", type=int, default=30, help="of one trial")
    parser.add_shared("--max_examples", otherwise="all of the training split")
    parser.add_argument(
        "--fresh", action="store_true", help="simulate the training examples meanwhile"
    )
    parser.add_argument("--reuse", type=int, default=1, help="steps that a fresh sky serves")
    parser.add_argument("--seed", type=int, default=0, help="of the search and its trials")
    budget = parser.add_argument_group(
        "budget", "No trial begins beyond it. Hyperband ends by itself; the others after 20 trials."
    )
    budget.add_argument("--max_trials", type=int, help="trials")
    budget.add_argument("--max_total_epochs", type=int, help="epochs of all trials")
    budget.add_argument("--max_minutes", type=float, help="minutes, all sessions together")
    many = parser.add_argument_group("many processes")
    many.add_argument("--workers", type=int, help="a chief and so many workers on this machine")
    many.add_argument("--port", type=int, help="the chief's, with --workers [a free one]")
    many.add_argument("--chief_timeout", type=float, default=60, help="seconds a worker waits")
    parser.add_argument("--overwrite", action="store_true", help="start anew")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input and 130 when interrupted."""
    arguments = parse_arguments(argv)
    environment = dict(os.environ)  # for chief and workers: they silence TensorFlow themselves
    with command(arguments.verbose, extra="tuning"):
        # Imported here, so that --help and a mistyped flag answer at once.
        from tuning.supervisor import orderly_end  # no TensorFlow: `_search` imports and quiets it

        with orderly_end():
            _search(arguments, environment)


def _search(arguments: argparse.Namespace, environment: dict[str, str]) -> None:
    with quiet_tensorflow():
        from lensing_tfds.records.datasets import absolute_data_dir
        from lensing_tfds.versions import dataset_name
        from trainer.settings.spaces import space_for
        from tuning.cluster import Role, role
        from tuning.config import SearchConfig, read_space
        from tuning.search import search, search_with_workers

    name = dataset_name(arguments.dataset)
    config = SearchConfig(
        dataset=arguments.dataset,
        data_dir=absolute_data_dir(arguments.data_dir),
        space=read_space(arguments.space, name) if arguments.space else space_for(name),
        tuner=arguments.tuner,
        objective=arguments.objective,
        max_epochs=arguments.max_epochs,
        max_examples=arguments.max_examples,
        seed=arguments.seed,
        fresh=arguments.fresh,
        reuse=arguments.reuse,
    )
    budget = config.budget(
        max_trials=arguments.max_trials,
        max_total_epochs=arguments.max_total_epochs,
        max_minutes=arguments.max_minutes,
    )
    workdir = arguments.workdir or f"runs/tune-{name}"
    overwrite = arguments.overwrite
    if arguments.workers is None:
        live = sys.stdout.isatty() and role() is Role.ALONE
        timeout = arguments.chief_timeout
        search(config, workdir, budget, _report, live, overwrite, timeout)
    else:
        command = _command(arguments)
        search_with_workers(
            config,
            workdir,
            arguments.workers,
            command,
            arguments.port,
            _report,
            overwrite,
            environment,
        )


def _command(arguments: argparse.Namespace) -> list[str]:
    """The same command, for a chief and workers."""
    values = {name: value for name, value in vars(arguments).items() if name not in _SUPERVISORS}
    command = [sys.executable, "-m", "tuning"]
    for name, value in values.items():
        if value is True:
            command.append(f"--{name}")
        elif value is not None and value is not False:
            command.append(f"--{name}={value}")
    return command


def _report(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
