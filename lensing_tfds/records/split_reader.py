"""Examples of a split by their indices, as NumPy arrays, without TensorFlow.

The place of every example in a shard that `shards.write_shard` wrote is known: what is read there
must be that example's frame, byte for byte but for the maps, and its checksum must agree. Whatever
is not so is damaged, and named, or was written by other software: then a shard is read as any
TFRecord file of `tf.train.Example`s, and refused if it is an ArrayRecord file.
"""

from __future__ import annotations

import collections
import io
import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage, tfrecord
from lensing_tfds.records.example_records import Layout, decode
from lensing_tfds.records.file_formats import TFRECORD, format_of
from lensing_tfds.records.shard_plans import ShardSpec, SplitPlan
from lensing_tfds.records.shard_seals import refuse_other_examples
from lensing_tfds.records.shards import read_shard

Examples = dict[str, NDArray]
"""Maps by feature, (examples, npix, npix, channels) float32, and "index", (examples,) int64."""

_BLOCK_BYTES = 2**19  # read at a time, and looked at while they are in the processor's cache
_OBJECT_BYTES = 2**22  # of an object in a bucket, which makes one wait for each block
_OBJECTS_AT_ONCE = 16


class _Block(NamedTuple):
    """Examples of one shard that are read together.

    Attributes:
      spec: the shard.
      indices: of the examples, whose frames are alike.
      frame: theirs, as the shard's format has them.
      rows: of the arrays that they are read into.
      begin: place in the shard.
      size: bytes there.
    """

    spec: ShardSpec
    indices: range
    frame: Layout
    rows: slice
    begin: int
    size: int


class SplitReader:
    """Reads examples of a split, in any order; what is damaged is named, and never used.

    Args:
      plan: the split.
      indices: of the examples that may be asked for.
      remedy: what mends a damaged shard, the last words of an error's message.
      names: of the maps that are read; None for all.

    Raises:
      LensingError: a shard of these is missing, or has more or fewer examples than it must.

    Attributes:
      is_remote: whether its shards are in a bucket.
    """

    def __init__(
        self, plan: SplitPlan, indices: range, remedy: str, names: Sequence[str] | None = None
    ):
        self._shapes = plan.config.feature_shapes
        self._names = tuple(self._shapes if names is None else names)
        self._shards = [
            spec
            for spec in plan.shards()
            if spec.start < indices.stop and indices.start < spec.stop
        ]
        self._starts = [spec.start for spec in self._shards]
        self._remedy = remedy
        self.is_remote = storage.is_remote(plan.prefix)
        self._known: set[str] = set()  # shards whose seals have been looked at
        self._places: dict[str, NDArray[np.int64]] = {}  # of examples, in others' shards
        sizes = storage.sizes(plan.prefix.rpartition("/")[0])
        for spec in self._shards:
            # What other software wrote may have another size, and be right all the same.
            if sizes.get(spec.path.rpartition("/")[2]) != spec.usual_bytes:
                self._places[spec.path] = self._places_in(spec)

    @property
    def example_bytes(self) -> int:
        """Size of an example on the disk, but for a few bytes."""
        return sum(self._map_bytes.values())

    @property
    def _map_bytes(self) -> dict[str, int]:
        return {name: 4 * math.prod(shape) for name, shape in self._shapes.items()}

    def read(self, ranges: Sequence[range]) -> Examples:
        """Reads examples.

        Args:
          ranges: of their indices.

        Returns:
          The maps, and "index", in the order of the ranges.

        Raises:
          LensingError: a shard is damaged, or cannot be read.
        """
        number, sizes = sum(map(len, ranges)), self._map_bytes
        rows = {name: np.empty((number, sizes[name]), np.uint8) for name in self._names}
        blocks = list(self._blocks(ranges))
        for spec in {block.spec.path: block.spec for block in blocks}.values():
            if spec.path not in self._known:  # another dataset's shard has the same indices
                refuse_other_examples(spec, self._remedy)
                self._known.add(spec.path)
        if self.is_remote:
            with ThreadPoolExecutor(_OBJECTS_AT_ONCE) as pool:
                collections.deque(pool.map(lambda block: self._fill(rows, block), blocks), 0)
        else:
            buffer = np.empty(max((block.size for block in blocks), default=0), np.uint8)
            for block in blocks:
                self._fill(rows, block, buffer)
        maps: Examples = {
            name: content.view("<f4").reshape(number, *self._shapes[name])
            for name, content in rows.items()
        }
        return maps | {"index": np.array(list(itertools.chain(*ranges)), np.int64)}

    def _blocks(self, ranges: Sequence[range]) -> Iterator[_Block]:
        row, map_bytes = 0, self._map_bytes
        at_once = _OBJECT_BYTES if self.is_remote else _BLOCK_BYTES
        for wanted in ranges:
            first = int(np.searchsorted(self._starts, wanted.start, "right")) - 1
            for spec in itertools.islice(self._shards, first, None):
                if spec.start >= wanted.stop:
                    break
                start, stop = max(wanted.start, spec.start), min(wanted.stop, spec.stop)
                for alike, frame in spec.container.frames(map_bytes, start, stop):
                    step = max(1, at_once // frame.size)
                    for begin in range(alike.start, alike.stop, step):
                        indices = range(begin, min(begin + step, alike.stop))
                        rows = slice(row, row + len(indices))
                        place = spec.container.region(map_bytes, spec.start, indices)
                        yield _Block(spec, indices, frame, rows, *place)
                        row += len(indices)

    def _fill(
        self,
        rows: dict[str, NDArray[np.uint8]],
        block: _Block,
        buffer: NDArray[np.uint8] | None = None,
    ) -> None:
        """Reads a block into its rows, through a buffer that is large enough."""
        spec, indices, frame, place, begin, size = block
        if spec.path not in self._places:
            content = np.empty(size, np.uint8) if buffer is None else buffer[:size]
            if storage.read_into(spec.path, begin, content) == size:
                frames = spec.container.frames_in(content, begin, len(indices))
                if frame.fits(frames, indices):
                    for name in self._names:
                        rows[name][place] = frames[:, frame.maps[name]]
                    return
            self._places[spec.path] = self._places_in(spec)
        for row, maps in enumerate(self._of_other_software(spec, indices), place.start):
            for name in self._names:
                rows[name][row] = maps[name].reshape(-1).view(np.uint8)

    def _places_in(self, spec: ShardSpec) -> NDArray[np.int64]:
        """Places at which the examples of a shard begin, and of its end, if it is intact.

        Raises:
          LensingError: it is damaged, cannot be read, or is no TFRecord file.
        """
        collections.deque(read_shard(spec, self._remedy), maxlen=0)
        if format_of(spec.path) != TFRECORD:
            raise LensingError(
                f"shard {spec.path} is intact, but written by other software than lensing_tfds: "
                f"read it by tfds.data_source, or delete it and run: {self._remedy}"
            )
        with storage.reading(spec.path) as file:
            sizes = (len(record) + tfrecord.FRAME_BYTES for record in tfrecord.records(file))
            return np.array(list(itertools.accumulate(sizes, initial=0)), np.int64)

    def _of_other_software(
        self, spec: ShardSpec, indices: range
    ) -> Iterator[dict[str, NDArray[np.float32]]]:
        places = self._places[spec.path]
        begin, end = (int(places[index - spec.start]) for index in (indices.start, indices.stop))
        content = np.empty(end - begin, np.uint8)
        count = storage.read_into(spec.path, begin, content)
        records = tfrecord.records(io.BytesIO(content[:count].tobytes()))
        try:
            for index in indices:
                found, maps = decode(next(records, b""), self._shapes)
                if found != index:
                    raise ValueError(f"example {found} in place of {index}")
                yield maps
        except LensingError:
            raise
        except ValueError as error:
            collections.deque(read_shard(spec, self._remedy), maxlen=0)  # or it says what is wrong
            raise LensingError(
                f"shard {spec.path} changed while it was read ({error}): run the command again"
            ) from error
