"""The result of writing shards: of each, and summed up split by split."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any

from lensing_tfds.configs import SPLITS


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
