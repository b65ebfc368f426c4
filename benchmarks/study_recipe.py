"""The recipe of the study that this project grew from, written anew: what we compare with."""

import numpy as np
from scipy.interpolate import RectBivariateSpline

from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import spectra

PHI_LMAX = 3500  # where the study cut the lensing potential


def remap(unlensed, shift_y, shift_x):
    """Interpolates a map at shifted pixels by a bicubic spline, clamped at the patch's edges.

    Args:
      unlensed: (npix, npix).
      shift_y: shift of each pixel along y, in pixels, (npix, npix).
      shift_x: the same along x.
    """
    axis = np.arange(len(unlensed))
    spline = RectBivariateSpline(axis, axis, unlensed)
    y = np.clip(axis[:, None] + shift_y, 0, axis[-1])
    x = np.clip(axis[None, :] + shift_x, 0, axis[-1])
    return spline(y, x, grid=False)


class Simulator:
    """One example at a time: NaMaster draws T and φ, a spline remaps T."""

    def __init__(self, config: LensingConfig):
        table = spectra.fiducial()
        ell = np.arange(table.lmax + 1.0)
        lmax = int(np.sqrt(2) * np.pi * config.npix / config.side) + 2  # the grid's corners
        self._temperature = table.TT[: lmax + 1]
        phi = np.divide(
            4 * table.kappa, (ell * (ell + 1)) ** 2, where=ell > 1, out=np.zeros_like(ell)
        )
        self._phi = np.where(ell <= PHI_LMAX, phi, 0)[: lmax + 1]
        frequency = 2 * np.pi * np.fft.fftfreq(config.npix, config.side / config.npix)
        self._ly, self._lx = frequency[:, None], frequency[None, :]
        self._config = config
        self._generator = np.random.default_rng(0)

    def example(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns (lensed, κ), each (npix, npix)."""
        import pymaster as nmt

        npix, side = self._config.npix, self._config.side
        (unlensed,) = nmt.synfast_flat(npix, npix, side, side, [self._temperature], [0], seed=seed)
        (phi,) = nmt.synfast_flat(npix, npix, side, side, [self._phi], [0], seed=seed + 2**20)
        phi_l = np.fft.fft2(phi)
        shift_y = np.fft.ifft2(1j * self._ly * phi_l).real * npix / side
        shift_x = np.fft.ifft2(1j * self._lx * phi_l).real * npix / side
        kappa = np.fft.ifft2((self._lx**2 + self._ly**2) / 2 * phi_l).real
        lensed = remap(unlensed, -shift_y, -shift_x)  # the study's sign
        noise = 5.0 * npix / (np.degrees(side) * 60)
        return lensed + noise * self._generator.standard_normal(lensed.shape), kappa
