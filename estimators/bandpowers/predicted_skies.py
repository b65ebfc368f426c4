"""Spectra of estimates that exist already: of some skies, of which the others are simulations.

Nobody can make further simulations for maps from files, nor such with another spectrum. But each is
of a sky whose κ is known: some are observed, and all others serve as their simulations.
"""

from __future__ import annotations

import numpy as np

from estimators.bandpowers.measurement import Measured
from estimators.bandpowers.rings import Rings
from estimators.bandpowers.sky_sets import SkyMaker, observed, refuse_own_kappa
from estimators.bandpowers.sky_spectra import SPECTRA, SkySpectra
from estimators.ensemble import SkyEnsemble
from estimators.estimator import zero
from estimators.predictions import Predictions
from lensing_tfds.errors import LensingError


def measure_predictions(
    predictions: Predictions, ensemble: SkyEnsemble, split: str, data: int
) -> Measured:
    """Measures the spectra of a split's estimates.

    Args:
      predictions: of all its examples.
      ensemble: what these are drawn from.
      split: "train", "validation" or "test".
      data: how many of them, the first ones, are observed.

    Raises:
      LensingError: they are not those of these examples, or none is left for simulations.
    """
    config = ensemble.config
    refuse_own_kappa(config)
    number = config.num_examples[split]
    if data >= number:
        raise LensingError(
            f"all {number} estimates in {predictions.workdir} are observed skies, and none is left "
            "for simulations, which response, noise bias and covariance are measured on: give a "
            "smaller --max_examples"
        )
    estimator = predictions.estimator(split, number)
    measures = SkySpectra(ensemble, zero(), quadratic=False, rdn0=0)
    maker = SkyMaker(config, ensemble.theory, observed(split))
    parts = []
    for start in range(0, number, maker.together):
        stop = min(start + maker.together, number)
        maps, kappa, _ = maker.skies(start, stop)
        estimates = estimator.kappa(maps, np.arange(start, stop))
        parts.append(measures.of_estimates(estimates, kappa, start))
    spectra = np.concatenate(parts)
    rings = Rings(config.sky)
    return Measured(
        estimator.label,
        f"lensing/{config.name}",
        rings,
        rings.mean(ensemble.kappa_power),
        {name: spectra[:data, i] for i, name in enumerate(SPECTRA)},
        {name: spectra[data:, i] for i, name in enumerate(SPECTRA)},
    )
