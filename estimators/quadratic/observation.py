"""Observed modes of T, E and B: lensed signal, beam and noise, and which are used."""

import dataclasses
import functools
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.foregrounds import Foregrounds
from lensing_tfds.config_fields.one_over_f import OneOverF, noise_power
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import foreground_spectra, instrument, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.spectra import PowerSpectra


@dataclasses.dataclass(frozen=True, eq=False)
class Observation:
    """Maps of a patch, as observed: the lensed sky, times the beam, plus noise.

    An observed mode is a_l = b_l ã_l + n_l, with ⟨|a_l|²⟩ = (b_l² C̃_l + N_l) / area. Modes on the
    Nyquist lines of an even grid are never used: E and B are not defined there.

    Attributes:
      sky: the patch.
      spectra: of the sky: the lensed ones, and those of lensed gradients.
      beam_arcmin: full width at half maximum of the Gaussian beam, arcmin; 0 is none.
      noise_uK_arcmin: depth of the white noise of T, µK·arcmin; that of E and B is √2 times it.
      lmin: modes below it are not used, nor those below l = 2.
      lmax: modes above it are not used. None: every mode of the square grid.
      wrapped: use pairs of modes too whose sum is L only modulo the grid's sampling. A sky that was
        lensed on the grid itself has lensing's signal there as well, because what lensing moves
        across the Nyquist frequency comes back aliased; a real sky does not.
      one_over_f: noise that grows towards large scales. None: it is white.
      foregrounds: of T, which count as noise that has passed the beam. None: there are none.
      r: tensor-to-scalar ratio, of skies of several ratios the mean: what the tensors add to T, E
        and B, here as it is before lensing, is in `signal`.

    Raises:
      LensingError: a value is impossible, or no mode is left.
    """

    sky: FlatSky
    spectra: PowerSpectra
    beam_arcmin: float = 0.0
    noise_uK_arcmin: float = 0.0
    lmin: float = 2.0
    lmax: float | None = None
    wrapped: bool = False
    one_over_f: OneOverF | None = None
    foregrounds: Foregrounds | None = None
    r: float = 0.0

    def __post_init__(self) -> None:
        for name in ("beam_arcmin", "noise_uK_arcmin", "lmin"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise LensingError(f"{name} is {value}: must be a finite number of at least 0")
        if self.lmax is not None and not self.lmax > self.lmin:
            raise LensingError(f"lmax is {self.lmax}: must be above lmin, {self.lmin:g}")
        if not self.used.any():
            upper = self.sky.nyquist if self.lmax is None else self.lmax
            raise LensingError(
                f"no mode of the patch lies in {self.lmin:g} <= l <= {upper:g}: its multipoles "
                f"are {self.sky.fundamental:.0f} to {self.sky.nyquist:.0f} along an axis"
            )

    @classmethod
    def of(
        cls,
        config: LensingConfig,
        spectra: PowerSpectra,
        lmax: float | None = None,
        **fields: Any,
    ) -> Self:
        """Returns what a config's lensed maps hold, in their ordinary modes: those up to T_lmax.

        Args:
          config: the patch, the beam and the noise.
          spectra: of its cosmology.
          lmax: modes above it are not used either.
          **fields: the other fields of the class.
        """
        limits = [limit for limit in (lmax, config.T_lmax) if limit is not None]
        return cls(
            config.sky,
            spectra,
            config.beam_arcmin,
            config.noise_uK_arcmin,
            lmax=min(limits, default=None),
            one_over_f=config.one_over_f,
            foregrounds=config.foregrounds,
            r=0.0 if config.tensors is None else config.tensors.mean_ratio,
            **fields,
        )

    @functools.cached_property
    def used(self) -> NDArray[np.bool_]:
        """Mask of the half plane's modes that are used, shape (npix, npix // 2 + 1)."""
        ell = self.sky.ell
        lmax = self.spectra.lmax if self.lmax is None else min(self.lmax, self.spectra.lmax)
        return (ell >= max(self.lmin, 2.0)) & (ell <= lmax) & self.sky.inner

    @functools.cached_property
    def beam(self) -> NDArray[np.float64]:
        """b_l of the modes that are used, else zero: shape (npix, npix // 2 + 1)."""
        return np.where(self.used, instrument.beam(self.sky.ell, self.beam_arcmin), 0.0)

    def signal(self, x: str, y: str) -> NDArray[np.float64]:
        """Returns the lensed spectrum C̃_l^xy of the sky, of the modes used, µK².

        Args:
          x: "T", "E" or "B".
          y: likewise. Parity makes TB and EB zero.
        """
        power, tensors = self._spectrum("lensed", x, y), self.spectra.tensors
        if self.r > 0 and tensors is not None:
            pair = "".join(sorted(x + y, key="TEB".index))
            if pair not in ("TB", "EB"):
                added = spectra.at_multipoles(getattr(tensors, pair), self.sky.ell)
                power = power + self.r * np.where(self.used, added, 0.0)
        return power

    def gradient(self, x: str, y: str) -> NDArray[np.float64]:
        """Returns the spectrum of the lensed x with the lensed gradient of y, of the modes used.

        Args:
          x: "T" or "E".
          y: likewise.
        """
        return self._spectrum("gradient", x, y)

    def of_sky(self, x: str, y: str) -> NDArray[np.float64]:
        """Returns `signal(x, y)`, of T with foregrounds, of the modes used, µK²."""
        power = self.signal(x, y)
        if x == y == "T" and self.foregrounds is not None:
            added = foreground_spectra.total(self.foregrounds.amplitudes, self.sky.ell)
            power = power + np.where(self.used, added, 0.0)
        return power

    def total(self, x: str, y: str) -> NDArray[np.float64]:
        """Returns the observed spectrum, b_l² `of_sky` plus noise if x is y, of the modes used."""
        power = self.beam**2 * self.of_sky(x, y)
        if x == y:
            noise = noise_power(self.noise_uK_arcmin, self.one_over_f, x, self.sky.ell)
            power += np.where(self.used, noise, 0.0)
        return power

    def inverse(self, x: str) -> NDArray[np.float64]:
        """Returns 1 / `total(x, x)`, zero where a mode is not used or holds nothing."""
        total = self.total(x, x)
        return np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)

    def _spectrum(self, kind: str, x: str, y: str) -> NDArray[np.float64]:
        name = "".join(sorted(x + y, key="TEB".index))
        if name in ("TB", "EB"):
            return np.zeros(self.sky.ell.shape)
        table = getattr(self.spectra, f"{kind}_{name}")
        return np.where(self.used, spectra.at_multipoles(table, self.sky.ell), 0.0)
