"""A split cut into shards: which examples each holds, and where it lies."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from lensing_tfds import strict_json
from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.records import seals
from lensing_tfds.records.file_formats import FILE_FORMATS, FileFormat, format_of

TARGET_SHARD_BYTES = 128 * 2**20  # TFDS's guidance is 100 to 200 MiB


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
            name: 4 * math.prod(shape) for name, shape in self.config.feature_shapes.items()
        }
        return self.container.num_bytes(map_bytes, self.start, self.stop)

    @property
    def container(self) -> FileFormat:
        """Returns what knows the bytes of its file."""
        return FILE_FORMATS[format_of(self.path)]

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


def maps_bytes(config: LensingConfig, split: str) -> int:
    """Returns the size of a split's maps, nearly that of its files."""
    example_bytes = 4 * sum(map(math.prod, config.feature_shapes.values()))
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
