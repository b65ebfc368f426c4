"""A random rotation of the sky's polarization."""

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.features import Feature
from lensing_tfds.config_fields.nested import Nested
from lensing_tfds.config_fields.patch import Patch

ROTATION = "rotation"


@dataclasses.dataclass(frozen=True)
class Rotation(Nested):
    """A config's field α that polarization is rotated by before it is lensed: (Q + iU) e^{2iα}.

    Gaussian, of the spectrum C_L = amplitude · 2π / (L(L + 1)) from L = 2 on, as a field that
    inflation left would give it (Guzman & Meyers 2021, arXiv:2109.09715).

    Attributes:
      amplitude: radians², to 0.01.
    """

    FIELD: ClassVar[str] = "rotation"

    amplitude: float

    def __post_init__(self) -> None:
        self._check_real("amplitude", 1e-15, 0.01)

    def check(self, config: Patch) -> None:
        """Refuses a rotation where there is no polarization.

        Raises:
          LensingError: so it is.
        """
        if "Q" not in config.channels:
            raise self._error("amplitude", "left out where stokes has no 'QU'")

    def power(self, ell: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns C_L, radians², the shape of `ell`."""
        safe = np.where(ell >= 2, ell, np.inf)
        return np.asarray(self.amplitude * 2 * np.pi / (safe * (safe + 1)))

    def features(self, config: Patch) -> tuple[Feature, ...]:
        """Returns the map of the angle."""
        text = "Angle α that Q + iU was multiplied by exp(2iα) with, before lensing."
        return (Feature(ROTATION, text, "radians", (ROTATION,)),)
