"""The temperature's quadratic estimator hardened against sources of one profile.

Sources whose number, or whose clusters' temperature, varies over the sky correlate modes as lensing
does: at a fixed field s of what they add to the map's power,

    ⟨T_l₁ T_l₂⟩ = u(l₁) u(l₂) s_L / area,    L = l₁ + l₂,

with u the transform of a source's profile behind the beam: for point sources the beam itself. From
the estimate of κ is taken what such a field would add (Namikawa, Hanson & Takahashi 2013,
arXiv:1209.0091; of other profiles Sailer, Schaan & Ferraro 2020, arXiv:2007.04325). With f the
coupling of TT, and C the observed spectrum,

    q_L = q_L^κ − (X/S) q_L^s,    X = ½ Σ f u u / (C C),    S = ½ Σ u² u² / (C C),

whose response to s is zero and to κ R_L − 2 X² / (L² area S), for the response R_L of the plain
estimate. Its noise N0 is larger by the ratio of both.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.coupling import coupling_of
from estimators.quadratic.kernels import Plane
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import foreground_spectra

PROFILES = ("source", "tsz")


class HardenedEstimator:
    """Estimates κ from T, with no mean response to a field of sources.

    Args:
      observation: what T holds, and which modes of it to use.
      profile: "source" for point sources, "tsz" for a profile with the thermal Sunyaev-Zeldovich
        effect's spectrum.

    Attributes:
      observation: as given.
      response: what the unnormalised estimate is to κ_L on average, half plane; zero for modes that
        are not estimated.
      noise: N0_L, half plane: the power of κ̂ from unlensed maps of the same spectra; infinite for
        modes that are not estimated.

    Raises:
      LensingError: no such profile.
    """

    def __init__(self, observation: Observation, profile: str = "source"):
        if profile not in PROFILES:
            raise LensingError(
                f"profile {profile!r} is unknown: choose among {', '.join(PROFILES)}"
            )
        self.observation = observation
        self._plain = QuadraticEstimator("TT", observation)
        sky, grid = observation.sky, self._plain.grid
        self._leg = _profile(observation, profile) * observation.inverse("T")  # u / C
        of_sources = self._leg * _profile(observation, profile)
        total = 0.5 * grid.modes(grid.maps(of_sources) ** 2).real
        cross = 0.5 * self._coupled()
        plain = self._plain.response
        there = (plain > 0) & (total > 0)
        self._per_source = np.divide(cross, total, out=np.zeros_like(cross), where=there)
        ell_squared = np.where(sky.ell > 0, sky.ell, np.inf) ** 2
        lost = 2 / (sky.area * ell_squared) * cross * self._per_source
        self.response = np.where(there, plain - lost, 0.0)
        self.response[self.response < 1e-6 * plain] = 0
        self.noise = np.divide(
            sky.ell**2 / 2, self.response, out=np.full_like(plain, np.inf), where=self.response > 0
        )

    def kappa(self, fields: Mapping[str, NDArray[np.complexfloating]]) -> NDArray:
        """Estimates κ.

        Args:
          fields: "T" to half planes of the observed maps, as of `QuadraticEstimator.kappa`.

        Returns:
          Half planes of κ̂, same shape and dtype, zero for modes that are not estimated.

        Raises:
          LensingError: T is missing or has another shape.
        """
        unnormalised = self._plain.kappa(fields) * self._plain.response
        unnormalised -= self._per_source * self.sources(fields["T"])
        inverse = np.divide(
            1, self.response, out=np.zeros_like(self.response), where=self.response > 0
        )
        return np.asarray(unnormalised * inverse, fields["T"].dtype)

    def sources(self, t: NDArray[np.complexfloating]) -> NDArray:
        """Returns the unnormalised estimate q^s of the field of sources, half planes."""
        grid = self._plain.grid
        return 0.5 * grid.modes(grid.maps(t * self._leg.astype(t.real.dtype)) ** 2)

    def _coupled(self) -> Plane:
        """Σ f(l₁, l₂) u(l₁) u(l₂) / (C C), with L·l of lensing's coupling."""
        sky, grid = self.observation.sky, self._plain.grid
        total = np.zeros(sky.ell.shape)
        for term in coupling_of("T", "T", self.observation):
            left, right = term.left * self._leg, term.right * self._leg
            steep, flat = (left, right) if term.gradient == "left" else (right, left)
            values = grid.maps(flat)
            for along in (sky.ly, sky.lx):
                total += along * grid.modes(grid.maps(1j * along * steep) * values).imag
        return total


def _profile(observation: Observation, profile: str) -> Plane:
    """The transform of a source behind the beam, of the modes used; its height has no meaning."""
    if profile == "source":
        return observation.beam
    shape = np.sqrt(foreground_spectra.spectrum(profile, observation.sky.ell))
    return np.asarray(observation.beam * shape / shape.max())
