"""Quadratic estimators as anything that is judged: from lensed maps to maps of κ."""

import numpy as np

from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from estimators.quadratic.wiener import wiener_filter
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.sky import polarization, spectra


def quadratic(config, pair, curl=False, filtered=True):
    """(a function from maps to Wiener-filtered κ, or to κ as it is; the estimator)."""
    sky = config.sky
    observation = Observation(
        sky, spectra.fiducial(), config.beam_arcmin, config.noise_uK_arcmin, lmin=100
    )
    estimator = QuadraticEstimator(pair, observation, curl)
    gain = 1.0
    if filtered:
        gain = wiener_filter(kappa_power(config, spectra.fiducial(), sky.ell), estimator.noise)

    def kappa(maps):
        modes = {
            name: sky.to_modes(maps[..., i].astype(float)) for i, name in enumerate(config.channels)
        }
        if "Q" in modes:
            modes["E"], modes["B"] = polarization.to_eb(modes["Q"], modes["U"], sky)
        return sky.to_map(estimator.kappa(modes) * gain)[..., None].astype(np.float32)

    return kappa, estimator
