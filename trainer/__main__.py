"""Trains a network on a version of `lensing`: `python -m trainer --dataset lensing/v8`."""

from __future__ import annotations

import argparse
import shlex
import sys

from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records.storage import expanded
from trainer.settings.optimization import OPTIMIZERS, PRECISIONS


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line; what is not given is None, and the version decides."""
    parser = CommandParser(
        "trainer",
        "Train a network that estimates κ from a lensed CMB map. The dataset is built "
        "if it is missing, and a run that was stopped goes on when the same command is run again.",
        epilog="Defaults depend on the version, see trainer/settings/recipes.py.",
    )
    parser.add_shared("--dataset", otherwise="lensing/v8, or that of --hparams")
    parser.add_shared(
        "--workdir",
        otherwise="runs/<config>-<model>, and settings that are not the recipe's",
    )
    parser.add_shared("--data_dir")
    parser.add_argument(
        "--hparams",
        metavar="FILE",
        type=expanded,
        help="settings that a search found (its best_hyperparameters.json); other flags win",
    )
    parser.add_argument(
        "--model",
        help="iterated, a version's default without --fresh, which is fitted and takes no settings "
        "but --max_examples and "
        "--uncertainty; unet, or another unet-FxLxB; or a stack of the study's: 4x64-1x32-9 is "
        "four Conv2D(64, 3), one Conv2D(32, 3), then Conv2D(1, 9); or hires",
    )
    parser.add_argument(
        "--whiten",
        action="store_true",
        help="show a stack whitened maps too, as unet sees them: its name is then whiten-...",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        help="of training in all, validation included; what they hold is measured first and said",
    )
    parser.add_argument(
        "--epochs", type=int, help="passes over the training split in all, instead of --minutes"
    )
    parser.add_argument("--batch_size", type=int, help="examples a step")
    parser.add_argument("--optimizer", help=" or ".join(OPTIMIZERS))
    parser.add_argument("--learning_rate", type=float, help="the highest over the run")
    parser.add_argument("--schedule", help="of the rate: constant, or cosine, which ends at zero")
    parser.add_argument("--warmup_steps", type=int, help="in which the rate rises first")
    parser.add_argument("--weight_decay", type=float, help="of adamw [the recipe's, or 0.01]")
    parser.add_argument(
        "--precision", help=f"{' or '.join(PRECISIONS)}: of all but Fourier transforms and weights"
    )
    parser.add_argument(
        "--ema_momentum",
        type=float,
        help="of a moving average of the weights, which is validated and kept, as 0.99 [none]",
    )
    parser.add_shared("--max_examples", otherwise="all, or as many as --model needs")
    parser.add_argument("--seed", type=int, help="of weights, order and augmentation [0]")
    parser.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        help="turn and mirror training examples [yes, unless all share one unlensed map]",
    )
    parser.add_argument(
        "--uncertainty",
        action=argparse.BooleanOptionalAction,
        help="measure, at the end, how large the estimates' errors are, on the validation split; "
        "the judge then says how often they hold the truth [no]",
    )
    parser.add_argument(
        "--patience", type=int, help="epochs without a lower val_loss that end the run [no limit]"
    )
    parser.add_argument(
        "--deterministic",
        action="store_const",
        const=True,
        help="same command, same bits, on a GPU too, where it is slower for it",
    )
    parser.add_argument(
        "--fresh",
        action="store_const",
        const=True,
        help="simulate the training examples meanwhile: no sky is seen in two passes",
    )
    parser.add_argument(
        "--reuse",
        type=int,
        help="steps that a fresh sky serves, each time with new noise and another symmetry [1]",
    )
    parser.add_argument(
        "--simulators",
        type=int,
        help="processes that simulate fresh skies [half the cores; beside a GPU all but two]",
    )
    parser.add_argument(
        "--save_every",
        type=int,
        metavar="STEPS",
        help="keep the running epoch after so many of its steps, for a kill [every ten minutes]",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input and 130 when interrupted."""
    arguments = parse_arguments(argv)
    with command(arguments.verbose, extra="trainer"):
        # Imported here, so that --help and a mistyped flag answer at once.
        with quiet_tensorflow():
            from lensing_tfds.records.datasets import absolute_data_dir, find_config
            from trainer.networks import families
            from trainer.settings.config import default_workdir
            from trainer.settings.hparams import (
                HParams,
                compared,
                fingerprint,
                name_of_dataset,
                read_hparams,
            )
            from trainer.train import train

        settings = vars(arguments).copy()
        del settings["verbose"]
        file, dataset = settings.pop("hparams"), settings.pop("dataset")
        save_every, simulators = settings.pop("save_every"), settings.pop("simulators")
        workdir, data_dir = settings.pop("workdir"), absolute_data_dir(settings.pop("data_dir"))
        hparams = HParams({}) if file is None else read_hparams(file)
        dataset = dataset or name_of_dataset(hparams) or "lensing/v8"
        lensing = find_config(dataset, data_dir)
        if settings.pop("whiten"):
            model = hparams.resolve(dataset, data_dir, lensing, model=settings["model"]).model
            settings["model"] = families.whitened(model)
        config = hparams.resolve(dataset, data_dir, lensing, **settings)
        workdir = workdir or default_workdir(config, lensing)
        run = train(
            config,
            workdir,
            _report,
            live=sys.stdout.isatty(),
            save_every=save_every,
            simulators=simulators,
        )
        if hparams.found is not None:
            best = run.best_epoch(hparams.found.objective)
            scores = best["val_loss"], best["val_map_correlation"]
            trained_on = fingerprint(run.lensing, run.dataset_version)
            print(compared(hparams.found, *scores, trained_on))
        print(f"the run is in {workdir}; judge it on the test split with:")
        print(f"  python -m trainer.evaluate --workdir {shlex.quote(workdir)}")


def _report(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
