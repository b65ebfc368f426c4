"""The independent numbers in the modes of a real map: each mode once, its real and imaginary part.

A mode and its mirror image hold the same two numbers, and a mode that is its own mirror image, such
as the mean, only one: npix² in all, as many as there are pixels.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.flat_sky import FlatSky


@dataclasses.dataclass(frozen=True)
class RealModes:
    """The numbers of maps of a patch, real parts first, in the order of the half plane.

    Attributes:
      sky: the patch.
    """

    sky: FlatSky

    @functools.cached_property
    def _masks(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Modes of the half plane whose real, and whose imaginary part is an own number."""
        row, column = np.indices(self.sky.ell.shape)
        mirrored = (-row) % self.sky.npix  # the mirror image, in columns that hold both
        both = self.sky.mode_counts == 1
        return ~both | (row <= mirrored), ~both | (row < mirrored)

    def gather(self, half_plane: NDArray) -> NDArray:
        """Returns each number's value of its mode: (..., npix, npix // 2 + 1) -> (..., npix²)."""
        return np.concatenate([half_plane[..., mask] for mask in self._masks], axis=-1)

    def of(self, maps: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns the numbers of maps, each of variance C_l / area where the maps' spectrum is C_l.

        Parts of a mode with a mirror image, which share its variance, are multiplied by √2.

        Args:
          maps: (..., npix, npix).

        Returns:
          (..., npix²), whose sum of squares is the maps' mean square.
        """
        real, imaginary = self._masks
        modes = self.sky.to_modes(np.ascontiguousarray(maps, np.float64))
        parts = np.concatenate([modes.real[..., real], modes.imag[..., imaginary]], axis=-1)
        parts *= self.gather(np.where(real & ~imaginary, 1.0, math.sqrt(2)))
        return parts
