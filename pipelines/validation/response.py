"""The T–T–κ response: does the lensed map hold the κ of the label, with its sign and strength?

The quadratic estimate κ̂ of a lensed map has ⟨κ̂ κ*⟩ = ⟨|κ|²⟩ to first order in κ. A deflection of
the wrong sign turns that into −1, of the wrong strength into that strength.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.realism import is_periodic
from lensing_tfds.sky import instrument, polarization
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.spectra import PowerSpectra
from pipelines.validation.bins import compact
from pipelines.validation.observables import FOREGROUNDS, KAPPA, Field
from pipelines.validation.windows import Windows

TOLERANCE = 0.05
"""Of the response, around 1: what the estimator leaves out of it changes it by a per cent or so.
Measured are 0.997–1.000 for TT and 0.994 for EB on the surveys' versions, where B's lensed-gradient
spectrum makes 0.3–0.4 % of that and E's with the gradient across l 0.24 % (see
docs/quadratic_estimators.md)."""

TAPERED_TOLERANCE = 0.2
"""The same of a patch with tapered edges, whose estimate is that of w² κ only where κ varies faster
than the window w; measured are 5–13 % less from four times the fundamental multipole on."""

LMAX = 3500.0
"""Modes above it are not used: there terms beyond first order grow."""

HIGHEST = 1000.0  # multipole of the estimate
_BANDS = 5
_LOWEST_TAPERED = 4  # times the fundamental
_EDGE = 0.1  # of a patch without periodic edges, as a share of its side: tapered before use


def tolerance(config: LensingConfig) -> float:
    """Returns the distance from 1 that the response of a right dataset may have."""
    return TOLERANCE if is_periodic(config) else TAPERED_TOLERANCE


@dataclasses.dataclass(frozen=True, eq=False)
class Responses:
    """Measures the response of maps of a config.

    Attributes:
      config: the version.
      table: its spectra.
    """

    config: LensingConfig
    table: PowerSpectra

    @functools.cached_property
    def pairs(self) -> tuple[str, ...]:
        """The estimators, of TT and EB, that the config's channels and modes allow."""
        return tuple(self.estimators) if self.bands.num else ()

    @functools.cached_property
    def bands(self) -> Bins:
        """Rings of modes of κ, of those that it has and that the maps tell of; none at worst."""
        sky, config = self.config.sky, self.config
        high = min(HIGHEST, self._lmax / 2, config.kappa_lmax or math.inf)
        high = high / sky.fundamental
        low = _LOWEST_TAPERED if self._windows[1] is not None else 1
        edges = np.unique(np.round(np.geomspace(low, max(high, low + 1), _BANDS + 1))) - 0.5
        rings = Bins.between(edges * sky.fundamental, sky)
        usable = kappa_power(config, self.table, sky.ell) > 0
        for estimator in self.estimators.values():
            usable &= estimator.response > 0
        return compact(np.where(usable, rings.index, -1), sky)

    @functools.cached_property
    def _lmax(self) -> float:
        return min(LMAX, 0.9 * self.config.sky.nyquist, self.config.T_lmax or math.inf)

    @functools.cached_property
    def estimators(self) -> dict[str, QuadraticEstimator]:
        """An estimator a pair; none where no mode of the patch is left."""
        config = self.config
        if self._lmax < config.sky.fundamental:
            return {}
        observation = Observation.of(config, self.table, self._lmax)
        pairs = ("TT",) * ("T" in config.stokes) + ("EB",) * ("Q" in config.stokes)
        return {pair: QuadraticEstimator(pair, observation) for pair in pairs}

    @functools.cached_property
    def _windows(self) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        """Windows that the lensed maps and κ are multiplied by; None for none.

        A map that is not periodic is tapered before its Fourier transform. The estimate of a
        tapered map is that of w² κ, as long as κ varies faster than w.
        """
        config = self.config
        if config.taper > 0:
            return None, Windows(config).signal ** 2
        if config.mask is not None:
            window = Windows(config).border
            return window, window**4
        if config.padding > 1:
            window = instrument.taper_window(config.sky, _EDGE * math.degrees(config.side))
            return window, window**2
        return None, None

    def measure(self, maps: Mapping[Field, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """Measures one example.

        Args:
          maps: all its channels, each of shape (npix, npix).

        Returns:
          For each `response <pair>` the band powers of κ̂ κ*, then those of |κ|².
        """
        if not self.pairs:
            return {}
        sky = self.config.sky
        of_lensed, of_kappa = self._windows
        fields = {}
        for channel in self.config.channels:
            image = maps[Field("lensed", channel)]
            if channel == "T" and FOREGROUNDS in maps and is_periodic(self.config):
                image = image - maps[FOREGROUNDS]  # which bias the estimate, and are known
            fields[channel] = sky.to_modes(image if of_lensed is None else image * of_lensed)[None]
        if "Q" in fields:
            fields["E"], fields["B"] = polarization.to_eb(fields["Q"], fields["U"], sky)
        kappa = maps[KAPPA]
        truth = self.bands.gather(sky.to_modes(kappa if of_kappa is None else kappa * of_kappa))
        power = self.bands.average(np.abs(truth) ** 2)
        rows = {}
        for pair, estimator in self.estimators.items():
            estimate = self.bands.gather(estimator.kappa(fields)[0])
            cross = self.bands.average((estimate * truth.conj()).real)
            rows[f"response {pair}"] = np.concatenate([cross, power]) * sky.area
        return rows
