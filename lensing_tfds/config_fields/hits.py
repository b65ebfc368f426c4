"""Depth that varies over the patch: a survey looks longer at its middle than at its corners."""

import dataclasses
from typing import ClassVar

from lensing_tfds.config_fields.features import Feature
from lensing_tfds.config_fields.nested import Nested
from lensing_tfds.config_fields.patch import Patch
from lensing_tfds.errors import LensingError

NOISE_VARIANCE = "noise_variance"


@dataclasses.dataclass(frozen=True)
class Hits(Nested):
    """A config's hits: how often each pixel is seen.

    The variance of the noise is proportional to 1 + (contrast − 1)(r / r_corner)², r from the
    middle of the patch, with the mean over the patch that the depth of the config says.

    Attributes:
      contrast: hits in the middle over those at a corner, 1 to 1,000.
    """

    FIELD: ClassVar[str] = "hits"

    contrast: float

    def __post_init__(self) -> None:
        self._check_real("contrast", 1.0, 1e3)

    def check(self, config: Patch) -> None:
        """Refuses hits where there is no noise.

        Raises:
          LensingError: so it is.
        """
        if not config.noise_uK_arcmin:
            raise LensingError(f"{self.title}: noise_uK_arcmin is 0, and must be above 0")

    def features(self, config: Patch) -> tuple[Feature, ...]:
        """Returns the map of the noise's variance."""
        text = (
            f"Variance of the noise of {config.channels[0]} in a pixel, without its 1/f part, mean "
            "of the splits, before any mask or taper."
        )
        return (Feature(NOISE_VARIANCE, text, "µK²", (config.channels[0],)),)
