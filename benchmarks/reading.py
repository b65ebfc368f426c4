"""Examples read per second: ours, TFDS's decoding and raw TFRecords, interleaved.

Seconds of the clock, and of a processor, which other work on the machine changes less.

taskset -c 0 python -m benchmarks.reading     # on one core
taskset -c 0,1 python -m benchmarks.reading   # on two
"""

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np

import lensing_tfds

CONFIG = lensing_tfds.VERSIONS["v7"]
BATCH = 128
ROUNDS = 7
SECONDS = 1.0  # of a processor, of each in a round
WARM_UP = 100  # batches: buffers are full then, and tf.data has tuned itself


def rates(start: Callable[[], Iterator[object]]) -> tuple[float, float]:
    """Draws batches for a while; returns examples per second, and per second of a processor."""
    batches = start()  # anew each time: nothing of the others' is running beside it
    for _ in range(WARM_UP):
        next(batches)
    count, began, used = 0, time.perf_counter(), time.process_time()
    while time.process_time() - used < SECONDS:
        next(batches)
        count += BATCH
    return count / (time.perf_counter() - began), count / (time.process_time() - used)


def readers(data_dir: str) -> dict[str, Callable[[], Iterator[object]]]:
    """Returns what is compared: functions that start to read the training split over and over."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from lensing_tfds.records.reading import evaluation_batches
    from lensing_tfds.records.stored_dataset import read_dataset
    from trainer.data import stream
    from trainer.data.batches import for_keras
    from trainer.data.stored import StoredExamples
    from trainer.settings.config import resolve

    builder = tfds.builder(f"lensing/{CONFIG.name}", data_dir=data_dir)
    builder.download_and_prepare()
    stored = read_dataset(str(builder.data_path))
    settings = {"model": "unet", "batch_size": BATCH, "augment": True}
    config = resolve(f"lensing/{CONFIG.name}", data_dir, CONFIG, **settings)
    files = [str(i.filename) for i in builder.info.splits["train"].file_instructions]

    def training():
        return stream.training_batches(StoredExamples(stored), config, range(10**9))

    def for_tensorflow():
        with for_keras(training()) as (batches,):
            return iter(batches)

    def in_order():
        while True:
            yield from evaluation_batches(stored, "train", BATCH)

    def decoded_by_tfds():
        examples = builder.as_dataset(split="train").repeat()
        return iter(examples.batch(BATCH).prefetch(tf.data.AUTOTUNE))

    def raw():
        records = tf.data.TFRecordDataset(files).repeat()
        return iter(records.batch(BATCH).prefetch(tf.data.AUTOTUNE))

    return {
        "trainer's stream": lambda: iter(training()),
        "the same as tf.data": for_tensorflow,
        "in order, all maps": in_order,
        "TFDS's decoding": decoded_by_tfds,
        "raw TFRecords": raw,
    }


def main(data_dir: str | None = None) -> None:
    """Prints examples per second and the ratios.

    Args:
      data_dir: a folder that holds the dataset, or where it is built; None is a temporary one.
    """
    with contextlib.ExitStack() as stack:
        folder = data_dir or stack.enter_context(tempfile.TemporaryDirectory())
        starts = readers(folder)
        measured = np.array([[rates(start) for start in starts.values()] for _ in range(ROUNDS)])
    print(f"lensing/{CONFIG.name}, batches of {BATCH}, {len(os.sched_getaffinity(0))} cores")
    print("| | examples/s | to raw records | examples per CPU second | to raw records |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for row, name in enumerate(starts):
        cells = [name]
        for kind in range(2):  # by the clock, and by the processor's
            column = measured[:, row, kind]
            ratios = column / measured[:, -1, kind]
            cells += [
                f"{np.median(column):.0f}",
                f"{np.median(ratios):.2f}x ({ratios.min():.2f}-{ratios.max():.2f})",
            ]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", help="holds the dataset, or is where it is built")
    main(parser.parse_args().data_dir)
