"""Estimates of κ of the first test examples of v11, as good as quadratic ones, and mistakes."""

import functools

import numpy as np

from estimators.benchmark.coarse_maps import CoarseMaps
from lensing_tfds import VERSIONS, simulate

CONFIG = VERSIONS["v11"]
SKY = CONFIG.sky
NUMBER = 16
L = np.maximum(SKY.ell, SKY.fundamental)


@functools.cache
def examples():
    return simulate("v11", "test", range(NUMBER))


def kappa():
    return examples()["kappa"][..., 0]


def filtered(maps, factor):
    return SKY.to_map(SKY.to_modes(maps.astype(np.float64)) * factor)


@functools.cache
def unbiased():
    """κ, and noise of the power that makes ρ_L fall from 0.99 to 0.03."""
    rho = 1 / (1 + (L / 700) ** 2)
    modes = SKY.to_modes(kappa().astype(np.float64))
    white = SKY.to_modes(np.random.default_rng(1).standard_normal(kappa().shape))
    scale = np.sqrt((np.abs(modes) ** 2).mean(axis=0) / (np.abs(white) ** 2).mean(axis=0))
    return SKY.to_map(modes + white * scale * np.sqrt(1 / rho**2 - 1)).astype(np.float32)


@functools.cache
def wiener():
    """The same, filtered: their response is ρ_L²."""
    return filtered(unbiased(), 1 / (1 + (L / 700) ** 2) ** 2).astype(np.float32)


def coarse(estimate, index=None):
    index = np.arange(NUMBER) if index is None else index
    return CoarseMaps.of(SKY, [(index, kappa(), estimate)])
