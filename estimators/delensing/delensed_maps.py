"""Maps of B with the lensing template of an estimate of κ subtracted, and their band powers.

Observed B is B of the sky and noise, the beam taken out, of the multipoles that are delensed; the
template is of first order in κ̂ (`estimators.lensing_template`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from estimators.delensing.residual_b_modes import modes_in_range
from estimators.ensemble import SkyEnsemble
from estimators.lensing_template import LensingTemplate
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import instrument
from lensing_tfds.sky.binning import Bins

Maps = NDArray[np.floating]

BANDS = 5
"""Bands that the multipoles that are delensed are cut into."""


def delensed_bands(config: LensingConfig, lmax: float) -> Bins:
    """Returns bands from the patch's lowest multipole to where those end that are delensed.

    Args:
      config: a periodic version with Q and U.
      lmax: multipoles below it are delensed.

    Raises:
      LensingError: B has no mode there or in one of the bands, or is not lensing's alone.
    """
    if not 0 < lmax < np.inf:
        raise LensingError(f"--lmax {lmax:g}: must be a finite number above zero")
    lowest = config.sky.fundamental
    modes_in_range(config, (lowest, lmax))
    edges = np.linspace(lowest, lmax, BANDS + 1)
    bands = Bins.between(edges, config.sky)
    if not bands.num_modes.all():
        empty = int(np.flatnonzero(bands.num_modes == 0)[0])
        other = "lower" if edges[empty] > config.sky.nyquist else "higher"
        raise LensingError(
            f"no mode of {config.name!r} lies in {edges[empty]:.0f} <= l < {edges[empty + 1]:.0f}, "
            f"a fifth of what --lmax {lmax:g} leaves: give a {other} one"
        )
    return bands


@dataclasses.dataclass(frozen=True, eq=False)
class DelensedMaps:
    """Maps of B, µK, each (n, npix, npix) float32, and the modes' power in bands, µK².

    Attributes:
      observed: before delensing.
      templates: by the name of the estimate.
      observed_powers: (n, bands) of `observed`.
      delensed_powers: (n, bands) of `observed` less each of `templates`.
    """

    observed: Maps
    templates: Mapping[str, Maps]
    observed_powers: NDArray[np.float64]
    delensed_powers: Mapping[str, NDArray[np.float64]]


class Delenser:
    """Subtracts templates from observed B.

    Args:
      ensemble: what the skies are drawn from.
      bands: of l; modes in none are left out.

    Attributes:
      bands: as given.
    """

    def __init__(self, ensemble: SkyEnsemble, bands: Bins):
        config = ensemble.config
        self._config, self.bands, sky = config, bands, config.sky
        self._template = LensingTemplate(Observation.of(config, ensemble.theory))
        self._used = (bands.index >= 0) & sky.inner
        beam = instrument.beam(sky.ell, config.beam_arcmin)
        self._deconvolve = np.where(self._used, 1 / beam, 0.0)

    def maps(self, lensed: Maps, kappas: Mapping[str, Maps]) -> DelensedMaps:
        """Delenses observed maps.

        Args:
          lensed: (n, npix, npix, channels), µK.
          kappas: estimates of κ by name, (n, npix, npix), Wiener-filtered.
        """
        sky = self._config.sky
        fields = fields_of(lensed.astype(np.float64), self._config.channels, sky)
        observed = fields["B"] * self._deconvolve
        templates = {
            name: self._used
            * self._template.polarization(fields["E"], sky.to_modes(kappa.astype(np.float64)))[1]
            for name, kappa in kappas.items()
        }

        def powers(modes: NDArray[np.complexfloating]) -> NDArray[np.float64]:
            return self.bands.mean(np.abs(modes) ** 2) * sky.area

        return DelensedMaps(
            sky.to_map(observed).astype(np.float32),
            {name: sky.to_map(modes).astype(np.float32) for name, modes in templates.items()},
            powers(observed),
            {name: powers(observed - modes) for name, modes in templates.items()},
        )
