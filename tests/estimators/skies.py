"""Gaussian κ maps and estimates of them whose quality is known."""

import numpy as np

from estimators import estimator
from estimators.ensemble import SkyEnsemble
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.sky import spectra

CONFIG = LensingConfig(name="small", npix=16, lx=20.0, kappa_lmax=100)
ENSEMBLE = SkyEnsemble.of(CONFIG)


def grid_multipoles(npix, side):
    """|l| of every mode of the whole plane, (npix, npix), FFT order: not the project's."""
    axis = 2 * np.pi * np.fft.fftfreq(npix, side / npix)
    return np.hypot(axis[:, None], axis)


def band_average(bands, c_ell):
    """The mean of a spectrum at `grid_multipoles` over each band's modes, one by one."""
    ell = grid_multipoles(bands.sky.npix, bands.sky.side)
    edges = zip(bands.edges[:-1], bands.edges[1:], strict=True)
    return np.array([c_ell[(ell > low) & (ell < high)].mean() for low, high in edges])


def gaussian_maps(c_ell, side, n, rng):
    """White maps, filtered: not the project's generator, and right in every mode by construction.

    c_ell is the spectrum at `grid_multipoles`, (npix, npix); the maps are (n, npix, npix).
    """
    npix = c_ell.shape[0]
    white = rng.standard_normal((n, npix, npix)) * npix / side  # C_l = 1
    return filtered(white, np.sqrt(c_ell))


def filtered(maps, gain):
    return np.fft.ifft2(np.fft.fft2(maps) * gain).real


def kappa_maps(n, rng):
    ell = grid_multipoles(CONFIG.npix, CONFIG.side)
    return gaussian_maps(kappa_power(CONFIG, spectra.fiducial(), ell), CONFIG.side, n, rng)


def batches(kappa, batch_size=32):
    """What `reading.evaluation_batches` yields; the lensed map is 1000 times κ."""
    for start in range(0, len(kappa), batch_size):
        maps = kappa[start : start + batch_size, :, :, None].astype(np.float32)
        index = np.arange(start, start + len(maps))
        yield {"lensed": 1000 * maps, "unlensed": maps, "kappa": maps, "index": index}


def oracle(estimate, batch_size=32):
    """One network that gives these estimates, whatever it sees, as the judge takes it."""
    starts = iter(range(0, len(estimate), batch_size))

    def predict(lensed):
        start = next(starts)
        return estimate[start : start + len(lensed), :, :, None].astype(np.float32)

    return [estimator.network(predict)]
