"""What an estimator of κ is, whatever is inside it, and what every check asks of its estimates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingError

Estimator = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""Lensed maps (n, npix, npix, channels), µK, float32 -> κ (n, npix, npix, 1), dimensionless."""


def estimate(
    estimator: Estimator, maps: NDArray[np.float32], index: NDArray[np.int64]
) -> NDArray[np.floating]:
    """Estimates κ, and refuses what nothing can be said about.

    Args:
      estimator: from maps to κ.
      maps: (n, npix, npix, channels) float32, µK.
      index: (n,), for the message.

    Returns:
      κ̂ without its channel axis, (n, npix, npix), dimensionless.

    Raises:
      LensingError: the estimates have another shape, or one is not finite.
    """
    kappa = np.asarray(estimator(maps))
    wanted = (*maps.shape[:3], 1)
    if kappa.shape != wanted:
        raise LensingError(f"the estimates have shape {kappa.shape}, must be {wanted}")
    bad = ~np.isfinite(kappa).all(axis=(1, 2, 3))
    if bad.any():
        raise LensingError(
            f"the estimate for example {index[bad][0]} is not finite (NaN or infinite): nothing to "
            "check"
        )
    return kappa[..., 0]
