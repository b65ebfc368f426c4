"""Legs of quadratic estimates: filtered fields and their gradients, as maps that are made once.

The estimates of several pairs, and of later stages, take many of the same filtered fields: E times
the gradient spectrum for EE and EB, say. Estimators that are given `Legs` in a dict's place find
there what another one has made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import DTypeLike, NDArray

from estimators.quadratic.convolution import ProductGrid
from lensing_tfds.sky.flat_sky import FlatSky, as_pairs

Modes = NDArray[np.complexfloating]
Maps = NDArray[np.floating]

_BLOCK_PIXELS = 2**16  # of the fine grid: what is transformed together stays in the cache


class Factors:
    """Real factors of modes, in the precision that is asked for.

    Args:
      planes: half planes, (..., npix, npix // 2 + 1) float64.
    """

    def __init__(self, planes: NDArray[np.float64]):
        self._planes = planes
        self._made: dict[np.dtype, Maps] = {}

    def of(self, dtype: DTypeLike) -> Maps:
        """Returns the factors, each twice, for `flat_sky.as_pairs` of modes of this real dtype."""
        key = np.dtype(dtype)
        if key not in self._made:
            self._made[key] = np.repeat(self._planes.astype(key), 2, axis=-1)
        return self._made[key]

    def times(self, modes: Modes) -> Modes:
        """Returns the factors times modes, C-contiguous and complex, of the same dtype."""
        pairs = as_pairs(modes)
        return (pairs * self.of(pairs.dtype)).view(modes.dtype)


class Filter:
    """A real, even factor of the modes of a leg.

    Args:
      plane: half plane, float64.
      sky: the patch.

    Attributes:
      content: of two filters the same if they are equal.
      value: the filter, (1, npix, npix // 2 + 1).
      slope: the filter times l_y and l_x, (2, npix, npix // 2 + 1).
    """

    def __init__(self, plane: NDArray[np.float64], sky: FlatSky):
        self.content = hashlib.sha256(np.ascontiguousarray(plane).data).digest()
        self.value = Factors(plane[None])
        self.slope = Factors(np.stack([sky.ly * plane, sky.lx * plane]))


class Legs(Mapping[str, Modes]):
    """Fields of a few examples, with the maps that were made of them.

    Args:
      fields: names to half planes, (n, npix, npix // 2 + 1).
    """

    def __init__(self, fields: Mapping[str, Modes]):
        self._fields = {name: np.ascontiguousarray(modes) for name, modes in fields.items()}
        self._made: dict[str, dict[object, NDArray]] = {name: {} for name in fields}

    def __getitem__(self, name: str) -> Modes:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def replaced(self, fields: Mapping[str, Modes]) -> Legs:
        """Returns legs with other fields in the place of some, and the maps of the rest."""
        legs = Legs({**self, **fields})
        legs._made |= {name: made for name, made in self._made.items() if name not in fields}
        return legs

    def value(self, name: str, by: Filter, grid: ProductGrid) -> Maps:
        """Returns maps of a filtered field, (n, npix, npix) of the grid."""
        return self._maps(name, ("value", by.content, grid.npix), by.value, grid)[0]

    def slope(self, name: str, by: Filter, grid: ProductGrid) -> Maps:
        """Returns maps of a filtered field's derivatives along y and x, (2, n, npix, npix)."""
        return self._maps(name, ("slope", by.content, grid.npix), by.slope, grid)

    def _maps(self, name: str, key: tuple, factors: Factors, grid: ProductGrid) -> Maps:
        made = self._made[name]
        if key not in made:
            modes = self._turned(name) if key[0] == "slope" else self[name]
            made[key] = grid.filtered_maps(modes, factors.of(modes.real.dtype))
        return made[key]

    def _turned(self, name: str) -> Modes:
        """The field times i, which makes the factor of a derivative real."""
        made = self._made[name]
        if "turned" not in made:
            made["turned"] = 1j * self[name]
        return made["turned"]


def as_legs(fields: Mapping[str, Modes]) -> Legs:
    """Returns the fields if they are legs already, else legs of them without any maps."""
    return fields if isinstance(fields, Legs) else Legs(fields)


def block_size(grid: ProductGrid) -> int:
    """Returns how many examples are best estimated together."""
    return max(1, _BLOCK_PIXELS // grid.npix**2)


def blocks(fields: Mapping[str, Modes], grid: ProductGrid) -> Iterator[tuple[slice, Legs]]:
    """Yields a few examples after the other, `block_size` of them.

    Args:
      fields: of all examples.
      grid: that products are taken on.
    """
    step = block_size(grid)
    for start in range(0, len(next(iter(fields.values()))), step):
        part = slice(start, start + step)
        yield part, Legs({name: modes[part] for name, modes in fields.items()})
