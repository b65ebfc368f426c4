"""Numbers of the Wiener filter in harmonic space: of `wiener_filter`, and of whoever ports it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from estimators.filtering.border_modes import BorderModes
from estimators.filtering.masked_patch import SPECTRUM_OF, MaskedPatch
from estimators.quadratic.observation import Observation
from lensing_tfds.sky.flat_sky import FlatSky

_OF_T = 0.1
"""The share of a tolerance that T has: its residual is that of its brightest modes, which are
thousands of times the noise, and fainter ones tell of κ too."""


class Planes(NamedTuple):
    """Numbers of the linear system of T, or of E and B, in harmonic space.

    Attributes:
      names: of the fields, "T" or "EB".
      channels: of the maps, "T" or "QU".
      roots: b (C / area)^½ of each field, (fields, npix, npix // 2 + 1), as all below.
      to_fields: what makes fields of a periodic patch of white y.
      preconditioner: the inverse of the system's diagonal.
      inverse_noise: area / N, a half plane.
      border: modes of T in the mask's border; None of other systems, or without one.
    """

    names: str
    channels: str
    roots: NDArray[np.float64]
    to_fields: NDArray[np.float64]
    preconditioner: NDArray[np.float64]
    inverse_noise: NDArray[np.float64]
    border: BorderModes | None

    @property
    def is_white(self) -> bool:
        """Says whether the noise is, and its inverse a number."""
        return bool(np.ptp(self.inverse_noise) == 0)

    def tolerance(self, of_filter: float) -> float:
        """Returns that of this system's residual."""
        return of_filter * (_OF_T if self.names == "T" else 1.0)


def planes_of(
    patch: MaskedPatch,
    observation: Observation,
    names: str,
    residual_b: NDArray[np.float64] | None = None,
) -> Planes:
    """Returns the numbers of a system.

    Args:
      patch: mask and noise.
      observation: as of `WienerFilter`.
      names: "T" or "EB".
      residual_b: as of `WienerFilter`.
    """
    sky, beam = patch.sky, observation.beam
    channels = "T" if names == "T" else "QU"
    noise = patch.noise[SPECTRUM_OF[channels[0]]]
    roots, to_fields = [], []
    for name in names:
        power = of_sky = observation.of_sky(name, name)  # foregrounds are masked as the signal is
        if name == "B" and residual_b is not None:
            power = np.where(observation.used, residual_b, 0.0)
        root = beam * np.sqrt(power / sky.area)
        total = beam**2 * power + observation.total(name, name) - beam**2 * of_sky
        # x = total f̂ / (b C) = total y / (b C^½ area^½)
        into = np.divide(total / sky.area, root, out=np.zeros_like(total), where=root > 0)
        roots.append(root)
        to_fields.append(into)
    inverse_noise = np.broadcast_to(sky.area / noise, sky.ell.shape)
    diagonal = 1 + np.square(roots) * _seen_power(sky, patch.seen().signal, inverse_noise)
    border = BorderModes.of(patch, roots[0], inverse_noise) if names == "T" else None
    return Planes(
        names,
        channels,
        np.array(roots),
        np.array(to_fields),
        1 / diagonal,
        inverse_noise,
        border,
    )


def _seen_power(
    sky: FlatSky, signal: NDArray[np.floating], inverse_noise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Σ_l' |w_(l-l')|² / N_l' of a map w, half plane: a wave's weight once it is seen through w."""
    power = np.abs(np.fft.fft2(signal, norm="forward")) ** 2
    whole = sky.full_plane(inverse_noise)
    found = np.fft.ifft2(np.fft.fft2(power) * np.fft.fft2(whole)).real
    return found[:, : sky.npix // 2 + 1]
