"""Packaged tables of spectra: text, a line for each multipole, that a module makes again."""

import argparse
import importlib.resources
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray


def packaged(table: str) -> str:
    """Returns the text of a table of this package.

    Args:
      table: name of its file.
    """
    return importlib.resources.files(__package__).joinpath(table).read_text("utf-8")


def columns_of(
    text: str, number: int, lmax: int | None = None, what: str = "spectra"
) -> NDArray[np.float64]:
    """Reads a table's columns; lines that begin with # say nothing.

    Args:
      text: of the table, from ell = 2 on.
      number: of columns beside that of ell.
      lmax: where it must end; None for anywhere.
      what: they are of, for errors.

    Returns:
      float64 of shape (number, lmax + 1), not writeable; zero at ell = 0 and 1.

    Raises:
      ValueError: it is no such table, or not the whole of one, or has numbers that are not finite.
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    rows = np.loadtxt(lines or ["0"], ndmin=2)
    last = len(rows) + 1 if lmax is None else lmax
    if rows.shape[1] != number + 1 or not np.array_equal(rows[:, 0], np.arange(2, last + 1)):
        raise ValueError(
            f"not a table of {what} from ell = 2 {'on' if lmax is None else f'to {lmax}'}"
        )
    if not np.isfinite(rows).all():
        raise ValueError(f"a table of {what} with numbers that are not finite")
    columns = np.zeros((number, last + 1))
    columns[:, 2:] = rows[:, 1:].T
    columns.flags.writeable = False  # one copy is shared by everybody
    return columns


def regenerate(module: str, compute: Callable[[], str], argv: Sequence[str] | None) -> None:
    """Runs a command that writes a packaged table again.

    Args:
      module: of the table, which is the command.
      compute: makes the table's text.
      argv: the command line; None for that of the process.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m lensing_tfds.sky.{module}",
        description="Regenerates the packaged table.",
        allow_abbrev=False,
    )
    parser.add_argument("--output", type=pathlib.Path, required=True, help="file to write")
    arguments = parser.parse_args(argv)
    arguments.output.expanduser().write_text(compute(), encoding="utf-8")
