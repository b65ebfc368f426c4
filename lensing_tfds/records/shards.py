"""The unit of work: one shard of a split, simulated, written, verified and, when run again, reused.

A shard is a TFRecord file of `tf.train.Example`s, just what TFDS writes for features with
`Encoding.BYTES`, and beside it stands its seal: a small file with its checksum. Every executor,
from a loop in this process to a Beam runner, calls `write_shard`; no example ever travels between
processes.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from lensing_tfds import strict_json
from lensing_tfds.configs import DATASET_VERSION, SPLITS, LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.records import seals, storage, tfrecord
from lensing_tfds.simulation import Simulator

TARGET_SHARD_BYTES = 128 * 2**20  # TFDS's guidance is 100 to 200 MiB

_CHUNK_BYTES = 2**20  # read at a time when a shard is verified


@dataclasses.dataclass(frozen=True)
class ShardSpec:
    """A shard's content and place; picklable, and enough to write it anywhere.

    Attributes:
      config: the version.
      split: `train`, `validation` or `test`.
      start: index of the first example.
      stop: one past the index of the last.
      path: the file to write, local or in a bucket.
    """

    config: LensingConfig
    split: str
    start: int
    stop: int
    path: str

    @property
    def num_examples(self) -> int:
        """Examples of the shard."""
        return self.stop - self.start

    @property
    def usual_bytes(self) -> int:
        """Size of a shard of these examples and no other, as `write_shard` writes it."""
        map_bytes = {
            name: 4 * channels * self.config.npix**2
            for name, channels in self.config.map_features.items()
        }
        return tfrecord.num_bytes(map_bytes, self.start, self.stop)

    @property
    def seal_path(self) -> str:
        """The file that stands beside the finished shard and holds its checksum."""
        return f"{self.path}{seals.SHARD_SEAL}"

    @property
    def fingerprint(self) -> str:
        """Hash of all that the examples are a function of, and of nothing else."""
        # Without what is at its default: a field that is added later changes no old shard's.
        config = self.config.to_json_of_examples()
        content = [DATASET_VERSION, config, self.split, self.start, self.stop]
        content += self.config.corrections
        return strict_json.digest(content)


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """The result of `write_shard`.

    Attributes:
      split: the shard's split.
      path: the file.
      num_examples: examples in it.
      num_bytes: its size.
      seconds: time taken.
      reused: whether it was there, intact.
    """

    split: str
    path: str
    num_examples: int
    num_bytes: int
    seconds: float
    reused: bool


@dataclasses.dataclass(frozen=True)
class SplitSummary:
    """The shards of a split, folded; the times are those of the shards that were written.

    Attributes:
      shards: how many were written or reused.
      reused: how many of them were there, intact.
      num_examples: examples in all of them.
      num_bytes: size of all of them.
      seconds: time that the written ones took together.
      seconds_min: time of the quickest.
      seconds_max: time of the slowest.
    """

    shards: int = 0
    reused: int = 0
    num_examples: int = 0
    num_bytes: int = 0
    seconds: float = 0.0
    seconds_min: float = math.inf
    seconds_max: float = 0.0

    def __add__(self, other: SplitSummary) -> SplitSummary:
        return SplitSummary(
            self.shards + other.shards,
            self.reused + other.reused,
            self.num_examples + other.num_examples,
            self.num_bytes + other.num_bytes,
            self.seconds + other.seconds,
            min(self.seconds_min, other.seconds_min),
            max(self.seconds_max, other.seconds_max),
        )

    def __str__(self) -> str:
        text = f"{self.num_examples:,} examples, {self.num_bytes / 1e6:,.0f} MB, "
        text += f"{self.shards} shard{'s' * (self.shards != 1)}"
        if self.reused:
            text += f" ({self.reused} reused)"
        written = self.shards - self.reused
        if written:
            text += f"; a shard took {self.seconds / written:.2f} s"
            text += f" ({self.seconds_min:.2f} to {self.seconds_max:.2f})"
        return text


@dataclasses.dataclass(frozen=True)
class ShardSummary:
    """An executor's work, split by split: sums, and the distribution of the shards' times.

    Attributes:
      splits: a summary for each split that has a shard.
    """

    splits: Mapping[str, SplitSummary] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, results: Iterable[ShardResult]) -> ShardSummary:
        """Folds the results of shards, without holding them."""
        return functools.reduce(operator.add, map(cls._of_one, results), cls())

    @classmethod
    def _of_one(cls, result: ShardResult) -> ShardSummary:
        times = () if result.reused else (result.seconds,) * 3
        summary = SplitSummary(1, int(result.reused), result.num_examples, result.num_bytes, *times)
        return cls({result.split: summary})

    def __add__(self, other: ShardSummary) -> ShardSummary:
        names = [name for name in SPLITS if name in self.splits or name in other.splits]
        return ShardSummary({name: self[name] + other[name] for name in names})

    def __getitem__(self, split: str) -> SplitSummary:
        return self.splits.get(split, SplitSummary())

    @property
    def total(self) -> SplitSummary:
        """All splits together."""
        return sum(self.splits.values(), SplitSummary())

    def to_json(self) -> dict[str, Any]:
        """Returns what `json` can write."""
        return {name: dataclasses.asdict(summary) for name, summary in self.splits.items()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ShardSummary:
        """The inverse of `to_json`."""
        return cls({name: SplitSummary(**values) for name, values in fields.items()})


@dataclasses.dataclass(frozen=True)
class SplitPlan:
    """A split cut into shards: even, contiguous ranges of indices.

    Attributes:
      config: the version.
      split: `train`, `validation` or `test`.
      num_shards: how many files.
      prefix: path of the shards up to their numbers, e.g. `/data/lensing-train.tfrecord` for
        `/data/lensing-train.tfrecord-00000-of-00005`.
    """

    config: LensingConfig
    split: str
    num_shards: int
    prefix: str

    @property
    def num_examples(self) -> int:
        """Examples of the whole split."""
        return self.config.num_examples[self.split]

    def bounds(self, shard: int) -> tuple[int, int]:
        """Returns the (start, stop) indices of a shard."""
        return (
            self.num_examples * shard // self.num_shards,
            self.num_examples * (shard + 1) // self.num_shards,
        )

    @property
    def shard_lengths(self) -> list[int]:
        """Examples of each shard."""
        return [stop - start for start, stop in map(self.bounds, range(self.num_shards))]

    def shard(self, number: int) -> ShardSpec:
        """Returns the spec of one shard, counted from 0."""
        path = f"{self.prefix}-{number:05d}-of-{self.num_shards:05d}"
        return ShardSpec(self.config, self.split, *self.bounds(number), path)

    def shards(self) -> Iterator[ShardSpec]:
        """Yields the specs of all shards."""
        return map(self.shard, range(self.num_shards))


Executor = Callable[[Sequence[SplitPlan]], ShardSummary]
"""Writes every shard of the plans, each by `write_shard`, wherever it likes."""


def maps_bytes(config: LensingConfig, split: str) -> int:
    """Returns the size of a split's maps, nearly that of its files."""
    example_bytes = 4 * config.npix**2 * sum(config.map_features.values())
    return config.num_examples[split] * example_bytes


def default_num_shards(
    config: LensingConfig, split: str, max_shard_bytes: int | None = None
) -> int:
    """Returns the number of shards that makes them about `TARGET_SHARD_BYTES` large.

    Args:
      config: the version.
      split: `train`, `validation` or `test`.
      max_shard_bytes: no shard's maps are larger, if they hold more than one example.
    """
    split_bytes = maps_bytes(config, split)
    count = max(1, round(split_bytes / TARGET_SHARD_BYTES))
    if max_shard_bytes is not None:
        count = max(count, math.ceil(split_bytes / max_shard_bytes))
    return min(count, config.num_examples[split])


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
    with storage.writing(spec.path) as file:
        for examples in simulator.examples(range(spec.start, spec.stop)):
            for piece in tfrecord.encode(examples):
                file.write(piece)
                crc = google_crc32c.extend(crc, piece)
                num_bytes += len(piece)
            if on_examples is not None:
                on_examples(len(examples["index"]))
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
    npix = spec.config.npix
    shapes = {name: (npix, npix, count) for name, count in spec.config.map_features.items()}

    def damaged(fault: str) -> LensingError:
        return LensingError(f"shard {spec.path} {fault}: {remedy}")

    if storage.size(spec.path) is None:
        raise damaged("is missing")
    refuse_other_examples(spec, remedy)
    expected = spec.start
    with storage.reading(spec.path) as file:
        records = tfrecord.records(file)
        while True:
            try:
                record = next(records, None)
                if record is None:
                    break
                index, maps = tfrecord.decode(record, shapes)
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


def refuse_other_examples(spec: ShardSpec, remedy: str) -> None:
    """Refuses a shard that holds others than its examples, as its seal says; reads just that.

    A shard without a seal passes, and so does one of another data version than this code's, of
    whose examples it knows nothing.

    Args:
      spec: the shard.
      remedy: the last words of the error's message.

    Raises:
      LensingError: it has other examples than its own, its seal is damaged, or cannot be read.
    """
    version = spec.path.rpartition("/")[0].rpartition("/")[2]
    if re.fullmatch(r"\d+\.\d+\.\d+", version) and version != DATASET_VERSION:
        return
    try:
        seal = read_seal(spec)
    except seals.DamagedSealError as error:
        raise LensingError(
            f"shard {spec.path} cannot be told from another: {spec.seal_path} is damaged: {remedy}"
        ) from error
    if seal is not None and seal["fingerprint"] != spec.fingerprint:
        raise LensingError(
            f"shard {spec.path} holds other examples, as {spec.seal_path} says (copied from "
            f"another dataset?): {remedy}"
        )


class Sealed(Protocol):
    """A file with its seal beside it; see `ShardSpec`."""

    @property
    def path(self) -> str: ...

    @property
    def seal_path(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...


def write_seal(spec: Sealed, crc: int, num_bytes: int) -> None:
    """Writes the seal of a file.

    Args:
      spec: the file.
      crc: its CRC-32C.
      num_bytes: its size.

    Raises:
      LensingError: the seal cannot be written.
    """
    fields = {"crc32c": f"{crc:08x}", "num_bytes": num_bytes, "fingerprint": spec.fingerprint}
    with storage.writing(spec.seal_path) as file:
        file.write(seals.sealed(fields))


def read_seal(spec: Sealed) -> dict[str, Any] | None:
    """Returns the seal of a file, of `crc32c`, `num_bytes` and `fingerprint`; None without one.

    Raises:
      DamagedSealError: the seal is damaged.
      LensingError: it cannot be read.
    """
    if storage.size(spec.seal_path) is None:
        return None
    with storage.reading(spec.seal_path) as file:
        fields = seals.unsealed(file.read())
    kinds = {"crc32c": str, "num_bytes": int, "fingerprint": str}
    if {name: type(value) for name, value in fields.items()} != kinds:
        raise seals.DamagedSealError
    return fields


def damage(spec: Sealed) -> str | None:
    """Says what is wrong with a shard, reading all of it.

    Returns:
      None if the shard is finished and intact; otherwise what is wrong, as in "shard ... <damage>".

    Raises:
      LensingError: a bucket cannot be read.
    """
    try:
        return _damage(spec)
    except LensingError as error:  # a folder in its place, or no right to read it
        if storage.is_remote(spec.path):
            raise
        return f"cannot be verified: {error}"


def _damage(spec: Sealed) -> str | None:
    size = storage.size(spec.path)
    if size is None:
        return "is missing"
    try:
        seal = read_seal(spec)
    except seals.DamagedSealError:
        return f"cannot be verified: the checksum beside it is damaged ({spec.seal_path})"
    if seal is None:
        return f"has no checksum beside it ({spec.seal_path})"
    if seal["fingerprint"] != spec.fingerprint:
        return "holds other examples"
    if seal["num_bytes"] != size:
        return f"has {size:,} bytes instead of {seal['num_bytes']:,}"
    crc = 0
    with storage.reading(spec.path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc = google_crc32c.extend(crc, chunk)
    if seal["crc32c"] != f"{crc:08x}":
        return "does not have the bytes that were written: its checksum differs"
    return None
