"""Prior knowledge of a sky: whitened unknowns -> κ and the unlensed T, Q and U."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.sky import polarization, spectra
from lensing_tfds.sky.spectra import PowerSpectra

Modes = NDArray[np.complexfloating]


class Prior:
    """The Gaussian fields that a config's skies are drawn from, on its internal grid.

    Unknowns are white: modes of unit power, of which κ and T are multiples, and E, given T, is the
    sum of two. The unlensed B is zero, and so are the modes of the grid's Nyquist lines, along
    which it carries no derivative.

    Args:
      config: the version.
      table: the spectra of its cosmology.
      dtype: of the real and imaginary parts.

    Attributes:
      sky: the internal grid.
      kappa_root: κ per unknown, half plane.
      roots: of the unlensed fields, (fields, unknowns, npix, npix // 2 + 1): T per unknown, E per
        unknown, or both, lower triangular.
      has_t: whether the first field is T.
      has_e: whether the last is E.
    """

    def __init__(self, config: LensingConfig, table: PowerSpectra, dtype: DTypeLike = np.float32):
        sky = self.sky = config.internal
        known = sky.inner & (sky.ell > 0)
        self.has_t, self.has_e = "T" in config.channels, "Q" in config.channels

        def power(c_ell: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.where(known, spectra.at_multipoles(c_ell, sky.ell, config.T_lmax), 0)

        kappa = np.where(known, kappa_power(config, table, sky.ell), 0)
        self.kappa_root = np.sqrt(kappa / sky.area).astype(dtype)
        roots = np.zeros((self.has_t + self.has_e, self.has_t + self.has_e, *sky.ell.shape))
        tt, te, ee = map(power, (table.TT, table.TE, table.EE))
        if self.has_t:
            roots[0, 0] = np.sqrt(tt)
        if self.has_t and self.has_e:
            roots[1, 0] = np.divide(te, roots[0, 0], out=np.zeros_like(te), where=tt > 0)
        if self.has_e:
            roots[-1, -1] = np.sqrt(ee - (roots[-1, 0] ** 2 if self.has_t else 0))
        self.roots = (roots / np.sqrt(sky.area)).astype(dtype)
        self._rotation = np.stack(polarization.angles(sky)).astype(dtype)

    def stokes(self, white: Modes) -> Modes:
        """Returns the unlensed T, Q and U, those that the config has.

        Args:
          white: (unknowns, npix, npix // 2 + 1).

        Returns:
          Half planes, µK, (channels, npix, npix // 2 + 1), same dtype.
        """
        fields = [
            sum(root * mode for root, mode in zip(row[: i + 1], white, strict=False))
            for i, row in enumerate(self.roots)
        ]
        t = fields[:1] if self.has_t else []
        return np.stack([*t, *(self._rotation * fields[-1] if self.has_e else ())])

    def stokes_adjoint(self, stokes: Modes) -> Modes:
        """Applies the adjoint of `stokes`."""
        fields = [stokes[0]] if self.has_t else []
        if self.has_e:
            q, u = stokes[-2:]
            fields.append(self._rotation[0] * q + self._rotation[1] * u)
        return np.stack(
            [
                sum(row[i] * mode for row, mode in zip(self.roots[i:], fields[i:], strict=True))
                for i in range(len(fields))
            ]
        )
