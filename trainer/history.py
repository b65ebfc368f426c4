"""history.csv: what each finished epoch reached."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lensing_tfds.records.storage import replacing

COLUMNS = (
    "epoch",  # counted from 1
    "loss",  # mean squared error of standardised κ
    "map_correlation",  # Pearson's, over all pixels of the epoch
    "val_loss",
    "val_map_correlation",
    "seconds",  # of the whole epoch, validation included
    "examples_per_second",  # of training alone
)

Row = dict[str, float]


def read_history(path: Path) -> list[Row]:
    """Reads the rows, first epoch first; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Writes the rows, whole or not at all; `COLUMNS` are kept, to full precision."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "epoch": int(row["epoch"])})


def as_columns(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """One float64 array a column."""
    return {name: np.array([row[name] for row in rows]) for name in COLUMNS}
