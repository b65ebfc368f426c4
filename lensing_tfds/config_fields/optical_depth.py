"""A random modulation of the sky, as by an optical depth that varies."""

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.features import Feature
from lensing_tfds.config_fields.nested import Nested
from lensing_tfds.config_fields.patch import Patch

TAU = "tau"


@dataclasses.dataclass(frozen=True)
class OpticalDepth(Nested):
    """A config's field τ whose e^{−τ} all channels are multiplied by before they are lensed.

    Gaussian, of mean zero and of the spectrum C_L = rms² (4π / L_c²) exp(−L² / L_c²) from L = 2 on:
    bubbles of one size (Gluscevic, Kamionkowski & Hanson 2013, arXiv:1210.5507). What patches of
    ionised gas scatter anew is left out.

    Attributes:
      rms: of τ over the whole plane, to 1.
      L_c: multipole of the bubbles, 2 to 1e5.
    """

    FIELD: ClassVar[str] = "optical_depth"

    rms: float
    L_c: float

    def __post_init__(self) -> None:
        self._check_real("rms", 1e-9, 1.0)
        self._check_real("L_c", 2.0, 1e5)

    def power(self, ell: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns C_L, dimensionless, the shape of `ell`."""
        white = self.rms**2 * 4 * np.pi / self.L_c**2
        return np.where(ell >= 2, white * np.exp(-((ell / self.L_c) ** 2)), 0.0)

    def features(self, config: Patch) -> tuple[Feature, ...]:
        """Returns the map of the optical depth."""
        text = "Optical depth τ: the sky was multiplied by exp(−τ) before lensing."
        return (Feature(TAU, text, "dimensionless", (TAU,)),)
