"""Sets of skies whose spectra are measured: observed ones, simulations, and with other C_L^κκ.

Simulations are of the validation split, from an index on that no dataset, no training and no
calibration reaches. Sets with another amplitude of C_L^κκ share all random numbers with the
fiducial simulations, so that differences between them have next to no noise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky.spectra import PowerSpectra

FIRST_SIMULATION = 2**40
FIRST_OF_RDN0 = 2**41
SIMULATED = "validation"

_PIXELS = 2**20  # of the maps that are in memory together

Maps = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class SkySet:
    """Skies of one kind.

    Attributes:
      name: of its files.
      split: of the dataset's indices.
      first: index of the first sky.
      amplitude: what C_L^κκ is times.
      pairs: whether N0 and N1 are measured on it, by skies two by two.
    """

    name: str
    split: str
    first: int
    amplitude: float = 1.0
    pairs: bool = False


def observed(split: str) -> SkySet:
    """Returns the skies of a split, as the dataset has them."""
    return SkySet(f"data-{split}", split, 0)


FIDUCIAL = SkySet("fiducial", SIMULATED, FIRST_SIMULATION, pairs=True)
LOW = SkySet("low", SIMULATED, FIRST_SIMULATION, 0.8)
HIGH = SkySet("high", SIMULATED, FIRST_SIMULATION, 1.2)


def refuse_own_kappa(config: LensingConfig) -> None:
    """Refuses skies of κ maps from files: nobody can simulate more, nor with another C_L^κκ.

    Raises:
      LensingError: the config's are.
    """
    if config.kappa_files is not None:
        raise LensingError(
            f"κ of lensing/{config.name} is from files (kappa_files), and band powers need "
            "simulations of other κ, and of another spectrum: choose a config that draws κ"
        )


def scaled(table: PowerSpectra, amplitude: float) -> PowerSpectra:
    """Returns the spectra of a cosmology with C_L^κκ times an amplitude.

    The lensed spectra, which only weights are made of, stay as they are.
    """
    return dataclasses.replace(table, kappa=amplitude * table.kappa)


class Skies(NamedTuple):
    """Simulated skies.

    Attributes:
      maps: observed ones, µK, (n, npix, npix, channels).
      kappa: (n, npix, npix).
      masks: (n, npix, npix, 1), of each; None of a config without a mask.
    """

    maps: Maps
    kappa: Maps
    masks: Maps | None

    def first(self, number: int) -> Skies:
        """Returns the first so many."""
        masks = None if self.masks is None else self.masks[:number]
        return Skies(self.maps[:number], self.kappa[:number], masks)


class SkyMaker:
    """Simulates the skies of a set.

    Args:
      config: the version.
      table: the spectra of its cosmology.
      skies: the set.
    """

    def __init__(self, config: LensingConfig, table: PowerSpectra, skies: SkySet):
        self._first = skies.first
        table = scaled(table, skies.amplitude)
        self._simulator = Simulator(config, skies.split, table)
        # Its sky i has the CMB and the noise of the set's sky i + 1, and the κ of its sky i.
        self._partners = Simulator(config, skies.split, table, kappa_shift=-1)

    @property
    def together(self) -> int:
        """Number of skies that are best simulated together."""
        return max(self._simulator.block_size, _PIXELS // self._simulator.config.npix**2)

    def skies(self, start: int, stop: int) -> Skies:
        """Simulates skies of the set, counted from its first one."""
        return _joined(self._simulator, range(self._first + start, self._first + stop))

    def partners(self, start: int, stop: int) -> Maps:
        """Simulates skies with the κ of others of the set, and the CMB and noise of the next ones.

        Args:
          start: the first one whose κ is wanted.
          stop: one past the last.

        Returns:
          Observed maps, µK, (n, npix, npix, channels).
        """
        indices = range(self._first + start + 1, self._first + stop + 1)
        return _joined(self._partners, indices).maps


def of_rdn0(config: LensingConfig, table: PowerSpectra, number: int) -> Iterator[Maps]:
    """Yields the simulated skies that each sky is paired with for its own N0, one by one.

    Args:
      config: the version.
      table: the spectra of its cosmology.
      number: how many.

    Yields:
      Observed maps, µK, (npix, npix, channels).
    """
    simulator = Simulator(config, SIMULATED, table)
    for block in simulator.examples(range(FIRST_OF_RDN0, FIRST_OF_RDN0 + number)):
        yield from block[LENSED]


def _joined(simulator: Simulator, indices: range) -> Skies:
    blocks = list(simulator.examples(indices))
    found = {
        name: np.concatenate([block[name] for block in blocks])
        for name in (LENSED, KAPPA, MASK)
        if name in blocks[0]
    }
    return Skies(found[LENSED], found[KAPPA][..., 0], found.get(MASK))
