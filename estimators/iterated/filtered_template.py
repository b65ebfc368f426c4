"""The iterated estimator of maps with a mask and uneven noise: every stage filters anew.

Fields are those of the Wiener filter (`filtering.wiener_filter`). A later stage takes the template
of what lensing by κ_k does to the filtered fields off the maps as they were observed, mask and all,
and filters what is left with the power of B that the last estimate leaves, which is the forecast's
(`forecast`). From there on it is as of `iterated_estimator`: the fields are such as a periodic
patch would have, and so are their quadratic estimates.

Gains are fitted inside the mask, in the patch's interior window; the mean field, which the mask
makes, is measured on the same skies and subtracted.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.filtering.masked_patch import MaskedPatch
from estimators.filtering.wiener_filter import TOLERANCE, Weighted, WienerFilter
from estimators.iterated.forecast import forecasts_of
from estimators.iterated.iterated_estimator import (
    AGAIN,
    Fields,
    Modes,
    Stage,
    estimated_from,
    most_features,
)
from estimators.lensing_template import LensingTemplate
from estimators.quadratic.convolution import ProductGrid
from estimators.quadratic.legs import Legs, as_legs
from estimators.quadratic.measured import MeasuredObservation, weighed
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator, pairs_of
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import LENSED, LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.spectra import PowerSpectra

_SIGNAL = "signal"
_TOGETHER = 2  # maps that are filtered at a time: they stay in the cache


@dataclasses.dataclass(frozen=True, eq=False)
class ByFilteredTemplate:
    """A `Method`: the maps less templates of what lensing by the last estimate did to them.

    Attributes:
      patch: mask and noise.
      unmasked: what the observed fields of a patch without mask hold, and which modes are used.
      pairs: of fields, that stage 0 combines.
      kappa_power: C_κκ, half plane, that estimates are filtered by.
      channels: of the maps.
      tolerance: of the Wiener filters.
      has_holes: whether every map has a mask of its own.
    """

    patch: MaskedPatch
    unmasked: Observation
    pairs: tuple[str, ...]
    kappa_power: NDArray[np.float64]
    channels: tuple[str, ...]
    tolerance: float = TOLERANCE
    has_holes: bool = False

    @classmethod
    def of(
        cls, config: LensingConfig, table: PowerSpectra, patch: MaskedPatch | None = None
    ) -> ByFilteredTemplate:
        """Returns the method of a config whose maps are filtered, see `masked_patch.is_filtered`.

        Args:
          config: the version.
          table: the spectra of its cosmology.
          patch: with another mask than the config's; None is the config's.
        """
        return cls(
            patch or MaskedPatch.of(config),
            Observation.of(config, table),
            pairs_of(config),
            kappa_power(config, table, config.sky.ell),
            config.channels,
            has_holes=config.mask is not None and config.mask.holes > 0,
        )

    @property
    def sky(self) -> FlatSky:
        """The patch."""
        return self.patch.sky

    @functools.cached_property
    def observation(self) -> MeasuredObservation:
        """The filtered fields, as those of a periodic patch."""
        return self.patch.observation(self.unmasked)

    @functools.cached_property
    def filter(self) -> WienerFilter:
        """That of the observed maps."""
        return self._filter(None)

    @functools.cached_property
    def template(self) -> LensingTemplate:
        """Of what an estimate of κ does to the filtered fields."""
        return LensingTemplate(self.observation)

    @property
    def grid(self) -> ProductGrid:
        """That templates are made on."""
        return self.template.grid

    @property
    def counts(self) -> tuple[int, int]:
        """The number of features of stage 0, and of each later one."""
        return len(self.pairs), most_features(self.pairs)

    @property
    def power_modes(self) -> int:
        """None: nothing is measured that weighs a stage."""
        return 0

    @functools.cached_property
    def _residual_b(self) -> list[NDArray[np.float64]]:
        """C_l^BB of the sky that each stage's estimate leaves."""
        found = forecasts_of(self.observation, self.pairs, self.kappa_power)
        return [forecast.residual_b for forecast in found]

    def features(self, stage: Stage, number: int) -> FilteredFeatures:
        """Returns the features of a stage."""
        if number == 0:
            return FilteredFeatures(self, self.observation, self.pairs, self.filter)
        if number not in self._later:
            residual_b = self._residual_b[min(number, len(self._residual_b)) - 1]
            observation = self.observation
            if "EB" in self.pairs:
                b, beam = residual_b - observation.signal("B", "B"), observation.beam
                power = dict(observation.power)
                power["BB"] = np.where(observation.used, power["BB"] + beam**2 * b, 0.0)
                observation = weighed(observation, power)
            again = [pair for pair in AGAIN if pair in self.pairs]
            self._later[number] = FilteredFeatures(
                self, observation, again, self._filter(residual_b)
            )
        return self._later[number]

    @functools.cached_property
    def _later(self) -> dict[int, FilteredFeatures]:
        return {}

    def is_weighed(self, number: int) -> bool:
        """Says no: the power of B that is left is the forecast's."""
        return False

    def left(self, legs: Legs, kappa: Modes | None) -> dict[str, Modes]:
        """Returns nothing."""
        return {}

    def weighed_by(self, power: Mapping[str, NDArray[np.float64]]) -> Stage:
        """Returns a stage without gains."""
        return Stage(np.zeros(0))

    def fields(self, batch: Mapping[str, NDArray]) -> Mapping[str, NDArray]:
        """Filters maps.

        Args:
          batch: "lensed", µK, (n, npix, npix, channels), and "mask" where each has its own; without
            it the holes of maps that are masked with their noise are where these are zero.

        Returns:
          Fields, and what later stages need of the maps.

        Raises:
          LensingError: the signal has holes, and there is no mask that says where.
        """
        if self.has_holes and MASK not in batch:
            if self.patch.masked == "signal":
                raise LensingError(
                    "these maps have holes in their signal, each in other places, which noise "
                    "hides: give their masks with them"
                )
            batch = {**batch, MASK: self.patch.masks_seen_in(batch[LENSED])[..., None]}
        parts = [self._fields(few) for few in _few(batch)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def filtered(self, batch: Mapping[str, NDArray]) -> dict[str, Modes]:
        """Filters maps, for estimators that do not go on; arguments and errors as of `fields`."""
        found = self.fields(batch)
        return {name: found[name] for name in "TEB" if name in found}

    def _fields(self, batch: Mapping[str, NDArray]) -> Mapping[str, NDArray]:
        masks = batch[MASK][..., 0] if MASK in batch else None
        weighted = self.filter.weighted(batch[LENSED], masks)
        found: dict[str, NDArray] = {**self.filter.of_weighted(weighted)}
        found |= {_of_map(name): values for name, values in weighted.maps.items()}
        return found | {_SIGNAL: weighted.signal}

    def _filter(self, residual_b: NDArray[np.float64] | None) -> WienerFilter:
        return WienerFilter(
            self.patch, self.observation, self.channels, residual_b, tolerance=self.tolerance
        )


class FilteredFeatures:
    """The features of a stage.

    Args:
      method: as of `ByFilteredTemplate`.
      observation: the fields that this stage estimates from.
      pairs: that it estimates.
      by: its filter.

    Attributes:
      estimators: of each of its pairs.
      filter: as given.
    """

    def __init__(
        self,
        method: ByFilteredTemplate,
        observation: Observation,
        pairs: Sequence[str],
        by: WienerFilter,
    ):
        self._method, self.filter = method, by
        self._beam = method.observation.beam.astype(np.float32)
        self.estimators = {
            pair: QuadraticEstimator(pair, observation, kappa_power=method.kappa_power)
            for pair in pairs
        }

    def first(self, fields: Fields) -> list[Modes]:
        """Returns the estimates of stage 0, each (n, npix, npix // 2 + 1)."""
        return [estimator.kappa(fields) for estimator in self.estimators.values()]

    def again(self, fields: Fields, kappa: Modes) -> list[Modes]:
        """Returns the estimates from maps that are delensed by the last estimate of κ."""
        legs = as_legs(fields)
        delensed = legs.replaced(self.residual(legs, kappa))
        less_b = legs.replaced({"B": delensed["B"]}) if "B" in legs else legs
        return [
            estimator.kappa(found)
            for pair, estimator in self.estimators.items()
            for found in estimated_from(pair, less_b, delensed)
        ]

    def residual(self, legs: Legs, kappa: Modes) -> dict[str, Modes]:
        """Returns the fields of maps less what lensing by κ does to them.

        Args:
          legs: as of `ByFilteredTemplate.fields`.
          kappa: half planes.
        """
        template = self._method.template.of(legs, kappa)
        # Real maps, which the fields carry along.
        observed: Mapping[str, NDArray] = legs
        maps = {name: observed[_of_map(name)] for name in self._method.channels}
        left = self.filter.less(Weighted(maps, observed[_SIGNAL]), template)
        # In the interior this is what the filter will find.
        near = {name: legs[name] - self._beam * delta for name, delta in template.items()}
        return self.filter.of_weighted(left, near)

    def reached(self, fields: Fields, kappa: Modes, new: Modes) -> Modes:
        """Returns the new estimate."""
        return new


def _few(batch: Mapping[str, NDArray]) -> Iterator[dict[str, NDArray]]:
    names = [name for name in (LENSED, MASK) if name in batch]
    for start in range(0, len(batch[LENSED]), _TOGETHER):
        yield {name: batch[name][start : start + _TOGETHER] for name in names}


def _of_map(channel: str) -> str:
    return f"map of {channel}"
