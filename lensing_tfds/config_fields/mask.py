"""A mask: a border, and holes where sources were."""

import dataclasses
import math
from typing import ClassVar

from lensing_tfds.config_fields.features import Feature
from lensing_tfds.config_fields.nested import Nested
from lensing_tfds.config_fields.patch import Patch

MASK = "mask"
SIGNAL, OBSERVED = "signal", "observed"


@dataclasses.dataclass(frozen=True)
class Mask(Nested):
    """A config's mask, 0 where nothing is known and 1 where everything is.

    Attributes:
      border: width of the zeros along each edge, degrees. Default 0.
      edge: width of the cosine edge within the border, degrees. Default 0: none.
      holes: number of discs of zeros around the brightest sources of an example, at random places
        that differ between examples; one that crosses an edge goes on at the opposite one, and
        they have no cosine edge. Default 0.
      hole_radius_arcmin: of the discs. Default 0: there are none.
      multiplies: "signal", and the noise is added after it, or "observed", the map with its noise.
        Default "observed".
    """

    FIELD: ClassVar[str] = "mask"

    border: float = 0.0
    edge: float = 0.0
    holes: int = 0
    hole_radius_arcmin: float = 0.0
    multiplies: str = OBSERVED

    def __post_init__(self) -> None:
        self._check_real("border", 0.0, 45.0)
        self._check_real("edge", 0.0, 45.0)
        self._check_integer("holes", 0, 10_000)
        self._check_real("hole_radius_arcmin", 0.0, 2700.0)
        self._check_choice("multiplies", (SIGNAL, OBSERVED))
        if not (self.border or self.edge or self.holes):
            raise self._error("border", "above 0, or edge or holes, or the mask hides nothing")
        if bool(self.holes) != bool(self.hole_radius_arcmin):
            raise self._error("hole_radius_arcmin", "above 0 where there are holes, else 0")

    def check(self, config: Patch) -> None:
        """Refuses a mask that leaves no pixel.

        Raises:
          LensingError: so it is.
        """
        side = math.degrees(config.side)
        middle = side / 2 - config.pixel_arcmin / 60
        if self.border > middle:
            raise self._error("border", f"at most {middle:.4g}, or the mask leaves no pixel")
        if self.border + self.edge > side / 2:
            raise self._error("edge", f"at most {side / 2 - self.border:.4g}: half the patch")
        share = self.holes * math.pi * (self.hole_radius_arcmin / 60 / side) ** 2
        if not share <= 0.5:
            raise self._error(
                "holes", f"so few that they take at most half of the patch, not {share:.2g} of it"
            )

    def features(self, config: Patch) -> tuple[Feature, ...]:
        """Returns the mask itself."""
        what = "signal, before the noise" if self.multiplies == SIGNAL else "lensed map and noise"
        text = f"Mask, 0 to 1: what the {what} was multiplied by."
        return (Feature(MASK, text, "dimensionless", (MASK,)),)
