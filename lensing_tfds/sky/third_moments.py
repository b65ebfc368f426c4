"""Third moments of smoothed lognormal fields, and the scale that gives one its skewness.

The three-point function of lognormal fields F_i of scales m_i and correlations ξ_ij = m_i m_j η_ij
(Coles & Jones 1991) is

    ⟨F_i(1) F_j(2) F_k(3)⟩ = m_i m_j m_k (η_ij η_ik + η_ij η_jk + η_ik η_jk + η_ij η_jk η_ik),

with η_ij at the distance of 1 and 2, and so on. Of fields that are smoothed by a kernel w, the mean
of the cube of their sum has a term of pairs, 3 Σ_i 1/m_i Σ_x w(x) (Σ_j ξ_ij * w)²(x), and a triple
sum over the three points, of which the kernel leaves a neighbourhood.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky import instrument, spectra
from lensing_tfds.sky.flat_sky import FlatSky

Plane = NDArray[np.float64]

_RADIUS = 16  # pixels, of the neighbourhood in which the triple sum goes
_PIXELS_PER_BEAM, _PIXELS = 4, 256  # of the grid for the skewness of a smoothed sky


def third_moment(
    crosses: Sequence[tuple[float, Plane]],
    triple: Sequence[tuple[float, Plane]],
    kernel: Plane,
    sky: FlatSky,
) -> float:
    """Computes the mean cube of a sum of lognormal fields that are smoothed.

    Args:
      crosses: scale of each field, and its cross-power with the sum of all, on the half plane.
      triple: scale and power of those fields whose own triple sum matters.
      kernel: transfer function of the smoothing, on the half plane.
      sky: the grid.
    """
    w = _weights(kernel, sky)
    pairs = sum(3 / scale * np.sum(w * _map(power * kernel, sky) ** 2) for scale, power in crosses)
    triples = sum(_triple(_map(power, sky), w) / scale**3 for scale, power in triple)
    return float(pairs + triples)


def pixel_third_moment(cumulant: float, kernel: Plane, sky: FlatSky) -> float:
    """Computes the mean cube of a map of independent pixels that is smoothed.

    Args:
      cumulant: third cumulant of a pixel.
      kernel: transfer function of the smoothing, on the half plane.
      sky: the grid.
    """
    return float(cumulant * np.sum(_weights(kernel, sky) ** 3))


def scale_of_skewness(skewness: float, fwhm_arcmin: float, c_ell: NDArray[np.float64]) -> float:
    """Finds the scale of the lognormal field that has a skewness once it is smoothed.

    The sky is that of a grid of its own, the same for all: some 60 beams wide.

    Args:
      skewness: ⟨F³⟩ / ⟨F²⟩^1.5 of the smoothed field, above 0.
      fwhm_arcmin: full width at half maximum of the Gaussian beam that smooths it, arcmin.
      c_ell: spectrum of the field at l = 0, 1, ...
    """
    pixel = math.radians(fwhm_arcmin / 60) / _PIXELS_PER_BEAM
    sky = FlatSky(_PIXELS, _PIXELS * pixel)
    power = spectra.at_multipoles(c_ell, sky.ell) / sky.area
    kernel = instrument.beam(sky.ell, fwhm_arcmin).astype(np.float64)
    pairs = third_moment([(1.0, power)], [], kernel, sky)
    triples = third_moment([], [(1.0, power)], kernel, sky)
    variance = float(np.sum(power * kernel**2 * sky.mode_counts))
    # triples u³ + pairs u = skewness variance^1.5, of u = 1 / scale: it has one real root.
    roots = np.roots([triples, 0.0, pairs, -skewness * variance**1.5])
    return float(1 / roots[np.argmin(np.abs(roots.imag))].real)


def _weights(kernel: Plane, sky: FlatSky) -> NDArray[np.float64]:
    """Weights of the pixels around one whose smoothed value is their sum."""
    return _map(kernel, sky) / sky.npix**2


def _map(power: Plane, sky: FlatSky) -> NDArray[np.float64]:
    return np.asarray(sky.to_map(power.astype(np.complex128)), np.float64)


def _triple(correlation: NDArray[np.float64], w: NDArray[np.float64]) -> float:
    """Σ w₁ w₂ w₃ ξ₁₂ ξ₂₃ ξ₁₃ over all triples of pixels near the middle."""
    npix = len(w)
    radius = min(_RADIUS, (npix - 1) // 2)
    offsets = np.arange(-radius, radius + 1)
    y, x = (axis.ravel() for axis in np.meshgrid(offsets, offsets, indexing="ij"))
    weights = w[y % npix, x % npix]
    matrix = correlation[(y[:, None] - y) % npix, (x[:, None] - x) % npix]
    paths = matrix @ (weights[:, None] * matrix)
    return float(weights @ (paths * matrix) @ weights)
