"""Primordial gravitational waves: B, E and T that lensing did not make, r of each example's own."""

import dataclasses
from typing import ClassVar

from lensing_tfds.config_fields.features import Feature
from lensing_tfds.config_fields.nested import Nested
from lensing_tfds.config_fields.patch import Patch
from lensing_tfds.errors import LensingError

RATIO = "r"


@dataclasses.dataclass(frozen=True)
class Tensors(Nested):
    """A config's tensor-to-scalar ratio r, at 0.05 / Mpc; √r is uniform between its bounds'.

    The primordial spectrum of the tensors is flat, and all their spectra are proportional to r, see
    `sky.tensor_spectra`.

    Attributes:
      r_min: the least r of an example, from 0.
      r_max: the largest, to 1. The same as `r_min`: all examples have it.
    """

    FIELD: ClassVar[str] = "tensors"

    r_min: float
    r_max: float

    def __post_init__(self) -> None:
        self._check_real("r_max", 1e-12, 1.0)
        self._check_real("r_min", 0.0, self.r_max)

    def check(self, config: Patch) -> None:
        """Refuses tensors in a sky that all examples share.

        Raises:
          LensingError: so it is.
        """
        if config.fixed_unlensed:
            raise LensingError(f"{self.title}: fixed_unlensed is true, and must be false")

    @property
    def mean_ratio(self) -> float:
        """The mean of r: of (a + (b − a)u)² over u from 0 to 1."""
        a, b = self.r_min**0.5, self.r_max**0.5
        return (a * a + a * b + b * b) / 3

    def features(self, config: Patch) -> tuple[Feature, ...]:
        """Returns the example's r."""
        text = "Tensor-to-scalar ratio of the example, at 0.05 / Mpc."
        return (Feature(RATIO, text, "dimensionless"),)
