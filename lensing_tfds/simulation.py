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
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.foregrounds import FOREGROUNDS
from lensing_tfds.config_fields.tensors import RATIO
from lensing_tfds.configs import DATASET_VERSION, SPLITS, LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.field_numbers import E_MODE, KAPPA, TEMPERATURE
from lensing_tfds.field_numbers import FOREGROUNDS as FOREGROUND_FIELDS
from lensing_tfds.kappa_fields import KappaField, KappaMaps
from lensing_tfds.modulation import Modulation
from lensing_tfds.records.stored_config import meant_config
from lensing_tfds.sky import instrument
from lensing_tfds.sky.flat_sky import as_pairs, pairs_of
from lensing_tfds.sky.foregrounds import Foregrounds
from lensing_tfds.sky.lensing import Lens
from lensing_tfds.sky.spectra import PowerSpectra
from lensing_tfds.telescope import Telescope
from lensing_tfds.tensor_fields import TensorFields
from lensing_tfds.unlensed_fields import UnlensedFields

Examples = dict[str, NDArray[Any]]
"""`lensed`, `unlensed` (µK): float32 of shape (batch, npix, npix, channels); `kappa`, and
`unlensed_E` and `foregrounds` (µK) if the config has them: float32 of shape (batch, npix, npix, 1);
`index`: int64."""

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
    """Arrays that the blocks of one call write over and over; the memory of one thread.

    Attributes:
      normals: room for the random numbers, then the modes, of κ and of the unlensed fields: float32
        of shape (fields, block, numbers).
      polarization: room for the modes of Q and U: complex64 of shape (2, block, internal npix,
        internal npix // 2 + 1); of no size where there are none.
      lensed: the lensed maps on internal pixels: float32 of shape (channels, block, internal npix,
        internal npix); of no size where they are not needed.
      lens: lenses a block.
    """

    normals: NDArray[np.float32]
    polarization: NDArray[np.complex64]
    lensed: NDArray[np.float32]
    lens: Lens


class _Noiseless(NamedTuple):
    """The maps of a block, each (fields, block, npix, npix) float32, before the telescope's noise.

    Attributes:
      lensed: a field for each channel, µK.
      unlensed: the same; none where it is not wanted.
      labels: κ, and unlensed E if the config has it and it is wanted.
      foregrounds: their sum, which T of the lensed maps holds, µK; none if the config has none.
      modulating: the modulating fields, if they are wanted.
    """

    lensed: NDArray[np.float32]
    unlensed: NDArray[np.float32]
    labels: NDArray[np.float32]
    foregrounds: NDArray[np.float32]
    modulating: NDArray[np.float32]


class Simulator:
    """Simulates the examples of one split of a config, block by block.

    Args:
      config: the version.
      split: `train`, `validation` or `test`.
      table: the spectra to draw from; None is what `cosmology.spectra_of` says.
      kappa_shift: an example's κ is that of the index so much further on. Two simulators that
        differ in it alone give skies that share all but κ; with their
        indices shifted by as much the other way, nothing but κ.

    Raises:
      LensingError: no such split, no spectra for the config's cosmology, or they deflect further
        than single precision resolves.
    """

    def __init__(
        self,
        config: LensingConfig,
        split: str,
        table: PowerSpectra | None = None,
        kappa_shift: int = 0,
    ):
        if split not in SPLITS:
            raise LensingError(f"unknown split {split!r}; the splits are {', '.join(SPLITS)}")
        from lensing_tfds.sky.random_numbers import NormalStream  # numba is slow to import

        self.config = config
        self._kappa_shift = kappa_shift
        self.internal = config.internal
        self.block_size = block_size(self.internal.npix)
        table = table or spectra_of(config)
        config.check_deflection(table)
        self._kappa = KappaField(config, table)
        self._own_kappa = None if config.kappa_files is None else KappaMaps(config, split)
        self._fields = UnlensedFields(config, table, self._kappa)
        self._foregrounds = None
        if config.foregrounds is not None:
            self._foregrounds = Foregrounds(
                config.foregrounds.amplitudes,
                self._kappa.power,
                self._kappa.seed_power,
                self._kappa.scale,
                self.internal,
            )
        self._tensors = None if config.tensors is None else TensorFields(config, table)
        version = tuple(int(part) for part in DATASET_VERSION.split("."))
        self._stream = NormalStream((config.seed, *version, SPLITS.index(split)))
        self._shared_stream = NormalStream((config.seed, *version, _SHARED_STREAM))
        self._beam = pairs_of(instrument.beam(config.box.ell, config.beam_arcmin))
        self._modulation = Modulation(config)
        self._telescope = Telescope(config, self._stream)

    def examples(self, indices: Sequence[int] | range) -> Iterator[Examples]:
        """Simulates examples in blocks of at most `block_size`.

        Args:
          indices: any non-negative integers below 2^63, in any order.

        Yields:
          Blocks of examples, in the order asked for.
        """
        scratch = self._scratch()
        for chosen, padded in self._blocks(indices):
            examples = self._block(padded, scratch)
            yield {name: values[: len(chosen)] for name, values in examples.items()}

    def looks(
        self, indices: Sequence[int] | range, number: int
    ) -> Iterator[tuple[list[NDArray[np.float32]], NDArray[np.float32]]]:
        """Simulates skies, and each as a telescope would see it again and again: with new noise.

        A sky's first look is its example, bit for bit.

        Args:
          indices: as of `examples`.
          number: of looks at each sky.

        Yields:
          Blocks of at most `block_size` skies: each look's `lensed` (µK), float32 of shape (batch,
          npix, npix, channels), and `kappa`, float32 of shape (batch, npix, npix, 1).
        """
        scratch = self._scratch()
        for chosen, padded in self._blocks(indices):
            maps = self._noiseless(padded, scratch, unlensed=False)
            looks = []
            for look in range(number):
                lensed = maps.lensed if look == number - 1 else maps.lensed.copy()
                self._telescope.observe(padded, lensed, scratch.normals, look)
                looks.append(_channels_last(lensed)[: len(chosen)])
            yield looks, _channels_last(maps.labels[:1])[: len(chosen)]

    def _blocks(
        self, indices: Sequence[int] | range
    ) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
        """Cuts indices into blocks; yields each, and padded to its full size."""
        for start in range(0, len(indices), self.block_size):
            chosen = indices[start : start + self.block_size]
            yield chosen, [*chosen, *[chosen[-1]] * (self.block_size - len(chosen))]

    def _scratch(self) -> _Scratch:
        npix, block, channels = self.internal.npix, self.block_size, len(self.config.channels)
        polarized = self._fields.polarized
        return _Scratch(
            normals=np.empty((2 + polarized, block, self._fields.size), np.float32),
            polarization=np.empty((2 * polarized, block, npix, npix // 2 + 1), np.complex64),
            lensed=np.empty((channels * (not self._as_lensed), block, npix, npix), np.float32),
            lens=Lens(self.internal, block, channels),
        )

    @property
    def _as_lensed(self) -> bool:
        """Says whether the lensed map is observed as it is: no beam, other pixels or larger box."""
        config = self.config
        return config.oversampling == 1 and config.beam_arcmin == 0 and config.padding == 1

    def _block(self, indices: Sequence[int], scratch: _Scratch) -> Examples:
        maps = self._noiseless(indices, scratch)
        # The κ and T that stood in the scratch have served.
        observed = self._telescope.observe(indices, maps.lensed, scratch.normals)
        examples = {
            "lensed": _channels_last(maps.lensed),
            "unlensed": _channels_last(maps.unlensed),
            "kappa": _channels_last(maps.labels[:1]),
        }
        if self.config.unlensed_E:
            examples["unlensed_E"] = _channels_last(maps.labels[1:])
        if self._foregrounds is not None:
            examples[FOREGROUNDS] = _channels_last(maps.foregrounds)
        for name, modulating in zip(self._modulation.features, maps.modulating, strict=True):
            examples[name] = modulating[..., None]
        if self._tensors is not None:
            examples[RATIO] = self._tensors.ratios(self._stream, indices)
        return examples | observed | {"index": np.array(indices, np.int64)}

    def _noiseless(
        self, indices: Sequence[int], scratch: _Scratch, unlensed: bool = True
    ) -> _Noiseless:
        """Simulates a block as a telescope without noise would see it.

        Args:
          indices: of its examples.
          scratch: overwritten.
          unlensed: whether its unlensed maps, of T, Q and U as of E, are wanted.
        """
        config, channels = self.config, self.config.channels
        # One allocation, which the next block gets again, if this one is dropped: fresh memory
        # takes as long to come by as a Fourier transform.
        counts = (
            *(len(channels), len(channels) * unlensed, 1 + (config.unlensed_E and unlensed)),
            *(int(self._foregrounds is not None), len(self._modulation.features) * unlensed),
        )
        maps = np.empty((sum(counts), len(indices), config.npix, config.npix), np.float32)
        found = _Noiseless(*np.split(maps, np.cumsum(counts)[:-1]))

        seed, fields = self._draw(indices, scratch)
        kappa = self._kappa.kappa(seed)
        self._to_patch(kappa, found.labels[0])
        if len(found.labels) > 1:
            self._to_patch(fields["E"], found.labels[1], self._beam)
        observed = [fields[channel] for channel in channels]
        for modes, out in zip(observed, found.unlensed, strict=False):
            self._to_patch(modes, out, self._beam)
        if self._modulation.features:
            drawn = self._modulation.draw(self._stream, indices)
            for modes, out in zip(drawn.values(), found.modulating, strict=unlensed):
                self._to_patch(modes, out)
            sky = dict(zip(channels, observed, strict=True))
            observed = list(self._modulation.apply(sky, drawn).values())
        internal_maps = found.lensed if self._as_lensed else scratch.lensed
        scratch.lens.remap(observed, kappa, internal_maps)
        if not self._as_lensed:
            columns = config.box.npix // 2 + 1
            for internal_map, out in zip(internal_maps, found.lensed, strict=True):
                self._to_patch(self.internal.to_modes(internal_map, columns), out, self._beam)
        if self._foregrounds is not None:
            modes = self._foregrounds.modes(self._fill_foreground(indices), seed)
            self._to_patch(modes, found.foregrounds[0], self._beam)
            found.lensed[channels.index("T")] += found.foregrounds[0]
        return found

    def _fill_foreground(
        self, indices: Sequence[int]
    ) -> Callable[[str, NDArray[np.float32]], None]:
        """Gives the random numbers of a component of the foregrounds."""
        return lambda name, numbers: self._stream.fill(indices, FOREGROUND_FIELDS[name], numbers)

    def _draw(
        self, indices: Sequence[int], scratch: _Scratch
    ) -> tuple[NDArray[np.complex64], dict[str, NDArray[np.complex64]]]:
        """Draws the seed of κ, and whichever of T, E, Q and U the config has."""
        of_kappa = [index + self._kappa_shift for index in indices]
        if self._own_kappa is not None:
            seed = self._own_kappa.modes(of_kappa)
        else:
            self._stream.fill(of_kappa, KAPPA, scratch.normals[0])
            seed = self._kappa.seed(scratch.normals[0])
        if self.config.fixed_unlensed:
            return seed, self._fixed_unlensed
        for row, field in enumerate((TEMPERATURE, E_MODE)[: len(scratch.normals) - 1], start=1):
            self._stream.fill(indices, field, scratch.normals[row])
        tensors = None if self._tensors is None else self._tensors.draw(self._stream, indices)
        numbers, room = scratch.normals[1:], scratch.polarization
        return seed, self._fields.unlensed(numbers, room, seed, tensors)

    def _to_patch(
        self,
        modes: NDArray[np.complex64],
        out: NDArray[np.float32],
        beam: NDArray[np.float32] | None = None,
    ) -> None:
        """Takes fields on the internal grid to the patch's pixels.

        Args:
          modes: half planes on the internal grid, or those of their columns that the box has; not
            changed.
          out: the maps, shape (block, npix, npix).
          beam: pairs of the box's half plane, if the field is smoothed.
        """
        config, box = self.config, self.config.box
        if config.beam_arcmin == 0:
            beam = None
        if config.oversampling > 1:
            modes = instrument.truncate(modes, box.npix, beam)
        elif beam is not None:
            modes = (as_pairs(modes) * beam).view(np.complex64)
        if box.npix == config.npix:
            box.to_map(modes, out=out)
        else:
            first = (box.npix - config.npix) // 2
            middle = slice(first, first + config.npix)
            out[...] = box.to_map(modes)[:, middle, middle]

    @functools.cached_property
    def _fixed_unlensed(self) -> dict[str, NDArray[np.complex64]]:
        """The modes of the one unlensed sky, for every example of a block."""
        fields = self._fields
        normals = np.empty((1 + fields.polarized, 1, fields.size), np.float32)
        for row, field in enumerate((TEMPERATURE, E_MODE)[: len(normals)]):
            self._shared_stream.fill([0], field, normals[row])
        polarization = np.empty((2 * fields.polarized, 1, *self.internal.ell.shape), np.complex64)
        unlensed = fields.unlensed(normals, polarization)
        return {name: np.repeat(modes, self.block_size, axis=0) for name, modes in unlensed.items()}


def _channels_last(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """(channels, batch, npix, npix) -> (batch, npix, npix, channels)."""
    return maps[0][..., None] if len(maps) == 1 else np.stack(list(maps), axis=-1)


def simulate(
    config: str | Mapping[str, Any] | LensingConfig,
    split: str,
    indices: Iterable[int],
    data_dir: str | os.PathLike[str] | None = None,
) -> Examples:
    """Simulates examples as NumPy arrays: those that the built dataset holds, bit for bit.

    Needs neither TensorFlow nor TFDS nor Beam. All examples asked for are held in memory; for
    very many, call it for one range of indices after the other.

    Args:
      config: a version's name, as "v8" or "lensing/v8"; a JSON mapping; a `LensingConfig`; or the
        name of a dataset that was built of a config of your own, as "wide" or "lensing/wide".
      split: `train`, `validation` or `test`.
      indices: which examples: non-negative integers, in any order. `num_examples` does not limit
        them: it says how many a built dataset holds.
      data_dir: where such a dataset was built, the folder that holds the folder `lensing`. Default:
        TFDS's own.

    Returns:
      `lensed` and `unlensed` (µK), float32 of shape (len(indices), npix, npix, channels), with a
      channel for each letter of the config's `stokes`; `kappa` (dimensionless) and, if the config
      has them, `unlensed_E` and `foregrounds` (µK), float32 of shape (len(indices), npix, npix, 1);
      and `index`, int64 of shape (len(indices),).

    Raises:
      LensingError: unknown version, dataset or split, an impossible config, or a bad index.
    """
    meant, folder = meant_config(config, data_dir)
    table = None if folder is None else spectra_of(meant, folder)
    simulator = Simulator(meant, split, table)
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
