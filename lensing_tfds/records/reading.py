"""A split, or a slice of it, read in order: batches of examples in physical units.

Each example is the one whose index is due; a damaged shard is named (see `split_reader`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lensing_tfds.errors import LensingError
from lensing_tfds.prefetching import prefetched
from lensing_tfds.records.split_reader import Examples, SplitReader
from lensing_tfds.records.stored_dataset import StoredDataset, mending_command

_SPLIT = re.compile(r"(?P<name>\w+)(\[(?P<start>-?\d+)?:(?P<stop>-?\d+)?\])?")
_OBJECT_BYTES = 2**25  # of objects in a bucket that are fetched together


def evaluation_batches(
    stored: StoredDataset,
    split: str,
    batch_size: int,
    names: Sequence[str] | None = None,
) -> Iterator[Examples]:
    """Reads a split as the dataset stores it, in physical units.

    Args:
      stored: the dataset.
      split: "train", "validation" or "test"; a slice as "train[:1000]" works too.
      batch_size: examples a batch; the last batch may be smaller.
      names: of the maps that are read; None for all.

    Yields:
      dicts of the features: lensed and unlensed (batch, npix, npix, channels) µK, kappa and, if
      the dataset has it, unlensed_E in µK (batch, npix, npix, 1), all float32, and index (batch,)
      int64, by increasing index.

    Raises:
      LensingError: a shard is damaged, or cannot be read.
    """
    reader, indices = split_reader(stored, split, names)
    at_once = batch_size
    # A bucket makes one wait: few requests, each for much.
    if reader.is_remote:
        at_once *= max(1, _OBJECT_BYTES // (reader.example_bytes * batch_size))
    ranges = (indices[i : i + at_once] for i in range(0, len(indices), at_once))
    for examples in prefetched(reader.read([indices]) for indices in ranges):
        for start in range(0, len(examples["index"]), batch_size):
            yield {name: x[start : start + batch_size] for name, x in examples.items()}


def split_reader(
    stored: StoredDataset, split: str, names: Sequence[str] | None = None
) -> tuple[SplitReader, range]:
    """Opens a split.

    Args:
      stored: the dataset.
      split: "train", "validation" or "test"; a slice as "train[:1000]" works too.
      names: of the maps that are read; None for all.

    Returns:
      What reads its examples, and their indices.

    Raises:
      LensingError: there is no such split or slice; a shard is missing, or has more or fewer
        examples than it must.
    """
    plans, folder = stored.plans, stored.data_path
    match = _SPLIT.fullmatch(split)
    if match is None or match["name"] not in plans:
        raise LensingError(
            f"{folder} has no split {split!r}: it has {', '.join(plans)}, and slices of "
            "them as train[:1000]"
        )
    plan = plans[match["name"]]
    bounds = slice(*(int(text) if text else None for text in match.group("start", "stop")))
    indices = range(plan.num_examples)[bounds]
    if any(abs(end or 0) > plan.num_examples for end in (bounds.start, bounds.stop)):
        raise LensingError(
            f"{folder}: {split!r} is out of the {plan.num_examples:,} examples of {plan.split}"
        )
    remedy = f"to write just that again: {mending_command(folder)}"
    return SplitReader(plan, indices, remedy, names), indices
