"""The unit of work: one shard of a split, simulated and written.

A shard is a TFRecord file of `tf.train.Example`s, just what TFDS writes for features with
`Encoding.BYTES`. Every executor, from a loop in this process to a Beam runner, calls `write_shard`;
no example ever travels between processes.
"""

import contextlib
import dataclasses
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence

from etils import epath

from lensing_tfds.configs import LensingConfig, LensingError
from lensing_tfds.simulation import Examples, Simulator

TARGET_SHARD_BYTES = 128 * 2**20  # TFDS's guidance is 100 to 200 MiB

FEATURES = ("lensed", "unlensed", "kappa")


@dataclasses.dataclass(frozen=True)
class ShardSpec:
    """What one shard holds and where it goes; picklable, and enough to write it anywhere.

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


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """What `write_shard` did.

    Attributes:
      path: the file.
      num_examples: examples in it.
      num_bytes: size of the serialised examples.
      seconds: time taken.
    """

    path: str
    num_examples: int
    num_bytes: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class SplitPlan:
    """How a split is cut into shards: even, contiguous ranges of indices.

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

    def shards(self) -> Iterator[ShardSpec]:
        """Yields the specs of all shards."""
        for shard in range(self.num_shards):
            start, stop = self.bounds(shard)
            path = f"{self.prefix}-{shard:05d}-of-{self.num_shards:05d}"
            yield ShardSpec(self.config, self.split, start, stop, path)


Executor = Callable[[Sequence[SplitPlan]], None]
"""Writes every shard of the plans, each by `write_shard`, wherever it likes."""


def default_num_shards(config: LensingConfig, split: str) -> int:
    """Returns the number of shards that makes them about `TARGET_SHARD_BYTES` large."""
    example_bytes = len(FEATURES) * 4 * config.npix**2
    return max(1, round(config.num_examples[split] * example_bytes / TARGET_SHARD_BYTES))


def write_shard(spec: ShardSpec, on_examples: Callable[[int], object] | None = None) -> ShardResult:
    """Simulates a shard block by block and writes it, under a temporary name until it is whole.

    Memory does not grow with the shard. The decoded examples depend on nothing but the spec.

    Args:
      spec: which examples, and the file.
      on_examples: called with the number of examples just written, for a progress bar.

    Returns:
      Its size and time.

    Raises:
      LensingError: the file cannot be written.
    """
    import tensorflow as tf  # slow to import, and those who only want maps need not have it

    began = time.monotonic()
    num_bytes = 0
    temporary = f"{spec.path}.incomplete-{uuid.uuid4().hex}"  # two workers may write one shard
    simulator = Simulator(spec.config, spec.split)
    try:
        with tf.io.TFRecordWriter(temporary) as writer:
            for examples in simulator.examples(range(spec.start, spec.stop)):
                for record in serialize(examples):
                    writer.write(record)
                    num_bytes += len(record)
                if on_examples is not None:
                    on_examples(len(examples["index"]))
        epath.Path(temporary).replace(spec.path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            epath.Path(temporary).unlink(missing_ok=True)
        if not isinstance(error, (OSError, tf.errors.OpError)):
            raise
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
        raise LensingError(f"cannot write {spec.path}: {reason}") from error
    return ShardResult(spec.path, spec.stop - spec.start, num_bytes, time.monotonic() - began)


def serialize(examples: Examples) -> Iterator[bytes]:
    """Serialises a block of examples as `tf.train.Example`s, deterministically.

    The protocol buffers are filled by hand: TFDS's general encoder takes four times as long.

    Args:
      examples: a block, as the simulator yields it.

    Yields:
      One record per example.
    """
    from tensorflow.core.example import example_pb2

    for row, index in enumerate(examples["index"]):
        record = example_pb2.Example()
        feature = record.features.feature
        for name in FEATURES:
            feature[name].bytes_list.value.append(examples[name][row].tobytes())
        feature["index"].int64_list.value.append(int(index))
        yield record.SerializeToString(deterministic=True)


def write_in_process(plans: Sequence[SplitPlan]) -> None:
    """Writes all shards one after the other, showing examples, rate and time left."""
    import tqdm

    title = f"lensing/{plans[0].config.name}"
    total = sum(plan.num_examples for plan in plans)
    seconds = 0.2 if sys.stderr.isatty() else 10  # between updates: a log keeps every one
    with tqdm.tqdm(total=total, unit=" examples", desc=title, mininterval=seconds) as bar:
        for plan in plans:
            for spec in plan.shards():
                write_shard(spec, bar.update)
