"""Noise that grows towards large scales: N(l) = N [1 + (l / l_knee)^slope]."""

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.nested import Nested
from lensing_tfds.config_fields.patch import Patch
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import instrument


@dataclasses.dataclass(frozen=True)
class OneOverF(Nested):
    """A config's 1/f noise, above its white noise (Ade et al. 2019, arXiv:1808.07445, section 2.2).

    Attributes:
      T_knee: multipole at which it equals the white noise in temperature. Default null: white.
      P_knee: the same in polarization. Default null: white.
      slope: power of l, -10 to -0.1. Default -3.
    """

    FIELD: ClassVar[str] = "one_over_f"

    T_knee: float | None = None
    P_knee: float | None = None
    slope: float = -3.0

    def __post_init__(self) -> None:
        if self.T_knee is None and self.P_knee is None:
            raise LensingError(f"{self.title}: give T_knee, P_knee or both; both are null")
        for field in ("T_knee", "P_knee"):
            if getattr(self, field) is not None:
                self._check_real(field, 1.0, 1e5)
        self._check_real("slope", -10.0, -0.1)

    def check(self, config: Patch) -> None:
        """Refuses a knee of what is not observed, and the lack of one of what is.

        Raises:
          LensingError: so it is.
        """
        for field, channel in (("T_knee", "T"), ("P_knee", "Q")):
            if getattr(self, field) is not None and channel not in config.channels:
                raise self._error(field, f"null where stokes is {config.stokes!r}")
        if not config.noise_uK_arcmin:
            raise LensingError(f"{self.title}: noise_uK_arcmin is 0, and must be above 0")

    def knee(self, channel: str) -> float:
        """Returns the knee of T, or of Q, U, E or B; 0 where the noise is white."""
        return (self.T_knee if channel == "T" else self.P_knee) or 0.0


def noise_power(
    noise_uK_arcmin: float,
    one_over_f: OneOverF | None,
    channel: str,
    ell: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Returns the spectrum of a channel's noise, the mean over the patch, µK² sr.

    Args:
      noise_uK_arcmin: depth of T's white noise, µK·arcmin.
      one_over_f: what comes on top; None is nothing.
      channel: "T", "Q", "U", "E" or "B".
      ell: multipoles, any shape, which the result has too.
    """
    depth = instrument.channel_noise(noise_uK_arcmin, channel)
    if one_over_f is None:
        return instrument.noise_power(ell, depth)
    return instrument.noise_power(ell, depth, one_over_f.knee(channel), one_over_f.slope)
