"""An estimator of κ: a name, and a function from observed maps to κ."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError

Observed = Mapping[str, NDArray]
"""A batch as an estimator sees it: "lensed" (n, npix, npix, channels) µK, "index" (n,)."""


@dataclasses.dataclass(frozen=True)
class Estimator:
    """Something that estimates κ.

    Attributes:
      name: short, for files: letters, digits and `_`.
      label: for people.
      predict: a batch, without the truth, -> κ of shape (n, npix, npix, 1), dimensionless.
      basis: what its normalisation and its filter rest on, a phrase; empty if there is nothing to
        say.
    """

    name: str
    label: str
    predict: Callable[[Observed], NDArray[np.float32]]
    basis: str = ""


def network(
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]], label: str = "network"
) -> Estimator:
    """Makes an estimator of a function from lensed maps to κ."""
    return Estimator("network", label, lambda batch: predict(batch["lensed"]))


def zero() -> Estimator:
    """The trivial answer, κ̂ = 0, which has the least squared error of all that look at nothing."""

    def predict(batch: Observed) -> NDArray[np.float32]:
        return np.zeros((*batch["lensed"].shape[:3], 1), np.float32)

    return Estimator("zero", "zero", predict, "κ̂ = 0 everywhere")


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
