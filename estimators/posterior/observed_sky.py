"""Lensed and observed skies as a linear function of the unlensed fields, and its adjoint."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import instrument
from lensing_tfds.sky.lensing import Deflection, remap, remap_adjoint
from lensing_tfds.sky.nufft import RealNufft

Modes = NDArray[np.complexfloating]
Maps = NDArray[np.floating]


class ObservedSky:
    """The simulator's steps from unlensed fields to maps without noise; holds scratch memory.

    Args:
      config: a version with periodic patches.
      dtype: float32, or float64, which takes twenty times as long.
    """

    def __init__(self, config: LensingConfig, dtype: DTypeLike = np.float32):
        self.internal, self.sky = config.internal, config.sky
        self._cut = config.oversampling > 1
        beam = instrument.beam(self.sky.ell, config.beam_arcmin)
        self._beam = np.repeat(beam, 2, axis=-1).astype(dtype)  # as of `flat_sky.as_pairs`
        self._real = np.dtype(dtype)
        self._nufft = RealNufft(self.internal.npix, 1, len(config.channels))

    def observe(self, stokes: Modes, deflection: Deflection) -> Modes:
        """Lenses fields and observes them.

        Args:
          stokes: unlensed, half planes on the internal grid, (channels, n, n // 2 + 1).
          deflection: ∇φ, two arrays of shape (n, n), radians.

        Returns:
          Half planes of the maps, (channels, npix, npix // 2 + 1).
        """
        lensed = self.internal.to_modes(self.remap(stokes, deflection))
        if self._cut:
            return instrument.truncate(lensed, self.sky.npix, self._beam)
        return self._smoothed(lensed)

    def to_lensed(self, modes: Modes) -> Maps:
        """Applies the adjoint of the beam and the cut: (channels, n, n), maps of the lensed sky."""
        if self._cut:
            fine = instrument.truncate_adjoint(modes, self.internal.npix, self._beam)
            return self.internal.to_map(fine)
        return self.internal.to_map(self._smoothed(modes))

    def observe_adjoint(self, modes: Modes, deflection: Deflection) -> Modes:
        """Applies the adjoint of `observe`, for the scalar products of half planes."""
        maps = self.to_lensed(modes)
        if self._real == np.float32:
            out = np.empty((len(maps), *self.internal.ell.shape), np.complex64)
            shifts = (deflection[0][None], deflection[1][None])
            pixel = self.internal.pixel
            self._nufft.from_displaced_pixels(maps[:, None], shifts, pixel, list(out[:, None]))
            return out
        return remap_adjoint(maps, self._repeated(deflection, len(maps)), self.internal)

    def remap(self, modes: Modes, deflection: Deflection) -> Maps:
        """Evaluates fields at the deflected positions, (channels, n, n)."""
        if self._real == np.float32:
            out = np.empty((len(modes), self.internal.npix, self.internal.npix), np.float32)
            shifts = (deflection[0][None], deflection[1][None])
            pixel = self.internal.pixel
            self._nufft.at_displaced_pixels(list(modes[:, None]), shifts, pixel, out[:, None])
            return out
        return remap(modes, self._repeated(deflection, len(modes)), self.internal)

    def _smoothed(self, modes: Modes) -> Modes:
        return modes * self._beam[:, ::2]

    def _repeated(self, deflection: Deflection, times: int) -> Deflection:
        d_y, d_x = (np.broadcast_to(d, (times, *d.shape)) for d in deflection)
        return d_y, d_x
