"""Fits the gains of the iterated estimator to examples, one stage after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.iterated.iterated_estimator import IteratedEstimator, Stage, StageFeatures, rings_of
from estimators.iterated.ring_regression import RingRegression, TooFewExamplesError
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.sky.spectra import PowerSpectra

Examples = Callable[[], Iterable[Mapping[str, NDArray]]]
"""A function that streams examples with "lensed" and "kappa", from the first on, each time."""

_POWER_MODES = 2**20  # of B, on which the residual power is measured: 1 % in each of many rings
_FEWEST_SKIES = 16

MOST_STAGES, LEAST_GAIN = 6, 3e-4


def fit(
    config: LensingConfig,
    table: PowerSpectra,
    examples: Examples,
    most_stages: int = MOST_STAGES,
    least_gain: float = LEAST_GAIN,
    report: Callable[[int, float], object] = lambda stage, rho: None,
) -> IteratedEstimator:
    """Fits stages until one adds less than `least_gain` to the correlation with κ.

    Memory does not grow with the examples: they are streamed twice a stage, and estimated anew.

    Args:
      config: the version.
      table: the spectra of its cosmology.
      examples: for training; not those that the estimator will be judged on.
      most_stages: stop after so many.
      least_gain: in map-level correlation.
      report: told of each stage's number and its correlation on these examples.

    Raises:
      TooFewExamplesError: there are too few examples for the gains.
    """
    stages: list[Stage] = []
    correlations: list[float] = []
    for stage, rho in each_stage(config, table, examples):
        stages.append(stage)
        correlations.append(rho)
        report(len(stages) - 1, rho)
        if are_enough(correlations, most_stages, least_gain):
            break
    return IteratedEstimator(Observation.of(config, table), pairs_of(config), stages)


def are_enough(
    correlations: Sequence[float],
    most_stages: int = MOST_STAGES,
    least_gain: float = LEAST_GAIN,
) -> bool:
    """Says whether no further stage is due.

    Args:
      correlations: with κ, of the stages that there are.
      most_stages: as of `fit`.
      least_gain: as of `fit`.
    """
    *_, last, new = (-math.inf, -math.inf, *correlations)
    return len(correlations) >= most_stages or new - last < least_gain


def each_stage(
    config: LensingConfig, table: PowerSpectra, examples: Examples, stages: Sequence[Stage] = ()
) -> Iterator[tuple[Stage, float]]:
    """Fits one stage after the other, without an end.

    Args:
      config: the version.
      table: the spectra of its cosmology.
      examples: for training.
      stages: that were fitted before.

    Yields:
      The next stage, and its map-level correlation with κ on these examples.

    Raises:
      TooFewExamplesError: there are too few examples for the gains.
    """
    sky = config.sky
    rings = rings_of(sky)
    observation = Observation.of(config, table)
    pairs = pairs_of(config)

    def batches() -> Iterator[tuple[dict[str, NDArray], NDArray]]:
        for batch in examples():
            fields = fields_of(batch[LENSED], config.channels, sky)
            yield fields, sky.to_modes(np.ascontiguousarray(batch[KAPPA][..., 0]))

    first = StageFeatures(observation, pairs, None)
    done = list(stages)
    while True:
        fitted = IteratedEstimator(observation, pairs, done) if done else None
        residual_b = np.zeros(0)
        if fitted and "EB" in pairs:
            residual_b = _residual_power(batches(), fitted, first)
        step = StageFeatures(observation, pairs, residual_b) if done else first
        regression: RingRegression | None = None
        for fields, kappa in batches():
            features = first.first(fields)
            if fitted:
                previous = fitted.kappa(fields)
                features += [previous, *step.again(fields, previous)]
            regression = regression or RingRegression(rings, len(features))
            regression.add(kappa, features)
        if regression is None:
            raise TooFewExamplesError("there is none, and gains need examples")
        done.append(Stage(regression.gains(), residual_b))
        yield done[-1], regression.correlation()


def _residual_power(
    batches: Iterable[tuple[dict[str, NDArray], NDArray]],
    fitted: IteratedEstimator,
    features: StageFeatures,
) -> NDArray[np.float64]:
    """The mean power of the observed B less its template, in each ring, µK²."""
    sky = fitted.sky
    wanted = max(_FEWEST_SKIES, math.ceil(_POWER_MODES / sky.ell.size))
    total = np.zeros(sky.ell.shape)
    n = 0
    for fields, _ in batches:
        few = {name: modes[: wanted - n] for name, modes in fields.items()}
        residual = features.residual(few, fitted.kappa(few))["B"]
        total += np.sum(np.abs(residual) ** 2, axis=0, dtype=np.float64)
        n += len(residual)
        if n == wanted:
            break
    return rings_of(sky).mean(total * sky.area / n)
