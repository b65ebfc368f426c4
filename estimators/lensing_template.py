"""Lensing of observed fields by an estimate of κ, to first order: templates of what lensing did.

A template is the gradient of the observed, Wiener-filtered field times the estimated deflection,

    δX = ∇X_w · ∇φ̂,    φ̂_L = 2 κ̂_L / L²,    X_w,l = b_l C̃_l / (b_l² C̃_l + N) X_l,

and for polarization (Q ± iU) of the E modes in X's place, of which the E and the B part are
returned (for the lensed B of first order Hu 2000, astro-ph/0001303; for templates Smith et al.
2009, arXiv:0811.3916). To first order, and with the lensed field, because the errors of these two
approximations cancel (Baleato Lizancos, Challinor & Carron 2021, arXiv:2010.14286).
"""

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.convolution import ProductGrid
from estimators.quadratic.observation import Observation
from lensing_tfds.sky import polarization
from lensing_tfds.sky.lensing import phi_from_kappa

Modes = NDArray[np.complexfloating]


class LensingTemplate:
    """Makes templates of what lensing by a given κ does to observed fields.

    Args:
      observation: what the observed fields hold, and which modes are used.

    Attributes:
      grid: that products are taken on.
    """

    def __init__(self, observation: Observation):
        self._observation = observation
        self._sky = observation.sky
        self.grid = ProductGrid(self._sky, self._sky.inner)

    def temperature(self, t: Modes, kappa: Modes) -> Modes:
        """Returns δT of the sky, without a beam.

        Args:
          t: half planes of the observed T, µK, with beam and noise: (n, npix, npix // 2 + 1).
          kappa: half planes of κ, or of its estimate, same shape and dtype.

        Returns:
          Half planes, µK, same shape and dtype.
        """
        return self._lensed(self._filtered(t, "T"), *self._deflection(kappa))

    def polarization(self, e: Modes, kappa: Modes) -> tuple[Modes, Modes]:
        """Returns δE and δB of the sky, without a beam; arguments and results as of T.

        The unlensed B is zero.
        """
        filtered = self._filtered(e, "E")
        deflection = self._deflection(kappa)
        cosine, sine = (f.astype(e.real.dtype) for f in polarization.angles(self._sky))
        q, u = (self._lensed(filtered * factor, *deflection) for factor in (cosine, sine))
        return q * cosine + u * sine, u * cosine - q * sine

    def wiener(self, name: str) -> NDArray[np.float64]:
        """Returns the filter of "T" or "E" that gives X_w, (npix, npix // 2 + 1)."""
        observation = self._observation
        return observation.beam * observation.signal(name, name) * observation.inverse(name)

    def _filtered(self, modes: Modes, name: str) -> Modes:
        return modes * self.wiener(name).astype(modes.real.dtype)

    def _deflection(self, kappa: Modes) -> tuple[NDArray, NDArray]:
        phi = phi_from_kappa(kappa, self._sky).astype(kappa.dtype, copy=False)
        return self._gradient(phi)

    def _gradient(self, modes: Modes) -> tuple[NDArray, NDArray]:
        """Maps of the two derivatives, on the product grid."""
        d_y, d_x = (factor.astype(modes.dtype) for factor in self._sky.gradient)
        return self.grid.maps(modes * d_y), self.grid.maps(modes * d_x)

    def _lensed(self, modes: Modes, phi_y: NDArray, phi_x: NDArray) -> Modes:
        along_y, along_x = self._gradient(modes)
        return self.grid.modes(along_y * phi_y + along_x * phi_x)
