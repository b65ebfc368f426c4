"""The iterated quadratic estimator of κ: lensing is taken off, and what is left estimated again.

Stage 0 is the quadratic estimate of every pair of fields, combined. From then on, with κ_k the last
estimate and δ the template of what lensing by κ_k does to the filtered fields (`lensing_template`),

    B_res = B − b δB,  E_del = E − b δE,  T_del = T − b δT,

and κ_k+1 is the combination of the first estimates, of κ_k, and of the quadratic estimates of
(E, B_res), (E_del, B_res), (E_del, E_del), (T, B_res) and (T_del, T_del), those that the channels
have, with the residual B power in the weights (Seljak & Hirata 2004, astro-ph/0310163, iterate
likewise; Hirata & Seljak 2003, astro-ph/0306354, maximise the likelihood).

The combinations are linear, with one gain a feature in each ring of L, found by least squares on
examples (`fitting`): κ̂ is then the best linear function of the features, and is Wiener-filtered.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from estimators.iterated.threads import in_threads
from estimators.lensing_template import LensingTemplate
from estimators.quadratic.legs import Factors, Legs, as_legs, blocks
from estimators.quadratic.measured import MeasuredObservation
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky

Modes = NDArray[np.complexfloating]
Fields = Mapping[str, Modes]
Observed = TypeVar("Observed")

AGAIN = ("TT", "EE", "EB", "TB")
"""The pairs that later stages estimate, of those that there are."""

_FEWEST_MODES = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """Fitted numbers of a stage.

    Attributes:
      gains: (features, rings) float64, the features in the order of `stage_features`.
      residual_b: (rings,) float64, the observed power of B_res, µK², that weighs this stage's
        estimates; empty for stage 0 and where there is no B.
    """

    gains: NDArray[np.float64]
    residual_b: NDArray[np.float64]


def rings_of(sky: FlatSky) -> Bins:
    """Returns the rings of modes that have a gain each."""
    return Bins.fundamental(sky, fewest=_FEWEST_MODES)


class IteratedEstimator:
    """Estimates κ in stages.

    Args:
      observation: what the observed fields hold, and which modes are used.
      pairs: of fields, that stage 0 combines.
      stages: as they were fitted, at least one.

    Attributes:
      stages: as given.
      sky: the patch.
    """

    def __init__(self, observation: Observation, pairs: Sequence[str], stages: Sequence[Stage]):
        self.stages = tuple(stages)
        self.sky = observation.sky
        self._steps = [
            StageFeatures(observation, pairs, stage.residual_b if number else None)
            for number, stage in enumerate(stages)
        ]
        self._gains = [gains_of(stage, observation.sky) for stage in stages]

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
            return [estimate for _, estimate in each_estimate(self._steps, self._gains, legs)]

        parts = (legs for _, legs in blocks(fields, self._steps[0].template.grid))
        return in_threads(estimates, parts, threads)


def gains_of(stage: Stage, sky: FlatSky) -> list[Factors]:
    """Returns a stage's gains as factors of each mode."""
    return [Factors(gain) for gain in rings_of(sky).spread(stage.gains)]


def each_estimate(
    steps: Sequence[StageFeatures], gains: Sequence[Sequence[Factors]], legs: Legs
) -> Iterator[tuple[list[Modes], Modes]]:
    """Yields the features of each stage and what its gains make of them.

    Args:
      steps: at least one.
      gains: of each, from `gains_of`.
      legs: of a few maps.
    """
    first = steps[0].first(legs)
    estimate = combined(gains[0], first)
    yield first, estimate
    for step, gain in zip(steps[1:], gains[1:], strict=True):
        features = [*first, estimate, *step.again(legs, estimate)]
        estimate = combined(gain, features)
        yield features, estimate


def combined(gains: Sequence[Factors], features: Sequence[Modes]) -> Modes:
    """Returns Σ_i g_i f_i, the gains given for each mode."""
    total = gains[0].times(features[0])
    for gain, feature in zip(gains[1:], features[1:], strict=True):
        total += gain.times(feature)
    return total


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
        if residual_b is None:
            self.estimators = {pair: QuadraticEstimator(pair, observation) for pair in pairs}
            return
        weighed = observation
        if len(residual_b):
            weighed = with_residual_b(observation, residual_b)
        self.estimators = {
            pair: QuadraticEstimator(pair, weighed) for pair in AGAIN if pair in pairs
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
    names = ("TT", "EE", "TE")
    power = {name: observation.total(*name) for name in names}
    power["BB"] = rings_of(observation.sky).spread(residual_b)
    return MeasuredObservation(
        observation.sky,
        observation.spectra,
        observation.beam_arcmin,
        lmin=observation.lmin,
        lmax=observation.lmax,
        wrapped=observation.wrapped,
        power=power,
    )
