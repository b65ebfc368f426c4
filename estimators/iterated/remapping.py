"""The iterated estimator of T that was lensed far beyond first order, or on the maps' own pixels.

Stage 0 combines quadratic estimates of the map. From then on the map is remapped by the last
estimate κ_k, so that lensing by the rest of κ alone is left, and estimated again. A point y of the
unlensed sky is seen at x = y + β(y), with T̃(x) = T(x + ∇φ):

    T_k(y) = T̃(y + β),    β(y) = −∇φ_k(y + β),    T_k(y) = T(y + (∇φ − ∇φ_k)(x)),

where the inverse deflection β is found by fixed-point iteration (Carron & Lewis 2017,
arXiv:1704.08230, find it by Newton's). Estimates from T_k are of what is left as a function of y;
as a function of x, where κ is, their deflection is taken at y = x + ∇φ_k(x). Gains choose between
both.

The features are not normalised, for the gains do that: ∇(g T_k) · (w T_k), of which the divergence
is taken, on the map's own pixels, as products were when the sky was lensed there. The weights w are
the inverse of the observed power of T_k: in each ring of multipoles the mean of the examples, or
that of the map at hand where that is more, which holds back maps of large gradients. g is the
Wiener filter of the unlensed T, and 1.

Where lensing has put more power than the unlensed sky and the noise have, a map tells by itself how
well it is delensed, by

    χ²(κ) = Σ_l |T_κ(l)|² / (b² C_l^TT + N_l),

T_κ being the map remapped by κ. Without damping, some maps of `lensing/v5` go astray for some
stages or for good: their χ² is then several times the number of modes, and the gains of all suffer
from what such maps are fitted with. So a stage goes from κ_k towards the estimate of its gains as
far as χ² falls, to the least of the parabola through its values there, here and in the middle.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from estimators.iterated.iterated_estimator import Fields, Modes, Stage, rings_of
from estimators.quadratic.convolution import ProductGrid
from estimators.quadratic.legs import Legs
from estimators.quadratic.measured import measured_observations
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from lensing_tfds import realism
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import instrument, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.lensing import Deflection, deflection_from_kappa, remap, remap_together
from lensing_tfds.sky.spectra import PowerSpectra

LEAST_POWER = 1e-12
"""Of the largest: less is rounding of the maps, float32."""

INVERSIONS = 4
"""Iterations for the inverse of a deflection: eight add 0.001 to ρ where lensing is exaggerated 30
times."""


@dataclasses.dataclass(frozen=True, eq=False)
class ByRemapping:
    """A `Method`: the map remapped by the last estimate.

    Attributes:
      config: what is observed: T on a periodic patch.
      table: the spectra of its cosmology.
    """

    config: LensingConfig
    table: PowerSpectra
    power_modes: ClassVar[int] = 2**18  # 2 % in each of many rings
    new: ClassVar[int] = 4
    """Estimates from the remapped map that each later stage has."""

    @property
    def sky(self) -> FlatSky:
        """The patch."""
        return self.config.sky

    @functools.cached_property
    def damped(self) -> bool:
        """Says whether stages are: lensing adds more at some scale than sky and noise have."""
        ell = self.sky.ell
        expected = expected_power(self.config, self.table)
        raised = spectra.at_multipoles(self.table.lensed_TT - self.table.TT, ell)
        raised *= instrument.beam(ell, self.config.beam_arcmin) ** 2
        return bool(np.any((expected > 0) & (raised > expected)))

    @functools.cached_property
    def grid(self) -> ProductGrid:
        """The map's own pixels."""
        return ProductGrid(self.sky, self.sky.inner, wrapped=True)

    @property
    def counts(self) -> tuple[int, int]:
        """The number of features of stage 0, and of each later one."""
        first = 3 + (2 if realism.has_excess_power(self.config) else 1)
        return first, first + 1 + self.new

    def features(self, stage: Stage, number: int) -> RemapFeatures:
        """Returns the features of a stage."""
        return RemapFeatures(self.config, self.table, stage.power, number == 0, stage.damped)

    def is_weighed(self, number: int) -> bool:
        """Says whether the power of T weighs a stage: each."""
        return True

    def left(self, legs: Legs, kappa: Modes | None) -> dict[str, Modes]:
        """Returns the remapped T."""
        if kappa is None:
            return {"T": legs["T"]}
        deflection = deflection_from_kappa(kappa, self.sky)
        return {"T": remapped(legs["T"], deflection, self.sky)}

    def weighed_by(self, power: Mapping[str, NDArray[np.float64]]) -> Stage:
        """Returns a stage without gains, of the power of T in each ring."""
        return Stage(np.zeros(0), power=power["T"], damped=self.damped)


class RemapFeatures:
    """The features of a stage.

    Args:
      config: what is observed.
      table: the spectra of its cosmology.
      power: as of `Stage`.
      is_first: whether it is stage 0, which has the quadratic estimators as well.
      damped: as of `Stage`.

    Attributes:
      power: as given, but not less than rounding is, float64.
      unlensed: the power of the unlensed T behind the beam, µK², half plane.
      weights: of |T|² in χ², half plane, zero where nothing is expected, and on Nyquist lines,
        between whose pixels T is not known.
      damped: as given.
      estimators: the quadratic ones, of stage 0.
    """

    def __init__(
        self,
        config: LensingConfig,
        table: PowerSpectra,
        power: NDArray[np.float64],
        is_first: bool,
        damped: bool = False,
    ):
        self._sky, self.damped = config.sky, damped
        sky = config.sky
        self._rings = rings_of(sky)
        self.power = np.maximum(power, LEAST_POWER * power.max())
        self.unlensed = unlensed_power(config, table)
        expected = expected_power(config, table)
        self.weights = np.divide(
            sky.area, expected, out=np.zeros_like(expected), where=(expected > 0) & sky.inner
        )
        self.estimators: list[QuadraticEstimator] = []
        if is_first:
            observations = measured_observations(config, table, {"TT": self._rings.spread(power)})
            self.estimators = [QuadraticEstimator("TT", o) for o in observations.values()]

    def first(self, fields: Fields) -> list[Modes]:
        """Returns the estimates of stage 0, each (n, npix, npix // 2 + 1)."""
        t = fields["T"]
        every = self._flow(t, t, self._weights(self.power))  # the mean and Nyquist lines too
        return [e.kappa({"T": t}) for e in self.estimators] + [every, *self._flows(t)]

    def again(self, fields: Fields, kappa: Modes) -> list[Modes]:
        """Returns the estimates from T remapped by the last estimate of κ."""
        deflection = deflection_from_kappa(kappa, self._sky)
        left = self._flows(remapped(fields["T"], deflection, self._sky))
        return left + [self._where_it_is_seen(modes, deflection) for modes in left]

    def reached(self, fields: Fields, kappa: Modes, new: Modes) -> Modes:
        """Returns the estimate between both that leaves the least χ²; the new one if undamped."""
        if not self.damped:
            return new
        half = new.dtype.type(0.5)
        here, middle, there = (
            self._chi_squared(fields["T"], one) for one in (kappa, half * (kappa + new), new)
        )
        share = step_of_least(here, middle, there).astype(kappa.real.dtype)
        return kappa + share[:, None, None] * (new - kappa)

    def _chi_squared(self, t: Modes, kappa: Modes) -> NDArray[np.float64]:
        """That of T remapped by κ, for each map."""
        left = remapped(t, deflection_from_kappa(kappa, self._sky), self._sky)
        weighed = np.abs(left) ** 2 * (self.weights * self._sky.mode_counts)
        return np.sum(weighed, axis=(1, 2), dtype=np.float64)

    def _flows(self, t: Modes) -> list[Modes]:
        """Of the modes that are not on Nyquist lines: between pixels these are not known."""
        sky, inner = self._sky, self._sky.inner.astype(np.float32)
        own = self._rings.mean(np.abs(t) ** 2) * sky.area
        power = self._rings.spread(np.maximum(self.power, own))
        wiener = np.divide(self.unlensed, power, out=np.zeros_like(power), where=power > 0)
        wiener = np.minimum(wiener, 1).astype(np.float32)
        t = t * inner
        weights = self._weights(np.maximum(self.power, own))
        return [self._flow(t * wiener, t, weights), self._flow(t, t, weights)]

    def _weights(self, power: NDArray[np.float64]) -> NDArray[np.float32]:
        """1 / power, at most 1, by (..., rings)."""
        least = np.full_like(power, LEAST_POWER * self.power.max())
        weights = np.divide(least, power, out=np.zeros_like(power), where=power > 0)
        return self._rings.spread(weights).astype(np.float32)

    def _flow(self, steep: Modes, flat: Modes, weights: NDArray[np.float32]) -> Modes:
        """The divergence of ∇steep · (weights × flat)."""
        sky = self._sky
        values = sky.to_map(flat * weights)
        d_y, d_x = (factor.astype(steep.dtype) for factor in sky.gradient)
        along_y, along_x = (sky.to_modes(values * sky.to_map(steep * d)) for d in (d_y, d_x))
        return d_y * along_y + d_x * along_x

    def _where_it_is_seen(self, kappa: Modes, deflection: Deflection) -> Modes:
        """κ of an estimate's deflection, which is given at y, as a function of x."""
        sky = self._sky
        left = [sky.to_modes(component) for component in deflection_from_kappa(kappa, sky)]
        along_y, along_x = sky.to_modes(remap_together(left, deflection, sky))
        d_y, d_x = (factor.astype(kappa.dtype) for factor in sky.gradient)
        return (d_y * along_y + d_x * along_x) * kappa.dtype.type(-0.5)


def unlensed_power(config: LensingConfig, table: PowerSpectra) -> NDArray[np.float64]:
    """Returns the power of the unlensed T behind the beam, µK², half plane."""
    ell = config.sky.ell
    unlensed = spectra.at_multipoles(table.TT, ell) * instrument.beam(ell, config.beam_arcmin) ** 2
    return unlensed if config.T_lmax is None else unlensed * (ell <= config.T_lmax)


def expected_power(config: LensingConfig, table: PowerSpectra) -> NDArray[np.float64]:
    """Returns the power of a map that is delensed perfectly, noise and all, µK², half plane."""
    ell = config.sky.ell
    foregrounds = config.foreground_power("T", ell) * instrument.beam(ell, config.beam_arcmin) ** 2
    return unlensed_power(config, table) + foregrounds + config.noise_power("T", ell)


def step_of_least(
    here: NDArray[np.float64], middle: NDArray[np.float64], there: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns where, from 0 to 1, a parabola through values at 0, 1/2 and 1 is least.

    NaN where one of them is.
    """
    curvature, slope = 2 * (here - 2 * middle + there), 4 * middle - 3 * here - there
    flat = curvature <= 0
    ends = np.where(there < here, 1.0, 0.0)
    least = np.divide(-slope, 2 * curvature, out=ends, where=~flat)
    return np.clip(least, 0.0, 1.0)


def remapped(t: Modes, deflection: Deflection, sky: FlatSky) -> Modes:
    """Takes lensing by a deflection off lensed maps.

    Args:
      t: half planes of the maps, (n, npix, npix // 2 + 1).
      deflection: that they were lensed by, as of `lensing.deflection_from_kappa`.
      sky: the patch.

    Returns:
      Half planes, same shape and dtype.
    """
    components = [sky.to_modes(component) for component in deflection]
    d_y, d_x = (-component for component in deflection)
    for _ in range(INVERSIONS - 1):
        d_y, d_x = -remap_together(components, (d_y, d_x), sky)
    return sky.to_modes(remap(t, (d_y, d_x), sky))
