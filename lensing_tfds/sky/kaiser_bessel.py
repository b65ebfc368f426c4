"""The kernel of non-uniform FFTs: Kaiser and Bessel's, on a fine grid.

Its Fourier transform has a closed form (Jackson et al. 1991). `nufft` sums with it in NumPy, and
the trainer's layers in Keras.
"""

import math

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

TAPS = 8
"""Fine pixels under the kernel along an axis; one SIMD register of float32."""

BEFORE, AFTER = TAPS // 2 - 1, TAPS // 2
"""Of them on either side of the one below a point."""

_DEGREE = 6  # of the polynomials that give the kernel at the taps
_OVERSAMPLING = 1.4  # of the fine grid, at least


def fine_size(npix: int) -> int:
    """Returns the side of the fine grid: even, without prime factors above 5, quick for FFTs."""
    size = 2 * math.ceil(_OVERSAMPLING * npix / 2)
    while 30**64 % size:  # a number with no factors but 2, 3 and 5 divides a high power of 30
        size += 2
    return size


def tap_polynomials(npix: int) -> NDArray[np.float32]:
    """Returns polynomials of the kernel at the taps, in z from -1 at a fine pixel to 1 at the next.

    Args:
      npix: pixels on a side of the maps.

    Returns:
      Coefficients of shape (degree + 1, taps), the constant terms first.
    """
    beta = _beta(npix)
    polynomials = [
        Chebyshev.interpolate(_kernel_at_tap, _DEGREE, args=(tap, beta)) for tap in range(TAPS)
    ]
    coefficients = [polynomial.convert(kind=Polynomial).coef for polynomial in polynomials]
    return np.array(coefficients, np.float32).T.copy()


def deconvolution(npix: int) -> NDArray[np.float64]:
    """Returns what undoes the kernel along an axis, at frequencies 0, 1, ..., npix // 2."""
    return 1 / _transform(np.arange(npix // 2 + 1) / fine_size(npix), _beta(npix))


def _beta(npix: int) -> float:
    # Close to the best for this support (Beatty et al. 2005); a little less, by measurement.
    return 0.98 * np.pi * TAPS * (1 - npix / (2 * fine_size(npix)))


def _kernel(distance: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """The kernel at a distance in fine pixels, from -4 to 4."""
    inside = np.maximum(1 - (2 * distance / TAPS) ** 2, 0)
    return np.i0(beta * np.sqrt(inside)) / np.i0(beta)


def _kernel_at_tap(z: NDArray[np.float64], tap: int, beta: float) -> NDArray[np.float64]:
    return _kernel((z + 1) / 2 + BEFORE - tap, beta)


def _transform(frequency: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """Its Fourier transform, at frequencies in cycles per fine pixel, below beta / (8π)."""
    argument = np.sqrt(beta**2 - (np.pi * TAPS * frequency) ** 2)
    return TAPS * np.sinh(argument) / argument / np.i0(beta)
