"""history.csv: each finished epoch's losses, correlations and speed, for people and other programs.

The row of epoch 0, where there is one, is of the network before its first step: what is of training
is NaN there.

The trainer itself keeps them in its checkpoints too (`trainer.runs.checkpoints`), and writes the
file anew from there.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing

HISTORY = "history.csv"

COLUMNS = (
    "epoch",  # counted from 1; 0 before the first step
    "loss",  # mean squared error of standardised κ
    "map_correlation",  # Pearson's, over all pixels of the epoch
    "val_loss",
    "val_map_correlation",
    "seconds",  # of the whole epoch, validation included
    "examples_per_second",  # of training alone
)

Row = dict[str, float]


def row_of(epoch: int, logs: Mapping[str, float]) -> Row:
    """Takes an epoch's row from Keras's logs.

    Args:
      epoch: counted from 1.
      logs: at least the other columns.
    """
    return {name: float(logs[name]) if name != "epoch" else float(epoch) for name in COLUMNS}


def start_row(logs: Mapping[str, float], seconds: float) -> Row:
    """Makes the row of epoch 0, of the network before its first step.

    Args:
      logs: of its validation, as Keras's `evaluate` gives them.
      seconds: that this took.
    """
    validation = {f"val_{name}": logs[name] for name in ("loss", "map_correlation")}
    return row_of(0, dict.fromkeys(COLUMNS, math.nan) | validation | {"seconds": seconds})


def read_history(path: Path) -> list[Row]:
    """Reads the rows, first epoch first.

    Raises:
      LensingError: the file cannot be read, or does not hold whole rows of consecutive epochs.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file, strict=True)
            if tuple(next(reader, ())) != COLUMNS:
                raise ValueError(f"its first line is not {','.join(COLUMNS)}")
            rows = [dict(zip(COLUMNS, map(float, row), strict=True)) for row in reader]
            first = 0 if rows and rows[0]["epoch"] == 0 else 1
            if [row["epoch"] for row in rows] != list(range(first, first + len(rows))):
                raise ValueError("its epochs are not 1, 2, 3 ...")
    except OSError as error:
        raise LensingError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise LensingError(
            f"{path} is damaged ({error}): run the command that trained it again, which writes the "
            "file anew"
        ) from error
    return rows


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Writes the rows, whole or not at all, to full precision."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "epoch": int(row["epoch"])})


def last_epoch(rows: Sequence[Row]) -> int:
    """Returns the last finished epoch, counted from 1; 0 before the first."""
    return int(rows[-1]["epoch"]) if rows else 0


def ended_early(rows: Sequence[Row], patience: int | None) -> bool:
    """Says whether so many epochs have passed since the one of the lowest validation loss.

    Args:
      rows: of the finished epochs.
      patience: of the run; None for one that never ends early.
    """
    losses = [row["val_loss"] for row in rows]
    return bool(losses and patience and len(losses) - 1 - losses.index(min(losses)) >= patience)


def as_columns(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """One float64 array a column."""
    return {name: np.array([row[name] for row in rows]) for name in COLUMNS}
