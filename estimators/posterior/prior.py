"""Prior knowledge of a sky: white unknowns -> κ and the unlensed T, Q and U."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from estimators.posterior.unlensed_b import has_unlensed_b, unlensed_b_power
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.sky import polarization, spectra
from lensing_tfds.sky.spectra import PowerSpectra

Modes = NDArray[np.complexfloating]


class Prior:
    """The Gaussian fields that a config's skies are drawn from, on its internal grid.

    Unknowns are white: modes of unit power, of which κ, T and B are multiples, and E, given T, is
    the sum of two. The unlensed B is zero but for that of tensors, rotation and optical depth, here
    Gaussian (`unlensed_b`); zero are the modes of the grid's Nyquist lines, along which it carries
    no derivative.

    Args:
      config: the version.
      table: the spectra of its cosmology.
      dtype: of the real and imaginary parts.

    Attributes:
      sky: the internal grid.
      kappa_root: κ per unknown, half plane.
      roots: of the unlensed fields, (fields, unknowns, npix, npix // 2 + 1): T per unknown, E per
        unknown, B per unknown, those that there are: lower triangular.
      has_t: whether the first field is T.
      has_e: whether E is among them, after T.
      has_b: whether the last is B.
    """

    def __init__(self, config: LensingConfig, table: PowerSpectra, dtype: DTypeLike = np.float32):
        sky = self.sky = config.internal
        known = sky.inner & (sky.ell > 0)
        self.has_t, self.has_e = "T" in config.channels, "Q" in config.channels
        self.has_b = has_unlensed_b(config)

        def power(c_ell: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.where(known, spectra.at_multipoles(c_ell, sky.ell, config.T_lmax), 0)

        kappa = np.where(known, kappa_power(config, table, sky.ell), 0)
        self.kappa_root = np.sqrt(kappa / sky.area).astype(dtype)
        number = self.has_t + self.has_e + self.has_b
        roots = np.zeros((number, number, *sky.ell.shape))
        tt, te, ee = map(power, (table.TT, table.TE, table.EE))
        if config.tensors is not None and table.tensors is not None:
            ee += config.tensors.mean_ratio * power(table.tensors.EE)
        if self.has_t:
            roots[0, 0] = np.sqrt(tt)
        if self.has_t and self.has_e:
            roots[1, 0] = np.divide(te, roots[0, 0], out=np.zeros_like(te), where=tt > 0)
        if self.has_e:
            e = int(self.has_t)
            roots[e, e] = np.sqrt(ee - (roots[e, 0] ** 2 if self.has_t else 0))
        if self.has_b:
            roots[-1, -1] = np.sqrt(np.where(known, unlensed_b_power(config, table), 0))
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
        if not self.has_e:
            return np.stack(t)
        cosine, sine = self._rotation
        e = fields[self.has_t]
        if not self.has_b:
            return np.stack([*t, cosine * e, sine * e])
        b = fields[-1]
        return np.stack([*t, cosine * e - sine * b, sine * e + cosine * b])

    def stokes_adjoint(self, stokes: Modes) -> Modes:
        """Applies the adjoint of `stokes`."""
        fields = [stokes[0]] if self.has_t else []
        if self.has_e:
            q, u = stokes[-2:]
            cosine, sine = self._rotation
            fields.append(cosine * q + sine * u)
            if self.has_b:
                fields.append(cosine * u - sine * q)
        return np.stack(
            [
                sum(row[i] * mode for row, mode in zip(self.roots[i:], fields[i:], strict=True))
                for i in range(len(fields))
            ]
        )
