"""(config, split, indices) -> a batch of examples.

An example is a pure function of the config's physics and seed, the dataset's version, the split
and the index. Its random numbers have the address (seed, dataset version, split), (index, field),
never the name, the size of the split or the physics: enlarging a split keeps its examples, and two
configs on the same grid share a sky. The transforms run in blocks of one fixed size on one thread,
the last one padded, so that an example's bits do not depend on the examples beside it.
"""

import dataclasses
import functools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds import instrument, spectra
from lensing_tfds.configs import DATASET_VERSION, SPLITS, LensingConfig, LensingError, get_config
from lensing_tfds.gaussian_fields import GaussianField
from lensing_tfds.lensing import Lens

Examples = dict[str, NDArray[Any]]
"""`lensed`, `unlensed` (µK), `kappa`: float32 of shape (batch, npix, npix, 1); `index`: int64."""

# Fields of one example; the values are part of the data's definition.
TEMPERATURE, KAPPA, NOISE = 0, 1, 2

_SHARED_STREAM = len(SPLITS)  # the unlensed map of `fixed_unlensed` belongs to no split

_SIMD_LINES = 16
_LARGE = 90  # npix from which 16 fields on `nufft`'s fine grid overflow a core's cache of 1 MiB


def block_size(npix: int) -> int:
    """Returns how many examples are transformed together: 16 small ones, or 1.

    An FFT library transforms lines of a block side by side in SIMD registers, and what is left
    over by other code, whose rounding differs. With whole registers, or one example at a time,
    an example's bits do not depend on its place in a block.
    """
    return _SIMD_LINES if npix < _LARGE else 1


@dataclasses.dataclass(frozen=True)
class _Scratch:
    """What the blocks of one call write over and over; the memory of one thread.

    Attributes:
      normals: room for the random numbers, then the modes, of κ and T: float32 of shape
        (2, block, numbers).
      lens: lenses a block.
    """

    normals: NDArray[np.float32]
    lens: Lens


class Simulator:
    """Simulates the examples of one split of a config, block by block.

    Args:
      config: the version.
      split: `train`, `validation` or `test`.

    Raises:
      LensingError: no such split.
    """

    def __init__(self, config: LensingConfig, split: str):
        if split not in SPLITS:
            raise LensingError(f"unknown split {split!r}; the splits are {', '.join(SPLITS)}")
        from lensing_tfds.random_numbers import NormalStream  # numba is slow to import

        self.config = config
        self.sky = config.sky
        self.block_size = block_size(config.npix)
        table = spectra.fiducial()
        power = spectra.at_multipoles(table.TT, self.sky.ell, config.T_lmax)
        self._temperature = GaussianField(power / self.sky.area)
        power = spectra.at_multipoles(table.kappa, self.sky.ell, config.kappa_lmax)
        self._kappa = GaussianField(config.kappa_exaggeration_factor**2 * power / self.sky.area)
        version = tuple(int(part) for part in DATASET_VERSION.split("."))
        self._stream = NormalStream((config.seed, *version, SPLITS.index(split)))
        self._shared_stream = NormalStream((config.seed, *version, _SHARED_STREAM))

    def examples(self, indices: Sequence[int] | range) -> Iterator[Examples]:
        """Simulates examples in blocks of at most `block_size`.

        Args:
          indices: any non-negative integers below 2^63, in any order.

        Yields:
          Blocks of examples, in the order asked for.
        """
        scratch = _Scratch(
            normals=np.empty((2, self.block_size, self._kappa.size), np.float32),
            lens=Lens(self.sky, self.block_size),
        )
        for start in range(0, len(indices), self.block_size):
            block = indices[start : start + self.block_size]
            padding = [block[-1]] * (self.block_size - len(block))
            examples = self._block([*block, *padding], scratch)
            yield {name: values[: len(block)] for name, values in examples.items()}

    def _block(self, indices: Sequence[int], scratch: _Scratch) -> Examples:
        # One allocation, which the next block gets again, if this one is dropped: fresh memory
        # takes as long to come by as a Fourier transform.
        maps = np.empty((3, len(indices), self.sky.npix, self.sky.npix), np.float32)
        lensed, unlensed, kappa_map = maps

        self._stream.fill(indices, KAPPA, scratch.normals[0])
        kappa = self._kappa.modes(scratch.normals[0])
        if self.config.fixed_unlensed:
            temperature = self._fixed_temperature
        else:
            self._stream.fill(indices, TEMPERATURE, scratch.normals[1])
            temperature = self._temperature.modes(scratch.normals[1])
        self.sky.to_map(kappa, out=kappa_map)
        self.sky.to_map(temperature, out=unlensed)
        scratch.lens.remap(temperature, kappa, out=lensed)
        if self.config.noise_uK_arcmin > 0:
            pixels = scratch.normals.ravel()[: lensed.size].reshape(len(indices), -1)
            self._stream.fill(indices, NOISE, pixels)
            normals = pixels.reshape(-1, *lensed.shape[1:])
            instrument.add_white_noise(lensed, normals, self.config.noise_uK_arcmin, self.sky)
        return {
            "lensed": lensed[..., None],
            "unlensed": unlensed[..., None],
            "kappa": kappa_map[..., None],
            "index": np.array(indices, np.int64),
        }

    @functools.cached_property
    def _fixed_temperature(self) -> NDArray[np.complex64]:
        """The modes of the one unlensed map, for every example of a block."""
        normals = np.empty((1, self._temperature.size), np.float32)
        self._shared_stream.fill([0], TEMPERATURE, normals)
        return np.repeat(self._temperature.modes(normals), self.block_size, axis=0)


def simulate(
    config: str | Mapping[str, Any] | LensingConfig, split: str, indices: Iterable[int]
) -> Examples:
    """Simulates examples as NumPy arrays: those that the built dataset holds, bit for bit.

    Needs neither TensorFlow nor TFDS nor Beam. All examples asked for are held in memory; for
    very many, call it for one range of indices after the other.

    Args:
      config: a version's name, a JSON mapping, or a `LensingConfig`.
      split: `train`, `validation` or `test`.
      indices: which examples: non-negative integers, in any order. `num_examples` does not limit
        them: it says how many a built dataset holds.

    Returns:
      `lensed` and `unlensed` (µK) and `kappa` (dimensionless), float32 of shape
      (len(indices), npix, npix, 1), and `index`, int64 of shape (len(indices),).

    Raises:
      LensingError: unknown version or split, an impossible config, or a bad index.
    """
    simulator = Simulator(get_config(config), split)
    try:
        chosen = [operator.index(index) for index in indices]
    except TypeError as error:
        raise LensingError(f"simulate: indices must be integers: {error}") from error
    if not chosen:
        raise LensingError("simulate: no indices given")
    if min(chosen) < 0 or max(chosen) >= 2**63:
        worst = min(chosen) if min(chosen) < 0 else max(chosen)
        raise LensingError(f"simulate: indices must be from 0 to 2^63 - 1, one is {worst}")
    blocks = list(simulator.examples(chosen))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
