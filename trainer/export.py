"""Writes a network for other programs: `python -m trainer.export --workdir RUN --output DIR`.

A TensorFlow SavedModel, StableHLO by JAX, or a file for Keras alone; see `trainer.serving`. What
was written is read again, and kept only if it gives the network's estimates of a few test examples.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lensing_tfds.command_line import CommandParser, command, printable
from lensing_tfds.quiet import quiet_tensorflow
from trainer.formats import BACKENDS


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        "trainer.export",
        "Write a trained network, from maps in µK to κ, for other programs, checked to estimate "
        "the same.",
    )
    parser.add_shared("--workdir", required=True)
    parser.add_shared("--output", required=True, help="the folder to write, not there yet")
    parser.add_argument(
        "--format",
        choices=tuple(BACKENDS),
        default="saved_model",
        help="saved_model, of TensorFlow; stablehlo, which JAX writes; or keras, for Keras alone",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input."""
    arguments = parse_arguments(argv)
    with command(arguments.verbose, extra="trainer"):
        backend = BACKENDS[arguments.format]
        if backend and "keras" not in sys.modules:  # a run is read on any: take the one that writes
            os.environ["KERAS_BACKEND"] = backend
        with quiet_tensorflow():
            from trainer.runs.run import load_run
            from trainer.serving import export

        export(load_run(arguments.workdir), Path(arguments.output), arguments.format)
        print(f"written, and checked to give the run's estimates: {printable(arguments.output)}")


if __name__ == "__main__":
    main()
