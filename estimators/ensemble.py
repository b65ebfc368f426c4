"""The ensemble of skies that a config draws from, by which estimates of κ are judged."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from estimators import power_spectra
from estimators.filtering.masked_patch import (
    MaskedPatch,
    interior_of,
    interior_window,
    is_filtered,
)
from estimators.iterated.forecast import Forecast, forecasts
from estimators.power_spectra import Bands
from lensing_tfds import realism
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power, spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import spectra
from lensing_tfds.sky.spectra import PowerSpectra


def bands_of(config: LensingConfig) -> Bands:
    """Returns the bands in which a config's κ has power.

    Raises:
      LensingError: κ has too few modes for a spectrum.
    """
    lmax = min(config.kappa_lmax or spectra.LMAX, spectra.LMAX)
    return power_spectra.choose_bands(config.sky, lmax)


@dataclasses.dataclass(frozen=True, eq=False)
class SkyEnsemble:
    """A config and the spectra of its cosmology, with what follows from both, computed once.

    Attributes:
      config: the patch, and what is done to the sky.
      theory: the spectra that the skies are drawn from.
      mask: (npix, npix), 0 to 1, that the maps are multiplied by beyond what the config says: of
        somebody's own maps.
    """

    config: LensingConfig
    theory: PowerSpectra
    mask: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, config: LensingConfig, folder: str | None = None) -> SkyEnsemble:
        """Returns a config's ensemble.

        Args:
          config: the version.
          folder: of the built dataset, which has the table of a cosmology of its own; see
            `cosmology.spectra_of`.

        Raises:
          LensingError: the table of the config's own cosmology is not there.
        """
        return cls(config, spectra_of(config, folder))

    def refuse_beyond(self, split: str, number: int) -> None:
        """Refuses more skies of a split than a dataset holds.

        Raises:
          LensingError: the split has fewer, or there is no such split.
        """
        name, numbers = self.config.name, self.config.num_examples
        if split not in numbers:
            raise LensingError(f"--split {split}: lensing/{name} has {', '.join(numbers)}")
        if not 0 < number <= numbers[split]:
            raise LensingError(
                f"--max_examples {number}: must be from 1 to {numbers[split]}, all skies in "
                f"{split} of lensing/{name}"
            )

    @functools.cached_property
    def bands(self) -> Bands:
        """The bands in which κ has power.

        Raises:
          LensingError: κ has too few modes for a spectrum.
        """
        return bands_of(self.config)

    @functools.cached_property
    def window(self) -> NDArray[np.float64] | None:
        """The smooth window of what is well observed, (npix, npix); None of a patch without mask.

        Raises:
          LensingError: the mask has no inside.
        """
        if self.mask is not None:
            return interior_window(self.mask, self.config.sky)
        return interior_of(self.config)

    @functools.cached_property
    def patch(self) -> MaskedPatch | None:
        """Mask and noise by which maps are filtered; None where they are not.

        Raises:
          LensingError: as of `MaskedPatch.of`.
        """
        if self.mask is not None:
            return MaskedPatch.of(self.config, self.mask)
        return MaskedPatch.of(self.config) if is_filtered(self.config) else None

    @functools.cached_property
    def kappa_power(self) -> NDArray[np.float64]:
        """The spectrum that κ is drawn from on the half plane, (npix, npix // 2 + 1)."""
        return kappa_power(self.config, self.theory, self.config.sky.ell)

    @functools.cached_property
    def expected_cl(self) -> NDArray[np.float64]:
        """The same, averaged over each band's modes, (num_bands,)."""
        return self.bands.average(self.kappa_power)

    @functools.cached_property
    def forecasts(self) -> list[Forecast]:
        """Forecasts of the quadratic estimator, and then of each iteration.

        There is none where theory does not hold, see `realism.estimator_theory_holds`.
        """
        if self.mask is not None or not realism.estimator_theory_holds(self.config):
            return []
        return forecasts(self.config, self.theory)
