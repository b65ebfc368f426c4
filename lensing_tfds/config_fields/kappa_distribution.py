"""Distribution of κ: its skewness, and its correlation with the unlensed sky."""

import dataclasses
import functools
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.nested import Nested
from lensing_tfds.config_fields.patch import Patch
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import lognormal_fields, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.lognormal_fields import Lognormal
from lensing_tfds.sky.third_moments import scale_of_skewness

_SURE_SKEWNESS, _SURE_SMOOTHING = 0.1, 30.0
"""Values up to which there is such a field on any grid in the fiducial cosmology: no pixel comes
near its least value."""

_LARGEST_ERROR = 1e-3  # relative, that a lognormal κ's power may have in any mode


@dataclasses.dataclass(frozen=True)
class KappaDistribution(Nested):
    """A config's κ, where it is not Gaussian, or not independent of the unlensed sky.

    Attributes:
      skewness: ⟨κ³⟩ / ⟨κ²⟩^1.5 of κ smoothed by a Gaussian beam, 0 to 20: κ is a shifted lognormal
        field of the same spectrum that has it. Default 0: κ is Gaussian.
      smoothing_arcmin: full width at half maximum of that beam, arcmin, 1 to 120. Default 10.
      correlated: whether κ is correlated with the unlensed T and E as CAMB says. Default false.
    """

    FIELD: ClassVar[str] = "kappa"

    skewness: float = 0.0
    smoothing_arcmin: float = 10.0
    correlated: bool = False

    def __post_init__(self) -> None:
        self._check_real("skewness", 0.0, 20.0)
        self._check_real("smoothing_arcmin", 1.0, 120.0)
        self._check_flag("correlated")
        if not (self.skewness or self.correlated):
            raise LensingError(f"{self.title}: neither skewness nor correlated is given: give null")

    def check(self, config: Patch) -> None:
        """Refuses a skewness that κ cannot have, and a correlation that no table tells.

        The former of the fiducial cosmology only: that of another's is refused by the simulator.

        Raises:
          LensingError: so it is, or correlated examples would have one unlensed sky.
        """
        sure = self.skewness <= _SURE_SKEWNESS and self.smoothing_arcmin <= _SURE_SMOOTHING
        if config.cosmology is None and not sure:
            self.lognormal(config, spectra.fiducial().kappa)
        if self.correlated and config.cosmology is not None:
            raise LensingError(
                f"{self.title}: correlated is true, must be false where cosmology is given: only "
                "the fiducial one's correlations are tabulated"
            )
        if self.correlated and config.fixed_unlensed:
            raise LensingError(
                f"{self.title}: correlated is true, must be false where fixed_unlensed is true"
            )

    def lognormal(self, config: Patch, c_ell: NDArray[np.float64]) -> Lognormal | None:
        """Returns the field that κ is on the internal grid, before any cut by `kappa_lmax`.

        Args:
          config: the config.
          c_ell: spectrum of κ, without exaggeration, at l = 0, 1, ...

        Returns:
          None where κ is Gaussian.

        Raises:
          LensingError: no lognormal field has the skewness with the spectrum.
        """
        if not self.skewness:
            return None
        content = c_ell.tobytes()
        scale = _scale(self.skewness, self.smoothing_arcmin, content)
        found = _on_grid(config.internal, scale, config.kappa_exaggeration_factor, content)
        if found is None:
            raise self._error(
                "skewness",
                "smaller: no lognormal field that is so skewed has κ's spectrum on these pixels",
            )
        return found


# A config is made again and again, of JSON: what its checks find is kept.
@functools.lru_cache(maxsize=8)
def _scale(skewness: float, fwhm_arcmin: float, c_ell: bytes) -> float:
    return scale_of_skewness(skewness, fwhm_arcmin, np.frombuffer(c_ell))


@functools.lru_cache(maxsize=2)
def _on_grid(sky: FlatSky, scale: float, factor: float, c_ell: bytes) -> Lognormal | None:
    power = factor**2 * spectra.at_multipoles(np.frombuffer(c_ell), sky.ell) / sky.area
    try:
        found = lognormal_fields.lognormal(power, factor * scale, sky)
    except ValueError:
        return None
    power[0, 0] = 0
    error = np.abs(found.power - power)
    # Beyond the spectrum's last multipole no field that is exponentiated has nothing at all.
    there = power > 0
    wrong = np.any(error[there] > _LARGEST_ERROR * power[there].clip(power.max() * 1e-9))
    return None if wrong or error.sum() > _LARGEST_ERROR * power.sum() else found
