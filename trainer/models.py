"""Lists the networks that a version takes: `python -m trainer.models --dataset lensing/v11`.

The recipes of the version stand first, its default at the top, and then every family's default.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.quiet import quiet_tensorflow

if TYPE_CHECKING:
    import keras

    from lensing_tfds.configs import LensingConfig
    from lensing_tfds.task import Task


@dataclasses.dataclass(frozen=True)
class Listed:
    """A network, and what it takes.

    Attributes:
      name: the network's.
      parameters: its weights.
      batch_size: of its recipe; 0 where it is fitted.
      memory: bytes of a training step.
      flops: of one example's forward pass, see `trainer.networks.flops`; None where only a fit
        to examples says what the network is.
    """

    name: str
    parameters: int
    batch_size: int
    memory: int
    flops: int | None


def listed(lensing: LensingConfig) -> Iterator[Listed]:
    """Counts what the networks take that can be trained on a dataset, one after the other.

    Args:
      lensing: its config.

    Raises:
      LensingError: Keras's backend is not TensorFlow.
    """
    from lensing_tfds.configs import DATASET_VERSION
    from lensing_tfds.errors import LensingError
    from lensing_tfds.task import Task
    from trainer.networks import families
    from trainer.networks.flops import flops
    from trainer.settings.config import resolve
    from trainer.settings.recipes import recipes_of

    task = Task(lensing, DATASET_VERSION)
    of_version = [recipe.model for recipe in recipes_of(lensing.name, lensing.npix)]
    defaults = [family.known[0] for family in families.FAMILIES.values()]
    for name in dict.fromkeys([*of_version, *defaults]):
        try:
            model = _model(name, task)
        except LensingError:
            if name in of_version:
                raise
            continue  # theory does not describe these maps, or the like
        config = resolve(f"lensing/{lensing.name}", "", lensing, model=name)
        yield Listed(
            name,
            families.parse(name).footprint(task).parameters,
            0 if families.is_fitted(name) else config.batch_size,
            config.memory(task).total,
            None if model is None else flops(model),
        )


def _model(name: str, task: Task) -> keras.Model | None:
    """A network of this name; None of one that takes a fit, and that nobody has.

    Raises:
      LensingError: it cannot be trained on such maps.
    """
    from trainer.networks import families
    from trainer.networks.family import FittedNetwork, StartingNetwork

    network = families.parse(name)
    if isinstance(network, FittedNetwork):
        network.refuse_another(task.lensing)
        return _pretrained(task)
    return None if isinstance(network, StartingNetwork) else _built(name, task)


def _built(name: str, task: Task) -> keras.Model:
    """Builds a network for maps whose statistics nobody has measured: its size is the same."""
    from lensing_tfds.sky.binning import Bins
    from trainer.networks import families
    from trainer.networks.scaling import Scaling
    from trainer.networks.statistics import Statistics, fields

    (*_, channels), (*_, labels) = task.input_shape, task.label_shape
    zeros, ones = (0.0,), (1.0,)
    scaling = Scaling(zeros * channels, ones * channels, zeros * labels, ones * labels)
    rings = Bins.fundamental(task.lensing.sky).num
    statistics = Statistics(scaling, dict.fromkeys(fields(task), ones * rings))
    return families.build(name, task, statistics, seed=0)


def _pretrained(task: Task) -> keras.Model | None:
    """The fitted network that comes with the package, where one does for just this dataset."""
    from trainer.pretrained_models import has_pretrained, pretrained

    kept = has_pretrained(task.lensing)
    return pretrained(f"lensing/{task.lensing.name}").model if kept else None


def table(rows: Sequence[Listed]) -> str:
    """An aligned table, a network a line."""
    cells = [
        ("model", "parameters", "batch", "memory of a step", "FLOPs an example"),
        *map(_row, rows),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in cells:
        numbers = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *numbers]))
    return "\n".join(lines)


def _row(row: Listed) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.parameters:,}",
        f"{row.batch_size or '-'}",
        f"{row.memory / 2**20:,.0f} MiB",
        "-" if row.flops is None else f"{row.flops / 1e6:,.1f} M",
    )


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        "trainer.models",
        "List the networks that a version takes, its default first: parameters, estimated memory "
        "of a training step in the recipe's batches, and floating-point operations of one "
        "example's forward pass (-: known once it is fitted).",
        epilog="Any other name of their grammars can be trained too: python -m trainer --help.",
    )
    parser.add_shared("--dataset", default="lensing/v8")
    parser.add_shared("--data_dir")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input."""
    arguments = parse_arguments(argv)
    with command(arguments.verbose, extra="trainer"):
        # Imported here, so that --help and a mistyped flag answer at once.
        with quiet_tensorflow():
            import keras  # noqa: F401

            from lensing_tfds.records.datasets import absolute_data_dir, find_config

        lensing = find_config(arguments.dataset, absolute_data_dir(arguments.data_dir))
        print(table(list(listed(lensing))))


if __name__ == "__main__":
    main()
