"""Trains a network on a version of `lensing`: `python -m trainer --dataset lensing/v8`."""

from __future__ import annotations

import argparse
import shlex
import sys

from lensing_tfds.quiet import quiet_tensorflow


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line; what is not given is None, and the version decides."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer",
        description="Train a network that estimates κ from a lensed CMB map. The dataset is built "
        "if it is missing, and a run that was stopped goes on when the same command is run again.",
        epilog="Defaults are those of the version's own study, see trainer/recipes.py.",
        allow_abbrev=False,
    )
    parser.add_argument("--dataset", help="lensing/<config> [lensing/v8, or that of --hparams]")
    parser.add_argument(
        "--workdir",
        help="the run's folder [runs/<config>-<model>, and settings that are not the study's]",
    )
    parser.add_argument("--data_dir", help="where datasets are [$TFDS_DATA_DIR, as TFDS]")
    parser.add_argument(
        "--hparams",
        metavar="FILE",
        help="settings that a search found (its best_hyperparameters.json); other flags win",
    )
    parser.add_argument(
        "--model",
        help="4x64-1x32-9: four Conv2D(64, 3), one Conv2D(32, 3), then Conv2D(1, 9); or hires",
    )
    parser.add_argument("--epochs", type=int, help="passes over the training split, in all")
    parser.add_argument("--batch_size", type=int, help="examples a step")
    parser.add_argument("--learning_rate", type=float, help="constant over the run")
    parser.add_argument("--max_examples", type=int, help="use the first so many training examples")
    parser.add_argument("--seed", type=int, help="of weights, order and augmentation [0]")
    parser.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        help="turn and mirror training examples [yes, unless all share one unlensed map]",
    )
    parser.add_argument("--verbose", action="store_true", help="tracebacks of errors")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input and 130 when interrupted."""
    arguments = parse_arguments(argv)
    # Imported here, so that --help and a mistyped flag answer at once.
    with quiet_tensorflow():
        from lensing_tfds.command_line import one_line_errors
        from lensing_tfds.records.datasets import absolute_data_dir, find_config
        from trainer.config import default_workdir
        from trainer.hparams import HParams, compared, name_of_dataset, read_hparams
        from trainer.train import train

    settings = vars(arguments).copy()
    verbose, dataset = settings.pop("verbose"), settings.pop("dataset")
    workdir, data_dir = settings.pop("workdir"), absolute_data_dir(settings.pop("data_dir"))
    file = settings.pop("hparams")
    with one_line_errors(verbose):
        hparams = HParams({}) if file is None else read_hparams(file)
        dataset = dataset or name_of_dataset(hparams) or "lensing/v8"
        lensing = find_config(dataset, data_dir)
        config = hparams.resolve(dataset, data_dir, lensing, **settings)
        workdir = workdir or default_workdir(config, lensing)
        run = train(config, workdir, _report, live=sys.stdout.isatty())
        if hparams.found is not None:
            best = run.best_epoch(hparams.found.objective)
            print(compared(hparams.found, best["val_loss"], best["val_map_correlation"]))
    print(f"the run is in {workdir}; judge it on the test split with:")
    print(f"  python -m trainer.evaluate --workdir {shlex.quote(workdir)}")


def _report(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
