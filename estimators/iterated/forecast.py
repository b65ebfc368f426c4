"""The reach of an iterated estimate of κ, from spectra alone.

The noise of EB and TB is the lensed B that is observed. A first estimate of κ removes a part of
it, a second one is made with what is left, and so on (Seljak & Hirata 2004, astro-ph/0310163;
Smith et al. 2012, arXiv:1010.0048):

    C_BB^res = C_BB − (1/area) Σ_l W_l C_EE,l ρ²_L' C_φφ,L' (l·L')² sin² 2(φ_l − φ_l+L'),

with ρ_L the correlation of the last estimate with κ and W the Wiener filter of E. N0 alone is
counted as noise, so that simulated skies, which have N1 too, come out a little lower.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic import measured, wiener
from estimators.quadratic.convolution import ProductGrid
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.sky import spectra
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.spectra import PowerSpectra

Plane = NDArray[np.float64]

_LEAST_RESIDUAL = 0.01  # of the lensed B: less is beyond a first-order template


@dataclasses.dataclass(frozen=True, eq=False)
class Forecast:
    """The noise of an estimate of κ, and the lensed B that it leaves.

    Attributes:
      noise: N0_L, half plane; infinite for modes that are not estimated.
      residual_b: C_l^BB of the sky after delensing with this estimate, half plane, µK²; that of
        tensors is left as it was.
      map_correlation: ρ of κ maps and of Wiener-filtered estimates, over all modes.
    """

    noise: Plane
    residual_b: Plane
    map_correlation: float


def forecasts(config: LensingConfig, table: PowerSpectra, iterations: int = 4) -> list[Forecast]:
    """Returns what the quadratic estimator reaches, and then each iteration.

    Args:
      config: a version that theory describes, see `realism`.
      table: the spectra of its cosmology.
      iterations: how many; without Q and U nothing is won by them, and there are none.
    """
    kappa = kappa_power(config, table, config.sky.ell)
    return forecasts_of(Observation.of(config, table), pairs_of(config), kappa, iterations)


def forecasts_of(
    observation: Observation, pairs: Sequence[str], kappa: Plane, iterations: int = 4
) -> list[Forecast]:
    """Returns the same of any observation.

    Args:
      observation: beam, noise and modes of the maps.
      pairs: of fields that are observed.
      kappa: C_l^κκ, half plane.
      iterations: as of `forecasts`.
    """
    sky, table = observation.sky, observation.spectra
    b_modes = spectra.at_multipoles(table.lensed_BB, sky.ell)
    of_tensors = np.where(observation.used, observation.signal("B", "B") - b_modes, 0.0)
    names = {name for pair in pairs for name in (pair, pair[0] * 2, pair[1] * 2)}
    totals = {name: observation.total(*name) for name in names - {"EB", "TB"}}
    rings = Bins.fundamental(sky)
    found: list[Forecast] = []
    for _ in range(iterations + 1 if "B" in "".join(pairs) else 1):
        if found:
            residual = np.where(observation.used, observation.beam**2 * found[-1].residual_b, 0.0)
            signal = observation.beam**2 * observation.signal("B", "B")
            totals["BB"] = observation.total("B", "B") - signal + residual
        noise = MinimumVariance(pairs, measured.weighed(observation, totals)).noise
        shared = wiener.wiener_filter(kappa, noise)
        shared = rings.spread(rings.mean(shared))  # isotropic but for the grid's corners
        removed = template_power(observation, kappa * shared) if "BB" in totals else 0.0
        residual_b = of_tensors + np.maximum(b_modes - removed, _LEAST_RESIDUAL * b_modes)
        rho = wiener.expected_map_correlation(kappa, noise, sky)
        found.append(Forecast(noise, residual_b, rho))
    return found


def template_power(observation: Observation, kappa: Plane, filtered: bool = True) -> Plane:
    """Returns the power of B templates made of filtered E modes and κ of a given spectrum.

    Args:
      observation: of E.
      kappa: C_l^κκ, half plane.
      filtered: W is E's Wiener filter; if not it is 1, and of κ's own spectrum this is the lensed
        C_l^BB of the patch to first order. It has no waves longer than the patch: on 5 degrees it
        is 2 % below CAMB's.

    Returns:
      C_l^BB of the sky, half plane, µK²: the sum of the module's docstring over the patch's modes.
    """
    sky = observation.sky
    grid = ProductGrid(sky, sky.inner)
    e = spectra.at_multipoles(observation.spectra.EE, sky.ell)
    if filtered:
        e = e * observation.beam**2 * observation.signal("E", "E") * observation.inverse("E")
    phi = np.divide(4 * kappa, sky.ell**4, out=np.zeros_like(kappa), where=sky.ell > 0)
    ly, lx = np.broadcast_arrays(sky.ly, sky.lx)
    cos2 = (lx**2 - ly**2) / np.where(sky.ell > 0, sky.ell, 1) ** 2
    sin2 = 2 * lx * ly / np.where(sky.ell > 0, sky.ell, 1) ** 2
    cos4, sin4 = cos2**2 - sin2**2, 2 * cos2 * sin2
    # sin² 2(φ_l − φ_L) = (1 − cos 4φ_l cos 4φ_L − sin 4φ_l sin 4φ_L) / 2
    total = np.zeros(sky.ell.shape)
    for factor, of_l in ((1.0, np.ones_like(cos4)), (-cos4, cos4), (-sin4, sin4)):
        # (l·L')² = Σ_ij l_i l_j L'_i L'_j
        for count, a, b in ((1, ly, ly), (2, ly, lx), (1, lx, lx)):
            product = grid.maps(e * of_l * a * b) * grid.maps(phi * a * b)
            total += factor * count * grid.modes(product).real
    return np.maximum(total, 0.0) / (2 * sky.area)
