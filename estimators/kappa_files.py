"""A folder of κ maps and their indices, in the format of docs/predictions.md.

Maps are read as they are asked for, and stay on the disk otherwise: memory grows by the indices
alone, 16 bytes an example.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from estimators.estimator import refuse_not_finite
from lensing_tfds.array_files import naming, open_fits, read_npy
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError

_INDEX_HDU = "INDEX"
_LARGEST = np.float64(np.finfo(np.float32).max)  # a number of NumPy's: half precision has none such


@dataclasses.dataclass(frozen=True, eq=False)
class KappaFile:
    """A file of κ maps.

    Attributes:
      path: the file, `kappa*.npy` or `kappa*.fits`.
      shape: of its array, (n, npix, npix) or (n, npix, npix, 1).
      index: (n,) int64, which examples they are of.
    """

    path: Path
    shape: tuple[int, ...]
    index: NDArray[np.int64]

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that it is made of: κ's and its indices', where these have their own."""
        return (self.path,) if self.path.suffix == ".fits" else (self.path, _index_path(self.path))


@dataclasses.dataclass(frozen=True, eq=False)
class KappaMaps:
    """κ maps, found by their indices.

    Attributes:
      folder: where they are.
      files: at least one; no index is there twice.
    """

    folder: Path
    files: tuple[KappaFile, ...]

    def __post_init__(self) -> None:
        index = self._index[self._order]
        if (twice := index[1:] == index[:-1]).any():
            first = index[1:][twice][0]
            holding = [f.path.name for f in self.files if first in f.index]
            named = " and ".join(holding) if len(holding) > 1 else f"{holding[0]} itself"
            raise LensingError(f"{self.folder} has example {first} more than once: in {named}")

    @functools.cached_property
    def _index(self) -> NDArray[np.int64]:
        return np.concatenate([file.index for file in self.files])

    @functools.cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self._index, kind="stable")

    def refuse_unfit(self, config: LensingConfig, split: str, count: int) -> None:
        """Refuses maps that are not those of the first examples of a split.

        Args:
          config: of the dataset.
          split: "train", "validation" or "test".
          count: how many examples are to be judged.

        Raises:
          LensingError: maps have another size; an example is missing, or none of the split's.
        """
        for file in self.files:
            if file.shape[1:3] != (config.npix, config.npix):
                raise LensingError(
                    f"{file.path} has maps of {file.shape[1]} x {file.shape[2]} pixels, "
                    f"lensing/{config.name} has {config.npix} x {config.npix}"
                )
        index, available = self._index[self._order], config.num_examples[split]
        foreign = (index < 0) | (index >= available)
        if np.array_equal(index, np.arange(1, available + 1)):
            raise LensingError(
                f"{self.folder} has indices 1 to {available}: they are counted from 0; subtract 1"
            )
        if foreign.any():
            raise LensingError(
                f"{self.folder} has example {index[foreign][0]}, lensing/{config.name} {split} has "
                f"0 to {available - 1}: are these the predictions of another split?"
            )
        missing = np.setdiff1d(np.arange(count), index, assume_unique=True)
        if missing.size:
            advice = f"; --max_examples {missing[0]} leaves them out" if missing[0] > 1 else ""
            raise LensingError(
                f"{self.folder} lacks {missing.size} of the {count} examples of "
                f"lensing/{config.name} {split}, the first is {missing[0]}{advice}"
            )

    def estimate(self, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Reads the maps of some examples.

        Args:
          index: (n,), the examples; all of them are there.

        Returns:
          (n, npix, npix, 1) float32, dimensionless κ.

        Raises:
          LensingError: a file cannot be read any more, or a map is not finite.
        """
        places = self._order[np.searchsorted(self._index, index, sorter=self._order)]
        numbers = np.searchsorted(self._ends, places, side="right")
        kappa = np.empty((len(index), *self.files[0].shape[1:3], 1), np.float32)
        for number in np.unique(numbers):
            file, chosen = self.files[number], numbers == number
            rows = places[chosen] - (self._ends[number] - len(file.index))
            with _opened(file.path) as (array, _):
                maps = np.asarray(array[rows]).reshape(-1, *kappa.shape[1:])
            refuse_not_finite(maps, index[chosen], f"{file.path}: κ")
            large = (np.abs(maps) > _LARGEST).any(axis=(1, 2, 3))
            if large.any():
                raise LensingError(
                    f"{file.path}: κ for example {index[chosen][large][0]} is too large for "
                    f"float32: beyond {_LARGEST:.2g}"
                )
            kappa[chosen] = maps
        return kappa

    @functools.cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum([len(file.index) for file in self.files])


def open_kappa_maps(folder: Path) -> KappaMaps:
    """Opens a folder of κ maps, reading their indices, and no maps.

    Raises:
      LensingError: there are none, or a file is not in the format of docs/predictions.md.
    """
    paths = sorted([*folder.glob("kappa*.npy"), *folder.glob("kappa*.fits")])
    if not paths:
        raise LensingError(
            f"{folder} holds no predictions: neither kappa*.npy nor kappa*.fits; "
            "docs/predictions.md has the format"
        )
    for index in sorted(folder.glob("index*.npy")):
        kappa = index.with_name("kappa" + index.name.removeprefix("index"))
        if kappa not in paths:
            raise LensingError(f"{index} has no {kappa.name} beside it, whose indices it would be")
    return KappaMaps(folder, tuple(map(_look_at, paths)))


def _look_at(path: Path) -> KappaFile:
    with _opened(path) as (array, index):
        shape = array.shape
        if len(shape) not in (3, 4) or shape[3:] not in ((), (1,)) or array.dtype.kind != "f":
            raise LensingError(
                f"{path} holds {array.dtype} of shape {shape}: κ is floating-point, of shape "
                "(n, npix, npix)"
            )
        if index.ndim != 1 or index.dtype.kind not in "iu":
            raise LensingError(
                f"the indices of {path} are {index.dtype} of shape {index.shape}: they are "
                "integers, of shape (n,)"
            )
        if len(index) != len(array):
            raise LensingError(f"{path} holds {len(array)} maps, but {len(index)} indices")
        return KappaFile(path, shape, index.astype(np.int64))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[NDArray, NDArray]]:
    """Yields a file's κ, which stays on the disk, and its indices."""
    with naming(path), contextlib.ExitStack() as stack:
        if path.suffix == ".fits":
            yield stack.enter_context(_opened_fits(path))
        else:
            yield read_npy(path), read_npy(_index_path(path))


def _index_path(path: Path) -> Path:
    return path.with_name("index" + path.name.removeprefix("kappa"))


@contextlib.contextmanager
def _opened_fits(path: Path) -> Iterator[tuple[NDArray, NDArray]]:
    with open_fits(path) as hdus:
        if hdus[0].data is None or _INDEX_HDU not in hdus or hdus[_INDEX_HDU].data is None:
            raise LensingError(
                f"{path}: κ is the primary image, the indices are an image extension {_INDEX_HDU}"
            )
        yield hdus[0].data, hdus[_INDEX_HDU].data
