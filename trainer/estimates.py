"""What every check asks of an estimator's estimates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingError
from trainer.estimators import Estimator


def estimate(
    estimator: Estimator, maps: NDArray[np.float32], index: NDArray[np.int64]
) -> NDArray[np.floating]:
    """Estimates κ, and refuses what nothing can be said about.

    Args:
      estimator: from maps to κ.
      maps: (n, npix, npix, channels) float32, µK.
      index: (n,), of the examples.

    Returns:
      κ̂ without its channel axis, (n, npix, npix), dimensionless.

    Raises:
      LensingError: the estimates have another shape, or one is not finite.
    """
    kappa = np.asarray(estimator.predict({"lensed": maps, "index": index}))
    wanted = (*maps.shape[:3], 1)
    if kappa.shape != wanted:
        raise LensingError(
            f"estimates of {estimator.label} have shape {kappa.shape}, must be {wanted}"
        )
    bad = ~np.isfinite(kappa).all(axis=(1, 2, 3))
    if bad.any():
        raise LensingError(
            f"the estimate of {estimator.label} for example {index[bad][0]} is not finite (NaN or "
            "infinite): nothing to check"
        )
    return kappa[..., 0]
