"""From spectra of skies to band powers: response, noise bias, N1, Monte-Carlo correction.

With R_r the response of ring r, ⟨κ̂ κ*⟩ / ⟨κ κ*⟩ over simulations, and m_r its modes,

    Ĉ_b = Σ_r m_r (Ĉ_r^κ̂κ̂ − N_r) / Σ_r m_r R_r²,   N = RDN0 + N1 of a quadratic estimate,
                                                 N = ⟨κ̂κ̂⟩ − R² ⟨κκ⟩ of any other,

whose window on C_L is m_r R_r². The Monte-Carlo correction is what then is left over in fiducial
simulations. Cross-spectra are Σ m_r R_r Ĉ_r^κ̂g / Σ m_r R_r², and have no noise bias.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from estimators.bandpowers.rings import BandRings
from estimators.bandpowers.sky_spectra import (
    AUTO,
    CROSS,
    DATA_N0,
    N0,
    N0_N1,
    TRACER_CROSS,
    TRACER_TRUE,
    TRUE,
)
from lensing_tfds.errors import LensingError

Array = NDArray[np.float64]
Spectra = Mapping[str, Array]
"""By name (see `sky_spectra`), (skies, rings)."""

KINDS = (AUTO, CROSS, TRACER_CROSS)
"""Band powers: of κ̂κ̂, of κ̂ and the true κ, of κ̂ and the second tracer."""

_SIGNIFICANT = 5.0  # sigma


@dataclasses.dataclass(frozen=True, eq=False)
class Biases:
    """Response and noise bias of an estimate, ring by ring, from simulations.

    Attributes:
      bands: the bands.
      theory: (rings,) C_L^κκ that the simulations were drawn from.
      response: (rings,) R.
      n0: (rings,) N0 over simulations; for what is not quadratic all of the noise bias.
      n1: (rings,) N1; zero for what is not quadratic.
      quadratic: whether each sky has its own N0.
    """

    bands: BandRings
    theory: Array
    response: Array
    n0: Array
    n1: Array
    quadratic: bool

    @classmethod
    def of(cls, simulated: Spectra, theory: Array, bands: BandRings) -> Biases:
        """Measures the biases on fiducial simulations.

        Args:
          simulated: their spectra.
          theory: (rings,) C_L^κκ that they were drawn from.
          bands: of L.
        """
        mean = {name: values.mean(axis=0) for name, values in simulated.items()}
        true = mean[TRUE]
        response = np.divide(mean[CROSS], true, out=np.zeros_like(true), where=true > 0)
        if N0 in simulated:
            n0, n1 = mean[N0], mean[N0_N1] - mean[N0]
        else:
            n0, n1 = mean[AUTO] - response**2 * true, np.zeros_like(true)
        return cls(bands, theory, response, n0, n1, N0 in simulated)

    @property
    def _modes(self) -> Array:
        return self.bands.rings.num_modes

    @property
    def windows(self) -> Array:
        """(bands, rings) windows of the band powers of κ̂κ̂ on C_L."""
        return self.bands.windows(self._modes * self.response**2)

    @property
    def expected(self) -> Array:
        """(bands,) the theory's band powers."""
        return self.windows @ self.theory

    def noise(self, spectra: Spectra, realisation_dependent: bool = True) -> Array:
        """Returns the noise bias that is subtracted from each sky, (skies, rings).

        Args:
          spectra: of the skies.
          realisation_dependent: RDN0, where there is one, or else what simulations have on average.
        """
        if self.quadratic and realisation_dependent:
            return spectra[DATA_N0] - self.n0 + self.n1
        return np.broadcast_to(self.n0 + self.n1, spectra[AUTO].shape)

    def band_powers(self, spectra: Spectra, realisation_dependent: bool = True) -> dict[str, Array]:
        """Returns the band powers of each sky before the Monte-Carlo correction.

        Args:
          spectra: of the skies.
          realisation_dependent: as of `noise`.

        Returns:
          For each of `KINDS`, (skies, bands).
        """
        modes, response = self._modes, self.response
        norm = self.bands.sums(modes * response**2)
        signal = spectra[AUTO] - self.noise(spectra, realisation_dependent)
        found = {AUTO: self.bands.sums(modes * signal) / norm}
        for kind in (CROSS, TRACER_CROSS):
            found[kind] = self.bands.sums(modes * response * spectra[kind]) / norm
        return found

    def excess(self, spectra: Spectra) -> dict[str, Array]:
        """Returns what band powers are on average beyond those of the skies' own κ, or their g.

        It says the same of an estimate as their mean beyond theory's, and scatters far less: the
        scatter of κ itself is not in it.

        Args:
          spectra: of the skies.

        Returns:
          For each of `KINDS`, (bands,).
        """
        own = {AUTO: TRUE, CROSS: TRUE, TRACER_CROSS: TRACER_TRUE}
        found = self.band_powers(spectra)
        return {
            kind: np.mean(found[kind] - spectra[own[kind]] @ self.windows.T, axis=0)
            for kind in KINDS
        }

    def in_bands(self, values: Array) -> Array:
        """Returns rings' spectra, such as N0, as they are in band powers of κ̂κ̂."""
        modes = self._modes
        return self.bands.sums(modes * values) / self.bands.sums(modes * self.response**2)


def responding(simulated: Spectra, bands: BandRings) -> NDArray[np.bool_]:
    """Says in which bands the estimate is found to follow κ, (bands,).

    Args:
      simulated: spectra of fiducial simulations.
      bands: of L.
    """
    modes = bands.rings.num_modes

    def total(name: str) -> Array:
        return bands.sums(modes * simulated[name].mean(axis=0))

    norm = np.sqrt(total(AUTO) * total(TRUE))
    rho = np.divide(total(CROSS), norm, out=np.zeros_like(norm), where=norm > 0)
    return rho * np.sqrt(len(simulated[AUTO]) * bands.sums(modes) / 2) > _SIGNIFICANT


def refuse_vanishing(simulated: Spectra, bands: BandRings, name: str) -> None:
    """Refuses bands in which the estimate does not follow κ.

    Args:
      simulated: spectra of fiducial simulations.
      bands: of L.
      name: the estimator's, for people.

    Raises:
      LensingError: there is one.
    """
    found = responding(simulated, bands)
    if not found.all():
        first = bands.labels[int(np.argmin(found))]
        raise LensingError(
            f"the response of {name} vanishes in the band {first}: {len(simulated[AUTO])} "
            "simulations show no correlation with κ there; leave it out, or give wider bands"
        )
