"""Foregrounds of the temperature at 150 GHz, as factors of the components' published amplitudes."""

import dataclasses
from typing import ClassVar

from lensing_tfds.config_fields.features import Feature
from lensing_tfds.config_fields.nested import Nested
from lensing_tfds.config_fields.patch import Patch
from lensing_tfds.errors import LensingError

FOREGROUNDS = "foregrounds"

_LARGEST = 100.0


@dataclasses.dataclass(frozen=True)
class Foregrounds(Nested):
    """A config's foregrounds: what each component's temperature is multiplied by, 0 to 100.

    Their spectra are those of `sky.foreground_spectra`; 0 leaves a component out. They are smoothed
    by the beam, not lensed, and not in the unlensed maps.

    Attributes:
      radio: radio sources fainter than 15 mJy. Default 1.
      dusty: dusty galaxies fainter than that, placed at random. Default 1.
      cib: the clustering of the galaxies that make the cosmic infrared background. Default 1.
      tsz: thermal Sunyaev-Zeldovich effect, negative. Default 1.
      ksz: kinetic Sunyaev-Zeldovich effect. Default 1.
    """

    FIELD: ClassVar[str] = FOREGROUNDS

    radio: float = 1.0
    dusty: float = 1.0
    cib: float = 1.0
    tsz: float = 1.0
    ksz: float = 1.0

    def __post_init__(self) -> None:
        for name in self.amplitudes:
            self._check_real(name, 0.0, _LARGEST)
        if not any(self.amplitudes.values()):
            raise LensingError(f"{self.title}: all are 0: give null in place of foregrounds")

    @property
    def amplitudes(self) -> dict[str, float]:
        """The factors by the components' names."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def check(self, config: Patch) -> None:
        """Refuses foregrounds where no temperature is observed.

        Raises:
          LensingError: so it is.
        """
        if "T" not in config.channels:
            raise LensingError(
                f"{self.title}: they are in T only, and stokes is {config.stokes!r}: give null"
            )

    def features(self, config: Patch) -> tuple[Feature, ...]:
        """Returns the map of their sum."""
        text = (
            "Sum of the foregrounds in the lensed temperature, with the beam, before any mask or "
            "taper."
        )
        return (Feature(FOREGROUNDS, text, "µK", ("T",)),)
