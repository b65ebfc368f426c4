"""Random numbers, or files -> the modes of κ, as a config has it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.own_kappa import load
from lensing_tfds.sky import lognormal_fields
from lensing_tfds.sky.gaussian_fields import GaussianField
from lensing_tfds.sky.spectra import PowerSpectra


class KappaField:
    """Makes κ on the internal grid.

    κ is made of a Gaussian field, its seed, with which other fields are correlated. A Gaussian κ
    is its own seed.

    Args:
      config: the version.
      table: the spectra.

    Attributes:
      power: ⟨|a_l|²⟩ of κ, half plane; of a lognormal κ before any cut by `kappa_lmax`.
      seed_power: the same of the seed.
      scale: of the lognormal field; infinite where κ is Gaussian.
      size: how many normal numbers make one seed.

    Raises:
      LensingError: no lognormal field has the skewness with the spectrum.
    """

    def __init__(self, config: LensingConfig, table: PowerSpectra):
        self._sky = config.internal
        self._cut: NDArray[np.bool_] | None = None
        self._lognormal = None
        if config.kappa is not None:
            self._lognormal = config.kappa.lognormal(config, table.kappa)
        self.power = kappa_power(config, table, self._sky.ell) / self._sky.area
        self.seed_power = self.power
        self.scale = np.inf
        if self._lognormal is not None:
            self.power, self.seed_power = self._lognormal.power, self._lognormal.gaussian
            self.scale = self._lognormal.scale
            if config.kappa_lmax is not None:
                self._cut = self._sky.ell > config.kappa_lmax
        self._seed = GaussianField(self.seed_power)
        self.size = self._seed.size

    def seed(self, normals: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Returns the seed's modes, in the memory of the numbers."""
        return self._seed.modes(normals)

    def kappa(self, seed: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Returns the modes of κ, which has no mean: the seed itself where κ is Gaussian."""
        if self._lognormal is None:
            return seed
        scale, variance = self._lognormal.scale, self._lognormal.variance
        maps = lognormal_fields.exponentiate(self._sky.to_map(seed), scale, variance)
        modes = self._sky.to_modes(maps)
        modes[:, 0, 0] = 0
        if self._cut is not None:
            modes[:, self._cut] = 0
        return np.asarray(modes, np.complex64)


class KappaMaps:
    """Gives the κ of a config's files, on the internal grid.

    Args:
      config: the version, with `kappa_files`.
      split: `train`, `validation` or `test`.

    Raises:
      LensingError: a file cannot be read, or is not the one that the config was made with.
    """

    def __init__(self, config: LensingConfig, split: str):
        assert config.kappa_files is not None
        self._sky = config.internal
        self._factor = np.float32(config.kappa_exaggeration_factor)
        self._cut = None if config.kappa_lmax is None else self._sky.ell > config.kappa_lmax
        files = config.kappa_files.of(split)
        self._files = [load(file, self._sky.npix) for file in files]
        self._ends = np.cumsum([len(maps) for maps in self._files])

    def modes(self, indices: Sequence[int]) -> NDArray[np.complex64]:
        """Returns the modes of the examples' maps, which have no mean: (batch, npix, ...)."""
        maps = np.empty((len(indices), self._sky.npix, self._sky.npix), np.float32)
        for row, index in enumerate(indices):
            number = index % int(self._ends[-1])
            file = int(np.searchsorted(self._ends, number, side="right"))
            within = number - int(self._ends[file])
            maps[row] = self._files[file][within]  # counted from the file's end
        maps *= self._factor
        modes = np.asarray(self._sky.to_modes(maps), np.complex64)
        modes[:, 0, 0] = 0
        if self._cut is not None:
            modes[:, self._cut] = 0
        return modes
