"""Examples by their place, one or many, for whatever loads data: PyTorch, Grain, a loop of NumPy.

`StoredSource` reads the shards of a built dataset, `SimulatedSource` simulates and needs no files.
Each is a sequence of dicts of NumPy arrays: a map-style `Dataset` of PyTorch's and a
`RandomAccessDataSource` of Grain's, without importing either. They hold no open file and no thread,
so that processes may be forked at any time; they can be pickled, and used by several threads. (The
client of a bucket has a thread: workers that read from one are to be spawned.)
"""

from __future__ import annotations

import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from lensing_tfds.errors import LensingError

if TYPE_CHECKING:  # `import lensing_tfds` waits for no library
    import numpy as np
    from numpy.typing import NDArray

    from lensing_tfds.configs import LensingConfig
    from lensing_tfds.simulation import Examples, Simulator

Example = dict[str, "NDArray[Any] | np.generic"]
"""Maps, (npix, npix, channels) float32, and numbers, by feature, and "index", int64."""


_MOST = 2**63 - 1  # indices, so that Python can say how many there are


class _Source(ABC):
    """A sequence of examples.

    Args:
      config: of the examples.
      split: whose they are.
      indices: theirs, in order.
      features: which features an example has; None for all.

    Attributes:
      config: of the examples.
    """

    def __init__(
        self, config: LensingConfig, split: str, indices: range, features: Sequence[str] | None
    ):
        known = (*config.feature_shapes, "index")
        chosen = known if features is None else tuple(features)
        if isinstance(features, str) or not chosen or not set(chosen) <= set(known):
            raise LensingError(
                f"features of lensing/{config.name} are {', '.join(known)}: give some of them, as "
                f"('lensed', 'kappa'), not {features!r}"
            )
        self.config = config
        self._split, self._indices, self._features = split, indices, chosen

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[Example]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: SupportsIndex) -> Example:
        return self.__getitems__([place])[0]

    def __getitems__(self, places: Sequence[SupportsIndex]) -> list[Example]:
        """Returns several examples at once, which is faster than one by one."""
        if not len(places):
            return []
        found = self._examples([self._indices[operator.index(place)] for place in places])
        return [self._row(found, row) for row in range(len(places))]

    def _row(self, examples: Examples, row: int) -> Example:
        """Returns an example of its own, which its owner may change."""
        return {name: examples[name][row].copy() for name in self._features}

    @abstractmethod
    def _examples(self, indices: Sequence[int]) -> Examples:
        """Returns examples by their indices in the split."""

    def __repr__(self) -> str:
        """Text that is the same for the same examples, by which Grain knows a source again."""
        text = f"{type(self).__name__}(lensing/{self.config.name}, {self._split}, {self._indices}"
        return f"{text}, {self._features}, {self.config.to_json()})"


class StoredSource(_Source):
    """A split of a built dataset: `source[i]` is its example `i`, read from its sealed shard.

    TFRecord and ArrayRecord shards are read alike. What is read is compared with its checksum:
    damage is named, never returned.

    Args:
      dataset: "lensing/v7" or "v7", a version or a config of one's own, that is built.
      split: "train", "validation" or "test"; a slice as "train[:1000]" works too.
      features: of an example, as ("lensed", "kappa"); None for all: the dataset's maps, (npix,
        npix, channels) float32, lensed and unlensed in µK, its numbers, and "index", int64.
      data_dir: the folder that holds the folder `lensing`, local or a bucket; None is TFDS's own.

    Raises:
      LensingError: the dataset is not built, a shard is missing or damaged (`source[i]` too), or
        there is no such split or feature.
    """

    def __init__(
        self,
        dataset: str,
        split: str = "train",
        features: Sequence[str] | None = None,
        data_dir: str | os.PathLike[str] | None = None,
    ):
        try:
            from lensing_tfds.records.datasets import absolute_data_dir, open_built
            from lensing_tfds.records.reading import split_reader
        except ModuleNotFoundError as error:
            raise LensingError(
                f"{dataset}: to read its shards needs {error.name}: "
                "pip install 'lensing-tfds[worker]'"
            ) from error
        from lensing_tfds.versions import config_name

        stored = open_built(config_name(dataset), absolute_data_dir(data_dir))
        _, indices = split_reader(stored, split)
        super().__init__(stored.config, split, indices, features)
        maps = [name for name in self._features if name != "index"]
        self._reader, _ = split_reader(stored, split, maps)

    def _examples(self, indices: Sequence[int]) -> Examples:
        return self._reader.read([range(index, index + 1) for index in indices])


class SimulatedSource(_Source):
    """Examples that are simulated when they are asked for: `source[i]`, of the `i`-th index.

    They are the very examples that the built dataset holds at these indices, whichever process
    makes them, in whatever order. Indices run to 2^63, so that training need not see a sky twice:
    `range(4000, 10**9)` goes on behind a split of 4,000.

    Maps below 90 pixels on a side are transformed in blocks of 16: neighbours, or many at once
    (`__getitems__`, which PyTorch's DataLoader calls), cost a sixteenth of what strangers cost.

    Args:
      config: a version's name, as "v8"; a JSON mapping; a `LensingConfig`; or the name of a built
        dataset with a config of one's own.
      split: "train", "validation" or "test".
      indices: which examples of the split; None for those that a built dataset has.
      features: as of `StoredSource`.
      data_dir: where such a dataset is; None is TFDS's own.

    Raises:
      LensingError: unknown version, dataset, split or feature, an impossible config, or indices
        that are no range within 0 and 2^63 - 2.
    """

    def __init__(
        self,
        config: str | Mapping[str, Any] | LensingConfig,
        split: str = "train",
        indices: range | None = None,
        features: Sequence[str] | None = None,
        data_dir: str | os.PathLike[str] | None = None,
    ):
        from lensing_tfds.cosmology import spectra_of
        from lensing_tfds.records.stored_config import meant_config
        from lensing_tfds.simulation import Simulator

        meant, folder = meant_config(config, data_dir)
        self._table = spectra_of(meant, folder)
        self._simulator: Simulator | None = Simulator(meant, split, self._table)
        if indices is None:
            indices = range(meant.num_examples[split])
        ends = (indices[0], indices[-1]) if isinstance(indices, range) and indices else (-1,)
        if min(ends) < 0 or max(ends) >= _MOST:
            raise LensingError(
                f"indices are {indices!r}: give a range that is not empty, of numbers from 0 to "
                "2^63 - 2, as range(4000, 10**9)"
            )
        super().__init__(meant, split, indices, features)
        self._block: tuple[int, Examples] | None = None

    def __getitem__(self, place: SupportsIndex) -> Example:
        number = range(len(self))[operator.index(place)]
        size = self._simulators().block_size
        block = self._block
        if block is None or block[0] != number // size:
            first = number - number % size
            block = number // size, self._examples(self._indices[first : first + size])
            self._block = block  # neighbours cost nothing more
        return self._row(block[1], number % size)

    def _examples(self, indices: Sequence[int]) -> Examples:
        import numpy as np

        blocks = list(self._simulators().examples(indices))
        return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}

    def _simulators(self) -> Simulator:
        from lensing_tfds.simulation import Simulator

        if self._simulator is None:  # another process has it made again
            self._simulator = Simulator(self.config, self._split, self._table)
        return self._simulator

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_simulator": None, "_block": None}
