"""The Wiener filter of an estimate of given noise, and its expected correlation."""

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.flat_sky import FlatSky


def wiener_filter(kappa_power: NDArray, noise: NDArray) -> NDArray[np.float64]:
    """Returns C / (C + N): times the estimate, it is the best linear guess of κ.

    Args:
      kappa_power: C_κκ, any shape.
      noise: N of the estimate, same shape; infinite where there is no estimate.
    """
    total = kappa_power + noise
    return np.divide(kappa_power, total, out=np.zeros_like(total), where=total > 0)


def expected_correlation(kappa_power: NDArray, noise: NDArray) -> NDArray[np.float64]:
    """Returns ρ_L = sqrt(C / (C + N)), the correlation of the estimate's modes with κ's."""
    return np.sqrt(wiener_filter(kappa_power, noise))


def expected_map_correlation(kappa_power: NDArray, noise: NDArray, sky: FlatSky) -> float:
    """Returns Pearson's ρ of κ maps and their Wiener-filtered estimates.

    ρ = sqrt(Σ C²/(C + N) / Σ C) over all modes of the plane, because a Wiener-filtered estimate
    has as much power as it shares with κ. With N0 for the noise this is 0.6 to 8 % more
    than what lensed skies of v9 to v12 give (`benchmarks.estimator_proof`).

    Args:
      kappa_power: C_κκ on the half plane; zero for modes that the maps do not have.
      noise: N of the estimate on the half plane.
      sky: the patch.
    """
    shared = np.sum(sky.mode_counts * kappa_power * wiener_filter(kappa_power, noise))
    return float(np.sqrt(shared / np.sum(sky.mode_counts * kappa_power)))
