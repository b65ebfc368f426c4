"""The unit of work: one shard of a split, simulated, written, verified and, when run again, reused.

A shard is a TFRecord or ArrayRecord file of `tf.train.Example`s, just what TFDS writes for features
with `Encoding.BYTES`, and beside it stands its seal: a small file with its checksum. Every
executor, from a loop in this process to a Beam runner, calls `write_shard`; no example ever travels
between processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.records.example_records import decode
from lensing_tfds.records.shard_plans import ShardSpec, SplitPlan
from lensing_tfds.records.shard_seals import damage, refuse_other_examples, write_seal
from lensing_tfds.records.shard_summary import ShardResult, ShardSummary
from lensing_tfds.simulation import Examples, Simulator

Executor = Callable[[Sequence[SplitPlan]], ShardSummary]
"""Writes every shard of the plans, each by `write_shard`, wherever it likes."""


def write_shard(spec: ShardSpec, on_examples: Callable[[int], object] | None = None) -> ShardResult:
    """Simulates a shard block by block and writes it, or finds it written and intact.

    The file appears under its name when it is whole and on the disk, its seal after it: a process
    that is killed at any point leaves a finished shard or one that will be written again. Two
    processes may write the same shard at once: they write the same bytes.

    Args:
      spec: the shard.
      on_examples: called with the number of examples just written, for a progress bar.

    Returns:
      Its size and time.

    Raises:
      LensingError: the file cannot be written, or the table of the config's own cosmology is not
        beside it.
    """
    began = time.monotonic()

    def result(num_bytes: int, reused: bool) -> ShardResult:
        seconds = time.monotonic() - began
        return ShardResult(spec.split, spec.path, spec.num_examples, num_bytes, seconds, reused)

    if damage(spec) is None:
        if on_examples is not None:
            on_examples(spec.num_examples)
        return result(storage.size(spec.path) or 0, reused=True)
    num_bytes = crc = 0
    table = spectra_of(spec.config, spec.path.rpartition("/")[0])
    simulator = Simulator(spec.config, spec.split, table)

    def blocks() -> Iterator[Examples]:
        for examples in simulator.examples(range(spec.start, spec.stop)):
            yield examples
            if on_examples is not None:
                on_examples(len(examples["index"]))

    with storage.writing(spec.path) as file:
        for piece in spec.container.stretches(blocks()):
            content = np.frombuffer(piece, np.uint8)
            file.write(content.data)
            crc = google_crc32c.extend(crc, content)
            num_bytes += len(content)
    write_seal(spec, crc, num_bytes)
    return result(num_bytes, reused=False)


def read_shard(
    spec: ShardSpec, remedy: str = "python -m pipelines.verify says what mends it"
) -> Iterator[tuple[int, dict[str, NDArray[np.float32]]]]:
    """Reads the examples of a shard, all that it must have and no other.

    Args:
      spec: the shard.
      remedy: the last words of the error's message.

    Yields:
      (index, maps), by increasing index: maps by feature, (npix, npix, channels), read-only.

    Raises:
      LensingError: it cannot be read, is missing or damaged, or has other examples than its own.
    """
    shapes = spec.config.feature_shapes

    def damaged(fault: str) -> LensingError:
        return LensingError(f"shard {spec.path} {fault}: {remedy}")

    if storage.size(spec.path) is None:
        raise damaged("is missing")
    refuse_other_examples(spec, remedy)
    expected = spec.start
    with storage.reading(spec.path) as file:
        records = spec.container.records(file)
        while True:
            try:
                record = next(records, None)
                if record is None:
                    break
                index, maps = decode(record, shapes)
            except ValueError as error:
                if isinstance(error, LensingError):
                    raise
                raise damaged(f"is truncated or corrupted ({error})") from error
            if expected == spec.stop:
                raise damaged(f"has more than its {spec.num_examples:,} examples")
            if index != expected:
                raise damaged(f"has example {index} in place of {expected}")
            expected += 1
            yield index, maps
    if expected != spec.stop:
        raise damaged(f"has {expected - spec.start:,} of its {spec.num_examples:,} examples")
