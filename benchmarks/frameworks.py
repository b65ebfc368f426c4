"""Examples per second of every way to iterate over a dataset, interleaved, on the same examples.

Seconds of the clock, and of a processor, which other work on the machine changes less. Every map of
an example is read, in batches, by one process.

python -m benchmarks.frameworks --page docs/frameworks.md   # puts its table there
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lensing_tfds
from lensing_tfds import LensingConfig, LensingError, SimulatedSource, StoredSource
from lensing_tfds.records.building import build
from lensing_tfds.records.datasets import open_built
from lensing_tfds.records.file_formats import ARRAY_RECORD, TFRECORD
from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.records.storage import replacing

BATCH = 32
ROUNDS = 3
BEGIN, END = "<!-- speeds -->\n", "<!-- end of speeds -->\n"

Ways = dict[str, Callable[[], Iterator[Any]]]


def ways(config: LensingConfig, data_dirs: dict[str, str]) -> Ways:
    """Returns what is compared: functions that start to give the training split's batches, once.

    Args:
      config: of the dataset.
      data_dirs: where it is, by the format of its shards.
    """
    import tensorflow_datasets as tfds

    from lensing_tfds.lensing_tfds_dataset_builder import Builder

    stored = open_built(config.name, data_dirs[TFRECORD])
    in_order = Builder(config=config, data_dir=data_dirs[TFRECORD])
    at_random = Builder(config=config, data_dir=data_dirs[ARRAY_RECORD]).as_data_source("train")
    sources = {name: StoredSource(config.name, data_dir=path) for name, path in data_dirs.items()}
    source, simulated = sources[TFRECORD], SimulatedSource(config)

    def many(source: Any) -> Iterator[object]:
        for first in range(0, len(source), BATCH):
            yield source.__getitems__(range(first, min(first + BATCH, len(source))))

    found: Ways = {
        "the project's own stream, TFRecord": lambda: evaluation_batches(stored, "train", BATCH),
        "`StoredSource`, TFRecord": lambda: many(source),
        "`StoredSource`, ArrayRecord": lambda: many(sources[ARRAY_RECORD]),
        "`tfds.load`, TFRecord": lambda: iter(
            tfds.as_numpy(in_order.as_dataset(split="train").batch(BATCH))
        ),
        "`tfds.data_source`, ArrayRecord": lambda: many(at_random),
    }
    if importlib.util.find_spec("torch"):
        from torch.utils.data import DataLoader

        found["PyTorch's `DataLoader` of `StoredSource`"] = lambda: iter(DataLoader(source, BATCH))
    if importlib.util.find_spec("grain"):
        import grain

        dataset = grain.MapDataset.source(source).batch(BATCH)
        found["Grain's `MapDataset` of `StoredSource`"] = lambda: iter(dataset)
    found["`SimulatedSource`, no files"] = lambda: many(simulated)
    return found


def rates(start: Callable[[], Iterator[Any]], number: int) -> tuple[float, float]:
    """Draws all batches; returns examples per second, and per second of a processor.

    Raises:
      LensingError: there are more or fewer examples than `number`.
    """
    began, used, count = time.perf_counter(), time.process_time(), 0
    for batch in start():
        count += len(batch["index"] if isinstance(batch, dict) else batch)
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    if count != number:
        raise LensingError(f"{count} examples came, of {number}")
    return count / seconds, count / processor


def table(names: Sequence[str], measured: np.ndarray) -> str:
    """Returns the table in Markdown: medians, and of the ratios to the first row their range.

    Args:
      names: of the rows.
      measured: (rounds, rows, 2) examples per second of the clock and of a processor.
    """
    lines = [
        "| | examples/s | examples per CPU second | to the first row |",
        "| --- | ---: | ---: | ---: |",
    ]
    for row, name in enumerate(names):
        clock, processor = np.median(measured[:, row], axis=0)
        ratios = measured[:, row, 1] / measured[:, 0, 1]
        ratio = f"{np.median(ratios):.2g}x ({ratios.min():.2g}–{ratios.max():.2g})"
        lines.append(f"| {name} | {clock:,.0f} | {processor:,.0f} | {ratio} |")
    return "\n".join(lines) + "\n"


def filled(text: str, content: str) -> str:
    """Returns a page with its table in place of the old one.

    Raises:
      LensingError: it has no place for one.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise LensingError(f"the page has no lines {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{content}{END}{after}"


def main(name: str = "v12", examples: int = 2000, page: str | None = None) -> None:
    """Prints the table.

    Args:
      name: of the version.
      examples: of its training split that are built, in a temporary folder, and read.
      page: whose table it becomes.
    """
    numbers = {"train": examples, "validation": 1, "test": 1}
    # Not the version's name: the whole version has more examples.
    config = dataclasses.replace(
        lensing_tfds.VERSIONS[name], name=f"{name}_first", num_examples=numbers
    )
    with tempfile.TemporaryDirectory() as folder:
        data_dirs = {form: f"{folder}/{form}" for form in (TFRECORD, ARRAY_RECORD)}
        for form, data_dir in data_dirs.items():
            build(config, data_dir, None, form)
        compared = ways(config, data_dirs)
        rounds = []
        for number in range(ROUNDS + 1):
            found = [rates(start, examples) for start in compared.values()]
            if number:  # the first fills caches
                rounds.append(found)
    cores = len(os.sched_getaffinity(0))
    content = (
        f"\n{examples:,} examples of `lensing/{name}`, batches of {BATCH}, {ROUNDS} rounds, one "
        f"process on {cores} cores:\n\n{table(list(compared), np.array(rounds))}\n"
    )
    print(content)
    if page is not None:
        text = Path(page).read_text("utf-8")
        with replacing(Path(page)) as temporary:
            temporary.write_text(filled(text, content), "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="v12", choices=lensing_tfds.VERSIONS)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--page", help="whose table it becomes")
    arguments = parser.parse_args()
    main(arguments.version, arguments.examples, arguments.page)
