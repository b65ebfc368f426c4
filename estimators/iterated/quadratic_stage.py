"""Quadratic estimates of every pair of fields, and the gains that combine them: stage 0 by itself.

The estimates are those of the judge's references: with weights of theory where that holds, else of
measured spectra, and then, where maps carry power that a real sky does not, both with the ordinary
modes and with all. Masked maps are filtered first, where theory describes them but for the mask,
and their gains fitted inside it (`filtered_template`). The combination is the iterated
estimator's: the best linear one, ring by ring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.filtering.masked_patch import is_filtered
from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.iterated.iterated_estimator import Stage, rings_of
from estimators.iterated.ring_regression import RingRegression
from estimators.quadratic.fields import fields_of
from estimators.quadratic.measured import measured_observations, measured_power
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator, pairs_of
from lensing_tfds import realism
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.sky import spectra
from lensing_tfds.sky.spectra import PowerSpectra

Batches = Iterable[Mapping[str, NDArray]]


def quadratic_estimators(
    config: LensingConfig, table: PowerSpectra, examples: Batches
) -> list[QuadraticEstimator]:
    """Returns the quadratic estimators of a config's maps.

    Args:
      config: the version.
      table: the spectra of its cosmology.
      examples: with "lensed", of which spectra are measured where theory does not hold.

    Raises:
      LensingError: spectra are to be measured, and there are too few examples.
    """
    pairs = pairs_of(config)
    if is_filtered(config):
        features = ByFilteredTemplate.of(config, table).features(Stage(np.zeros(0)), 0)
        return list(features.estimators.values())
    if realism.estimator_theory_holds(config):
        observation = Observation.of(config, table)
        kappa = spectra.at_multipoles(table.kappa, config.sky.ell)
        return [QuadraticEstimator(pair, observation, kappa_power=kappa) for pair in pairs]
    observations = measured_observations(config, table, measured_power(config, examples))
    return [
        QuadraticEstimator(pair, observation)
        for observation in observations.values()
        for pair in pairs
    ]


def fit_quadratic_stage(
    config: LensingConfig,
    estimators: Sequence[QuadraticEstimator],
    examples: Batches,
    method: ByFilteredTemplate | None = None,
) -> Stage:
    """Fits the gains of estimates to examples.

    Args:
      config: the version.
      estimators: at least one.
      examples: with "lensed" and "kappa", and "mask" where each has its own.
      method: filters maps; None takes them as they are.

    Raises:
      TooFewExamplesError: there are too few for the gains.
    """
    sky = config.sky
    window = None if method is None else method.patch.interior
    has_mean = window is not None or realism.has_mean_field(config)
    regression = RingRegression(rings_of(sky), len(estimators), has_mean, window)
    for batch in examples:
        if method is None:
            fields = fields_of(batch[LENSED], config.channels, sky)
        else:
            fields = method.filtered(batch)
        kappa = sky.to_modes(np.ascontiguousarray(batch[KAPPA][..., 0]))
        regression.add(kappa, [estimator.kappa(fields) for estimator in estimators])
    return Stage(
        regression.gains(), mean_field=regression.mean_field(), filters=regression.filters()
    )
