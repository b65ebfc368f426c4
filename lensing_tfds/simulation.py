"""(config, split, indices) -> a batch of examples.

An example is a pure function of the config's physics and seed, the dataset's version, the split
and the index. The transforms run in blocks of one fixed size on one thread, the last one padded, so
that the bits of an example do not depend on the examples beside it.
"""

import functools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds import gaussian_fields, instrument, lensing, spectra
from lensing_tfds.configs import DATASET_VERSION, SPLITS, LensingConfig, LensingError, get_config
from lensing_tfds.gaussian_fields import KAPPA, NOISE, TEMPERATURE, NormalStream

Examples = dict[str, NDArray[Any]]
"""`lensed`, `unlensed` (µK), `kappa`: float32 of shape (batch, npix, npix, 1); `index`: int64."""

_SHARED_STREAM = len(SPLITS)  # the unlensed map of `fixed_unlensed` belongs to no split

_BLOCK_PIXELS = 2**18  # a block's arrays stay near a core's cache, and Python's share is small
_SIMD_LINES = 16
_MAX_BLOCK = 64  # the last block is padded to its full size


def block_size(npix: int) -> int:
    """Returns how many examples are transformed together: 1, or a multiple of 16.

    An FFT library transforms lines of a block side by side in SIMD registers, and what is left
    over by other code, whose rounding differs. With whole registers, or one example at a time,
    an example's bits do not depend on its place in a block.
    """
    return min(_BLOCK_PIXELS // npix**2 // _SIMD_LINES * _SIMD_LINES, _MAX_BLOCK) or 1


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
        self.config = config
        self.sky = config.sky
        self.block_size = block_size(config.npix)
        table = spectra.fiducial()
        self._T_amplitude = self._amplitude(table.TT, config.T_lmax)
        self._kappa_amplitude = self._amplitude(table.kappa, config.kappa_lmax)
        self._kappa_amplitude *= np.float32(config.kappa_exaggeration_factor)
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
        for start in range(0, len(indices), self.block_size):
            block = indices[start : start + self.block_size]
            padding = [block[-1]] * (self.block_size - len(block))
            examples = self._block([*block, *padding])
            yield {name: values[: len(block)] for name, values in examples.items()}

    def _block(self, indices: Sequence[int]) -> Examples:
        kappa = self._modes(indices, KAPPA) * self._kappa_amplitude
        if self.config.fixed_unlensed:
            temperature = np.repeat(self._fixed_temperature, len(indices), axis=0)
        else:
            temperature = self._modes(indices, TEMPERATURE) * self._T_amplitude
        deflection = lensing.deflection_from_kappa(kappa, self.sky)
        lensed = lensing.remap(temperature, deflection, self.sky)
        if self.config.noise_uK_arcmin > 0:
            normals = self._normals(indices, NOISE, lensed[0].size).reshape(lensed.shape)
            instrument.add_white_noise(lensed, normals, self.config.noise_uK_arcmin, self.sky)
        return {
            "lensed": lensed[..., None],
            "unlensed": self.sky.to_map(temperature)[..., None],
            "kappa": self.sky.to_map(kappa)[..., None],
            "index": np.array(indices, np.int64),
        }

    @functools.cached_property
    def _fixed_temperature(self) -> NDArray[np.complex64]:
        normals = self._shared_stream.draw(0, TEMPERATURE, 2 * self.sky.ell.size)[None]
        return gaussian_fields.unit_modes(normals, self.sky.npix) * self._T_amplitude

    def _modes(self, indices: Sequence[int], field: int) -> NDArray[np.complex64]:
        normals = self._normals(indices, field, 2 * self.sky.ell.size)
        return gaussian_fields.unit_modes(normals, self.sky.npix)

    def _normals(self, indices: Sequence[int], field: int, size: int) -> NDArray[np.float32]:
        normals = np.empty((len(indices), size), np.float32)
        for row, index in zip(normals, indices, strict=True):
            row[...] = self._stream.draw(index, field, size)
        return normals

    def _amplitude(self, c_ell: NDArray[np.float64], lmax: int | None) -> NDArray[np.float32]:
        """Rms of the modes of the half plane: sqrt(C_l / area)."""
        power = spectra.at_multipoles(c_ell, self.sky.ell, lmax) / self.sky.area
        return np.sqrt(power).astype(np.float32)


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
