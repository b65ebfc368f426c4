"""The spectrum of B that a sky has before it is lensed: of tensors, rotation and optical depth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import polarization, spectra
from lensing_tfds.sky.spectra import PowerSpectra


def has_unlensed_b(config: LensingConfig) -> bool:
    """Says whether the polarization of a config has B before it is lensed."""
    parts = (config.tensors, config.rotation, config.optical_depth)
    return "Q" in config.channels and any(part is not None for part in parts)


def unlensed_b_power(config: LensingConfig, table: PowerSpectra) -> NDArray[np.float64]:
    """Returns C_l^BB of the unlensed sky: of tensors of the mean ratio, and of turned, dimmed E.

    That of a rotation α and an optical depth τ is to first order in their power,

        C_l^BB = (1/area) Σ_l' C_l'^EE [4 C_αα cos² 2(φ_l − φ_l') + C_ττ sin² 2(φ_l − φ_l')],

    both at l − l' (Yadav et al. 2009, arXiv:0902.4466).

    Args:
      config: the version.
      table: the spectra of its cosmology.

    Returns:
      Half plane of the internal grid, µK².
    """
    sky = config.internal
    power = np.zeros(sky.ell.shape)
    if config.tensors is not None and table.tensors is not None:
        of_one = spectra.at_multipoles(table.tensors.BB, sky.ell, config.T_lmax)
        power += config.tensors.mean_ratio * of_one
    cos2, sin2 = polarization.angles(sky)
    cos4, sin4 = cos2**2 - sin2**2, 2 * cos2 * sin2
    e = spectra.at_multipoles(table.EE, sky.ell, config.T_lmax)

    def maps(plane: NDArray[np.float64]) -> NDArray[np.floating]:
        return sky.to_map(plane.astype(np.complex128))

    for part, factor, sign in ((config.rotation, 4.0, 1.0), (config.optical_depth, 1.0, -1.0)):
        if part is not None:
            of_part = factor * maps(part.power(sky.ell)) / sky.area
            # cos² and sin² of 2Δφ are (1 ± cos 4φ_l cos 4φ_l' ± sin 4φ_l sin 4φ_l') / 2.
            for of_l, weight in ((np.ones_like(e), 0.5), (cos4, sign / 2), (sin4, sign / 2)):
                power += weight * of_l * sky.to_modes(of_part * maps(e * of_l)).real
    return np.maximum(power, 0.0)
