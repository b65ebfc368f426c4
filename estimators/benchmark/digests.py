"""Digests of the arrays of a split, by which anybody can tell whether they have the same examples.

The hash of an array is that of its bytes. Examples that are simulated on a processor of another
type differ from these in the last digits, and so in their hash; the projection

    p = Σ_k x_k cos(k) / √N,    k = 0 ... N − 1 in the array's own order,

is then nearly the same, where one example that is another, or in another place, changes it.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import KAPPA, LENSED
from lensing_tfds.errors import LensingError

ARRAYS = (LENSED, KAPPA)
"""Features: what an estimator sees, and what it is judged by."""

_ROUNDING = 1e-4
"""Of the rms. Compared by projection, examples from processors of other types differ by 1e-7 of it,
and one other example among 500 changes it by 0.04."""


class Agreement(enum.Enum):
    """Outcomes of the comparison of an array with the protocol."""

    IDENTICAL = "identical"
    ROUNDING = "equal but for rounding"
    DIFFERENT = "different"


@dataclasses.dataclass(frozen=True)
class Digest:
    """Digests of an array.

    Attributes:
      shape: the array's, examples first.
      sha256: of its bytes, float32, little-endian, in C order.
      rms: root mean square of all numbers, in the array's units.
      projection: p, likewise.
    """

    shape: tuple[int, ...]
    sha256: str
    rms: float
    projection: float

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Digest:
        """Reads what `to_json` gave."""
        return cls(**{**values, "shape": tuple(values["shape"])})

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types."""
        return {**vars(self), "shape": list(self.shape)}

    def compared_with(self, other: Digest) -> Agreement:
        """Compares two arrays by what is known of them."""
        if self.shape != other.shape:
            return Agreement.DIFFERENT
        if self.sha256 == other.sha256:
            return Agreement.IDENTICAL
        limit = _ROUNDING * self.rms
        differences = (self.rms - other.rms, self.projection - other.projection)
        close = all(abs(difference) < limit for difference in differences)
        return Agreement.ROUNDING if close else Agreement.DIFFERENT


class _Digester:
    """Takes an array part by part."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._shape: tuple[int, ...] = ()
        self._examples = self._count = 0
        self._squares = self._sum = 0.0

    def add(self, part: NDArray[np.float32]) -> None:
        content = np.ascontiguousarray(part, "<f4")
        self._hash.update(content.data)
        self._shape = content.shape[1:]
        self._examples += len(content)
        flat = content.astype(np.float64).ravel()
        places = np.arange(self._count, self._count + flat.size, dtype=np.float64)
        self._squares += float(flat @ flat)
        self._sum += float(flat @ np.cos(places))
        self._count += flat.size

    def result(self) -> Digest:
        return Digest(
            (self._examples, *self._shape),
            self._hash.hexdigest(),
            math.sqrt(self._squares / self._count),
            self._sum / math.sqrt(self._count),
        )


def digests(batches: Iterable[Mapping[str, NDArray[Any]]]) -> dict[str, Digest]:
    """Digests the arrays of examples, in one pass.

    Args:
      batches: dicts of "lensed", "kappa" and "index", from example 0 on, in order; at least one.

    Raises:
      LensingError: the examples are in another order.
    """
    digesters = {name: _Digester() for name in ARRAYS}
    number = 0
    for batch in batches:
        index = np.asarray(batch["index"])
        if not np.array_equal(index, np.arange(number, number + len(index))):
            raise LensingError(f"the examples from {number} on have other indices: {index[0]}, ...")
        number += len(index)
        for name, digester in digesters.items():
            digester.add(batch[name])
    return {name: digester.result() for name, digester in digesters.items()}
