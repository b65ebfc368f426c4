"""Expected skewness of a config's κ and foregrounds, where these are not Gaussian."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.kappa_fields import KappaField
from lensing_tfds.sky import foreground_spectra, instrument, third_moments
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.spectra import PowerSpectra

ERROR = 0.01
"""Relative error of what is expected: of the triple sum in third moments, which is cut off, and of
the third moments of the thermal effect with clustered galaxies."""


def third_moment(feature: str, config: LensingConfig, table: PowerSpectra) -> float:
    """Returns ⟨x³⟩ of the pixels of "kappa" or "foregrounds"; zero where they are Gaussian.

    Args:
      feature: which.
      config: the version.
      table: its spectra.
    """
    kernel = _pixels(config.internal, config.box)
    if feature == "kappa":
        return _of_kappa(config, table, kernel)
    assert config.foregrounds is not None
    kernel = kernel * instrument.beam(config.internal.ell, config.beam_arcmin)
    return _of_foregrounds(config, kernel)


def _of_kappa(config: LensingConfig, table: PowerSpectra, kernel: NDArray[np.float64]) -> float:
    sky, field = config.internal, KappaField(config, table)
    if math.isinf(field.scale):
        return 0.0
    if config.kappa_lmax is not None:
        kernel = kernel * (sky.ell <= config.kappa_lmax)
    uncut = kappa_power(dataclasses.replace(config, kappa_lmax=None), table, sky.ell)
    power = [(field.scale, uncut / sky.area)]
    return third_moments.third_moment(power, power, kernel, sky)


def _of_foregrounds(config: LensingConfig, kernel: NDArray[np.float64]) -> float:
    assert config.foregrounds is not None
    sky = config.internal
    amplitudes = config.foregrounds.amplitudes
    total = 0.0
    for name in ("radio", "dusty"):
        cumulant = foreground_spectra.sources(name, sky.pixel**2).cumulant(3)
        cumulant *= amplitudes[name] ** 3
        total += third_moments.pixel_third_moment(cumulant, kernel, sky)
    scales = {n: amplitudes[n] * foreground_spectra.lognormal_scale(n) for n in ("cib", "tsz")}
    both = amplitudes["cib"] * amplitudes["tsz"] * foreground_spectra.cib_tsz_cross(sky.ell)
    autos = {n: amplitudes[n] ** 2 * foreground_spectra.spectrum(n, sky.ell) for n in scales}
    pairs = [(scales[n], (autos[n] + both) / sky.area) for n in scales if scales[n]]
    triples = [(scales[n], autos[n] / sky.area) for n in scales if scales[n]]
    return total + third_moments.third_moment(pairs, triples, kernel, sky)


def _pixels(internal: FlatSky, box: FlatSky) -> NDArray[np.float64]:
    """Transfer function of the cut from one grid to another over the same side.

    A mode on the coarse grid's Nyquist lines is the sum of two over √2.
    """
    if internal.npix == box.npix:
        return np.ones(internal.ell.shape)
    factor = np.ones(internal.ell.shape)
    for l_axis in (internal.ly, internal.lx):
        number = np.round(np.abs(l_axis) / internal.fundamental)
        edge = np.where(2 * number == box.npix, math.sqrt(0.5), 1.0)
        factor = factor * np.where(2 * number <= box.npix, edge, 0.0)
    return factor
