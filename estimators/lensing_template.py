"""Lensing of observed fields by an estimate of κ, to first order: templates of what lensing did.

A template is the gradient of the observed, Wiener-filtered field times the estimated deflection,

    δX = ∇X_w · ∇φ̂,    φ̂_L = 2 κ̂_L / L²,    X_w,l = b_l C̃_l / (b_l² C̃_l + N) X_l,

and for polarization (Q ± iU) of the E modes in X's place, of which the E and the B part are
returned (for the lensed B of first order Hu 2000, astro-ph/0001303; for templates Smith et al.
2009, arXiv:0811.3916). To first order, and with the lensed field, because the errors of these two
approximations cancel (Baleato Lizancos, Challinor & Carron 2021, arXiv:2010.14286).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.convolution import ProductGrid
from estimators.quadratic.legs import Factors, Filter, Legs
from estimators.quadratic.observation import Observation
from lensing_tfds.sky import polarization
from lensing_tfds.sky.lensing import phi_from_kappa, remap

Modes = NDArray[np.complexfloating]

_INVERSE_STEPS = 3  # each leaves a few per cent, the shear, of what the one before left


class LensingTemplate:
    """Makes templates of what lensing by a given κ does to observed fields.

    Args:
      observation: what the observed fields hold, and which modes are used.

    Attributes:
      grid: that products are taken on.
    """

    def __init__(self, observation: Observation):
        self._observation = observation
        sky = observation.sky
        self.grid = ProductGrid(sky, sky.inner)
        angles: dict[str, Sequence[NDArray]] = {
            "T": (np.ones(sky.ell.shape),),
            "E": polarization.angles(sky),
        }
        self._angles = angles
        self._cosine, self._sine = (Factors(angle) for angle in self._angles["E"])
        self._filters: dict[str, list[Filter]] = {}
        self._phi = Filter(phi_from_kappa(np.ones(sky.ell.shape, complex), sky).real, sky)

    def temperature(self, t: Modes, kappa: Modes) -> Modes:
        """Returns δT of the sky, without a beam.

        Args:
          t: half planes of the observed T, µK, with beam and noise: (n, npix, npix // 2 + 1).
          kappa: half planes of κ, or of its estimate, same shape and dtype.

        Returns:
          Half planes, µK, same shape and dtype.
        """
        return self.of(Legs({"T": t}), kappa)["T"]

    def polarization(self, e: Modes, kappa: Modes) -> tuple[Modes, Modes]:
        """Returns δE and δB of the sky, without a beam; arguments and results as of T.

        The unlensed B is zero.
        """
        templates = self.of(Legs({"E": e}), kappa)
        return templates["E"], templates["B"]

    def remapped(self, e: Modes, kappa: Modes) -> tuple[Modes, Modes]:
        """Returns δE and δB by remapping the filtered E back, to all orders of κ.

        The field at x is taken to where it was before it was lensed, by the inverse of the
        deflection, x + β with β(x) = −∇φ̂(x + β), and δX is what that changes. On the lensed field
        this leaves more than the gradient does (Baleato Lizancos, Challinor & Carron 2021).

        Args:
          e: half planes of the observed E, as of `polarization`.
          kappa: half planes of κ, or of its estimate, same shape.
        """
        sky = self._observation.sky
        filtered = e * self.wiener("E").astype(e.real.dtype)
        potential = kappa * phi_from_kappa(np.ones(sky.ell.shape, complex), sky).real
        d_y, d_x = ((potential * factor).astype(e.dtype) for factor in sky.gradient)
        back = -sky.to_map(d_y), -sky.to_map(d_x)
        for _ in range(_INVERSE_STEPS):
            back = -remap(d_y, back, sky), -remap(d_x, back, sky)
        q, u = polarization.to_qu(filtered, np.zeros_like(filtered), sky)
        q_before, u_before = (sky.to_modes(remap(field, back, sky)) for field in (q, u))
        e_before, b_before = polarization.to_eb(q_before, u_before, sky)
        return filtered - e_before, -b_before

    def of(self, fields: Legs, kappa: Modes) -> dict[str, Modes]:
        """Returns δT, or δE and δB, or all, of the sky, without a beam.

        Args:
          fields: observed "T" or "E" or both, µK, with beam and noise: others are ignored. The
            maps of their gradients are kept in them, for templates of other κ.
          kappa: half planes of κ, or of its estimate, (n, npix, npix // 2 + 1).
        """
        deflection = Legs({"kappa": kappa}).slope("kappa", self._phi, self.grid)
        lensed = {
            name: [
                self.grid.modes(np.sum(fields.slope(name, by, self.grid) * deflection, axis=0))
                for by in self._filters_of(name)
            ]
            for name in self._angles
            if name in fields
        }
        found: dict[str, Modes] = {}
        if "T" in lensed:
            (found["T"],) = lensed["T"]
        if "E" in lensed:
            q, u = lensed["E"]
            found["E"] = self._cosine.times(q) + self._sine.times(u)
            found["B"] = self._cosine.times(u) - self._sine.times(q)
        return found

    def _filters_of(self, name: str) -> list[Filter]:
        """Of a field that there is: the spectra of others need not have been measured."""
        if name not in self._filters:
            wiener = self.wiener(name)
            sky = self._observation.sky
            self._filters[name] = [Filter(wiener * angle, sky) for angle in self._angles[name]]
        return self._filters[name]

    def wiener(self, name: str) -> NDArray[np.float64]:
        """Returns the filter of "T" or "E" that gives X_w, (npix, npix // 2 + 1)."""
        observation = self._observation
        return observation.beam * observation.signal(name, name) * observation.inverse(name)
