"""An estimator of κ: a name, and a function from observed maps to κ."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import LENSED
from lensing_tfds.errors import LensingError

if TYPE_CHECKING:
    from estimators.uncertainty import Uncertainty

Observed = Mapping[str, NDArray]
"""A batch as an estimator sees it: "lensed" (n, npix, npix, channels) µK, "index" (n,), and "mask"
(n, npix, npix, 1), 0 to 1, where maps have one."""


NETWORK = "network"
"""Name of an estimator that a function of maps makes: of what is judged, a network or not."""

_NORMALISED = 0.5  # least share of κ's power

TRAIN_AGAIN = "train again, with a lower --learning_rate"
"""Advice for a network whose estimates are not finite."""


@dataclasses.dataclass(frozen=True)
class Estimator:
    """Something that estimates κ.

    Attributes:
      name: short, for files: letters, digits and `_`.
      label: for people.
      predict: a batch, without the truth, -> κ of shape (n, npix, npix, 1), dimensionless;
        whoever wants κ calls `kappa`, which checks what comes.
      basis: what its normalisation and its filter rest on, a phrase; empty if there is nothing to
        say.
      normalised_share: share of κ's power in the modes in which it could be normalised; the others
        are zero in the estimate.
      advice: what to do if an estimate is not finite; empty if there is nothing to say.
      uncertainty: how far it is from the truth, by its own account; None where it gives none.
    """

    name: str
    label: str
    predict: Callable[[Observed], NDArray[np.floating]]
    basis: str = ""
    normalised_share: float = 1.0
    advice: str = ""
    uncertainty: Uncertainty | None = None

    @property
    def is_normalised(self) -> bool:
        """Says whether most of κ's power was normalised; if not, it is nearly zero by default."""
        return is_normalised(self.normalised_share)

    def kappa(
        self,
        lensed: NDArray[np.float32],
        index: NDArray[np.int64],
        mask: NDArray[np.float32] | None = None,
    ) -> NDArray[np.floating]:
        """Estimates κ, and refuses estimates that cannot be judged.

        Args:
          lensed: (n, npix, npix, channels) float32, µK.
          index: (n,), of the examples.
          mask: (n, npix, npix, 1), what was seen of each; None where nothing says.

        Returns:
          κ̂ without its channel axis, (n, npix, npix), dimensionless.

        Raises:
          LensingError: the estimates have another shape, or one is not finite.
        """
        batch: dict[str, NDArray] = {LENSED: lensed, "index": index}
        if mask is not None:
            batch[MASK] = mask
        estimates = np.asarray(self.predict(batch))
        expected = (*lensed.shape[:3], 1)
        if estimates.shape != expected:
            raise LensingError(
                f"estimates of {self.label} have shape {estimates.shape}, must be {expected}"
            )
        refuse_not_finite(estimates, index, f"the estimate of {self.label}", self.advice)
        return estimates[..., 0]


def is_normalised(normalised_share: float) -> bool:
    """Says whether an estimate normalised for this share of κ's power is one."""
    return normalised_share >= _NORMALISED


def network(
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]], label: str = NETWORK
) -> Estimator:
    """Makes an estimator of a function from lensed maps to κ."""
    return Estimator(NETWORK, label, lambda batch: predict(batch[LENSED]), advice=TRAIN_AGAIN)


def zero() -> Estimator:
    """Returns κ̂ = 0: of all estimates that ignore the maps, the one of least squared error."""

    def predict(batch: Observed) -> NDArray[np.float32]:
        return np.zeros((*batch[LENSED].shape[:3], 1), np.float32)

    return Estimator("zero", "zero", predict, "κ̂ = 0 everywhere")


def refuse_not_finite(
    kappa: NDArray[np.floating], index: NDArray[np.int64], source: str, advice: str = ""
) -> None:
    """Refuses estimates that are not numbers, naming the first example.

    Args:
      kappa: (n, ...) estimates.
      index: (n,), of the examples.
      source: where they are from, for the message.
      advice: what to do.

    Raises:
      LensingError: one is NaN or infinite.
    """
    bad = ~np.isfinite(kappa.reshape(len(kappa), -1)).all(axis=1)
    if bad.any():
        raise LensingError(
            f"{source} for example {index[bad][0]} is not finite (NaN or infinite)"
            + f": {advice}" * bool(advice)
        )
