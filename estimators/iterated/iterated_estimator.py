"""The iterated quadratic estimator of κ: lensing is taken off, and what is left estimated again.

Stage 0 is the quadratic estimate of every pair of fields, combined. From then on, with κ_k the last
estimate and δ the template of what lensing by κ_k does to the filtered fields (`lensing_template`),

    B_res = B − b δB,  E_del = E − b δE,  T_del = T − b δT,

and κ_k+1 is the combination of the first estimates, of κ_k, and of the quadratic estimates of
(E, B_res), (E_del, B_res), (E_del, E_del), (T, B_res) and (T_del, T_del), those that the channels
have, with the residual B power in the weights (Seljak & Hirata 2004, astro-ph/0310163, iterate
likewise; Hirata & Seljak 2003, astro-ph/0306354, maximise the likelihood).

Where T is among the channels, what is estimated from T remapped by κ_k comes beside it
(`template_and_remapping`): δT is of first order, and not enough for T's small scales.

The combinations are linear, with one gain a feature in each ring of L, found by least squares on
examples (`fitting`): κ̂ is then the best linear function of the features, and is Wiener-filtered.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from estimators.iterated.threads import in_threads
from estimators.lensing_template import LensingTemplate
from estimators.quadratic.convolution import ProductGrid
from estimators.quadratic.legs import Factors, Legs, as_legs, blocks
from estimators.quadratic.measured import MeasuredObservation, weighed
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from lensing_tfds.sky import spectra
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky

Modes = NDArray[np.complexfloating]
Fields = Mapping[str, Modes]
Observed = TypeVar("Observed")

AGAIN = ("TT", "EE", "EB", "TB")
"""The pairs that later stages estimate, of those that there are."""

_FEWEST_MODES = 16


def _none() -> NDArray[np.float64]:
    return np.zeros(0)


def _zero() -> NDArray[np.complex128]:
    return np.zeros((), np.complex128)


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """Fitted numbers of a stage.

    Attributes:
      gains: (features, rings) float64, in the order of its `Features`.
      residual_b: (rings,) float64, the observed power of B_res, µK², that weighs this stage's
        estimates; empty for stage 0 and where there is no B.
      power: (rings,) float64, of the remapped T, µK², which weighs this stage's estimates; empty
        where none is remapped.
      mean_field: what features times gains are on average, a half plane, complex, to be subtracted;
        a single zero where they have no mean.
      filters: (features, rings) float64, the best gains of each feature by itself, see
        `RingRegression.filters`; empty where nobody kept them.
      damped: whether the stage goes from the last estimate towards that of its gains only as far as
        the remapped T gets more like an unlensed sky, see `remapping`. No stage of an earlier
        release does.
    """

    gains: NDArray[np.float64]
    residual_b: NDArray[np.float64] = dataclasses.field(default_factory=_none)
    power: NDArray[np.float64] = dataclasses.field(default_factory=_none)
    mean_field: NDArray[np.complex128] = dataclasses.field(default_factory=_zero)
    filters: NDArray[np.float64] = dataclasses.field(default_factory=_none)
    damped: bool = False


def rings_of(sky: FlatSky) -> Bins:
    """Returns the rings of modes that have a gain each."""
    return Bins.fundamental(sky, fewest=_FEWEST_MODES)


class Features(Protocol):
    """The features of a stage."""

    def first(self, fields: Fields) -> list[Modes]:
        """Returns the estimates of stage 0, each (n, npix, npix // 2 + 1)."""

    def again(self, fields: Fields, kappa: Modes) -> list[Modes]:
        """Returns the estimates from fields that are delensed by the last estimate of κ."""

    def reached(self, fields: Fields, kappa: Modes, new: Modes) -> Modes:
        """Returns the estimate that the stage ends with: the new one, or short of it.

        Args:
          fields: observed.
          kappa: the last estimate.
          new: what the gains make of this stage's features.
        """


class Method(Protocol):
    """A way to delens, and what is estimated then.

    Attributes:
      sky: the patch.
      grid: that products are taken on.
      counts: how many features stage 0 has, and how many each later one.
      power_modes: on how many modes the power is measured that weighs a stage.
    """

    @property
    def sky(self) -> FlatSky: ...

    @property
    def grid(self) -> ProductGrid: ...

    @property
    def counts(self) -> tuple[int, int]: ...

    @property
    def power_modes(self) -> int: ...

    def features(self, stage: Stage, number: int) -> Features:
        """Returns the features of a stage, whose gains need not be known."""

    def is_weighed(self, number: int) -> bool:
        """Says whether the power of delensed fields weighs a stage."""

    def left(self, legs: Legs, kappa: Modes | None) -> dict[str, Modes]:
        """Returns those fields, "T", "B" or both, for the stage that follows an estimate.

        Args:
          legs: observed.
          kappa: the last estimate; None before stage 0.
        """

    def weighed_by(self, power: Mapping[str, NDArray[np.float64]]) -> Stage:
        """Returns a stage without gains, of the power of `left` in each ring, µK²."""


class StagedEstimator:
    """Estimates κ in stages.

    Args:
      method: how each of them estimates.
      stages: as they were fitted, at least one.

    Attributes:
      stages: as given.
      method: as given.
      sky: the patch.
    """

    def __init__(self, method: Method, stages: Sequence[Stage]):
        self.method = method
        self.stages = tuple(stages)
        self.sky = method.sky
        self._grid = method.grid
        self._steps = [method.features(stage, number) for number, stage in enumerate(stages)]
        self._combinations = [Combination(stage, method.sky) for stage in stages]

    def kappa(self, fields: Fields, threads: int | None = None) -> Modes:
        """Estimates κ.

        Args:
          fields: "T", or "E" and "B", or all, to half planes of the observed maps, µK, complex64
            of shape (n, npix, npix // 2 + 1), not divided by the beam.
          threads: each of them estimates a few maps; None is one for each core. The estimate does
            not depend on them.

        Returns:
          Half planes of κ̂, same shape and dtype: its posterior mean among the linear functions of
          the features.
        """
        return np.concatenate([estimates[-1] for estimates in self.by_stage(fields, threads)])

    def by_stage(self, fields: Fields, threads: int | None = None) -> Iterator[list[Modes]]:
        """Yields, for a few maps after the other, the estimate of each stage; as of `kappa`."""

        def estimates(legs: Legs) -> list[Modes]:
            found = each_estimate(self._steps, self._combinations, legs)
            return [estimate for _, estimate in found]

        parts = (legs for _, legs in blocks(fields, self._grid))
        return in_threads(estimates, parts, threads)


class Combination:
    """The estimate that a stage makes of its features, Σ_i g_i f_i less its mean.

    Args:
      stage: fitted.
      sky: the patch.
    """

    def __init__(self, stage: Stage, sky: FlatSky):
        self._gains = [Factors(gain) for gain in rings_of(sky).spread(stage.gains)]
        self._mean_field = stage.mean_field

    def of(self, features: Sequence[Modes]) -> Modes:
        """Returns the estimate, (n, npix, npix // 2 + 1)."""
        total = self._gains[0].times(features[0])
        for gain, feature in zip(self._gains[1:], features[1:], strict=True):
            total += gain.times(feature)
        if self._mean_field.ndim:
            total -= self._mean_field.astype(total.dtype)
        return total


def each_estimate(
    steps: Sequence[Features], combinations: Sequence[Combination], legs: Legs
) -> Iterator[tuple[list[Modes], Modes]]:
    """Yields the features of each stage and its estimate.

    Args:
      steps: at least one.
      combinations: of each.
      legs: of a few maps.
    """
    first = steps[0].first(legs)
    estimate = combinations[0].of(first)
    yield first, estimate
    for step, combination in zip(steps[1:], combinations[1:], strict=True):
        features = [*first, estimate, *step.again(legs, estimate)]
        estimate = step.reached(legs, estimate, combination.of(features))
        yield features, estimate


@dataclasses.dataclass(frozen=True, eq=False)
class ByTemplate:
    """A `Method`: the fields less templates of what lensing by the last estimate did to them.

    Attributes:
      observation: what the observed fields hold, and which modes are used.
      pairs: of fields, that stage 0 combines.
    """

    observation: Observation
    pairs: tuple[str, ...]
    power_modes: ClassVar[int] = 2**20  # 1 % in each of many rings

    @property
    def sky(self) -> FlatSky:
        """The patch."""
        return self.observation.sky

    @functools.cached_property
    def _template(self) -> LensingTemplate:
        return LensingTemplate(self.observation)

    @property
    def grid(self) -> ProductGrid:
        """That templates are made on."""
        return self._template.grid

    @property
    def counts(self) -> tuple[int, int]:
        """The number of features of stage 0, and of each later one."""
        return len(self.pairs), most_features(self.pairs)

    def features(self, stage: Stage, number: int) -> StageFeatures:
        """Returns the features of a stage."""
        residual_b = stage.residual_b if number else None
        return StageFeatures(self.observation, self.pairs, residual_b)

    def is_weighed(self, number: int) -> bool:
        """Says whether the power of B weighs a stage."""
        return number > 0 and "EB" in self.pairs

    def left(self, legs: Legs, kappa: Modes | None) -> dict[str, Modes]:
        """Returns B less its template, if there is B."""
        if "B" not in legs:
            return {}
        if kappa is None:
            return {"B": legs["B"]}
        return {"B": legs["B"] - self._beam.times(self._template.of(legs, kappa)["B"])}

    def weighed_by(self, power: Mapping[str, NDArray[np.float64]]) -> Stage:
        """Returns a stage without gains, of the power of B in each ring."""
        return Stage(np.zeros(0), residual_b=power.get("B", _none()))

    @functools.cached_property
    def _beam(self) -> Factors:
        return Factors(self.observation.beam)


class StageFeatures:
    """The features of a stage: quadratic estimates that its gains combine.

    Args:
      observation: what the observed fields hold.
      pairs: that stage 0 combines.
      residual_b: as of `Stage`; None for stage 0.

    Attributes:
      estimators: of each pair that this stage estimates.
      template: of what the last estimate of κ did.
      beam: b_l of the modes used, (npix, npix // 2 + 1) float32.
    """

    def __init__(
        self,
        observation: Observation,
        pairs: Sequence[str],
        residual_b: NDArray[np.float64] | None,
    ):
        self.beam = observation.beam.astype(np.float32)
        self._beam = Factors(observation.beam)
        self.template = LensingTemplate(observation)
        kappa = None  # where spectra are measured, theory's κ is not that of the maps
        if not isinstance(observation, MeasuredObservation):
            kappa = spectra.at_multipoles(observation.spectra.kappa, observation.sky.ell)
        if residual_b is None:
            self.estimators = {
                pair: QuadraticEstimator(pair, observation, kappa_power=kappa) for pair in pairs
            }
            return
        delensed = observation
        if len(residual_b):
            delensed = with_residual_b(observation, residual_b)
        self.estimators = {
            pair: QuadraticEstimator(pair, delensed, kappa_power=kappa)
            for pair in AGAIN
            if pair in pairs
        }

    def first(self, fields: Fields) -> list[Modes]:
        """Returns the estimates of stage 0, each (n, npix, npix // 2 + 1)."""
        return [estimator.kappa(fields) for estimator in self.estimators.values()]

    def residual(self, fields: Fields, kappa: Modes) -> dict[str, Modes]:
        """Returns T, E and B, those that there are, less what lensing by κ does to them.

        Args:
          fields: observed, µK, (n, npix, npix // 2 + 1).
          kappa: same shape and dtype.
        """
        templates = self.template.of(as_legs(fields), kappa)
        return {name: fields[name] - self._beam.times(delta) for name, delta in templates.items()}

    def again(self, fields: Fields, kappa: Modes) -> list[Modes]:
        """Returns the estimates from fields that are delensed by the last estimate of κ."""
        legs = as_legs(fields)
        residual = self.residual(legs, kappa)
        less_b = legs.replaced({name: residual[name] for name in residual if name == "B"})
        delensed = less_b.replaced({name: residual[name] for name in residual if name != "B"})
        return [
            estimator.kappa(fields)
            for pair, estimator in self.estimators.items()
            for fields in estimated_from(pair, less_b, delensed)
        ]

    def reached(self, fields: Fields, kappa: Modes, new: Modes) -> Modes:
        """Returns the new estimate."""
        return new


def estimated_from(pair: str, less_b: Observed, delensed: Observed) -> list[Observed]:
    """Returns the fields that a later stage estimates a pair from, a set for each estimate.

    Args:
      pair: "TT", "EE", "EB" or "TB".
      less_b: the fields as they are, but for B, which is delensed.
      delensed: all delensed.
    """
    if pair in ("TT", "EE"):
        return [delensed]
    return [less_b, delensed] if pair == "EB" else [less_b]


def most_features(pairs: Sequence[str]) -> int:
    """Returns how many features a later stage has: first estimates, the last one, and new ones."""
    again = (estimated_from(pair, None, None) for pair in AGAIN if pair in pairs)
    return len(pairs) + 1 + sum(len(fields) for fields in again)


def with_residual_b(
    observation: Observation, residual_b: NDArray[np.float64]
) -> MeasuredObservation:
    """Returns an observation whose B modes have another power, given ring by ring, µK²."""
    if isinstance(observation, MeasuredObservation):
        power = dict(observation.power)
    else:
        power = {name: observation.total(*name) for name in ("TT", "EE", "TE")}
    power["BB"] = rings_of(observation.sky).spread(residual_b)
    return weighed(observation, power)
