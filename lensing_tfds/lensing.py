"""κ or φ -> deflection -> remapped map.

Conventions (CAMB's, pixell's and lenspyx's sign): the lensed map is T̃(x) = T(x + ∇φ), and
κ = −½∇²φ, so that φ_l = 2 κ_l / l² and (∇φ)_l = i l φ_l. A positive κ is an overdensity, which
magnifies. (Lewis & Challinor 2006, astro-ph/0601594, sections 2 and 4.)
"""

import ducc0.nufft
import numpy as np
from numpy.typing import NDArray

from lensing_tfds.flat_sky import FlatSky

Deflection = tuple[NDArray[np.floating], NDArray[np.floating]]
"""∇φ as maps (y component, x component), radians."""

NUFFT_EPSILON = {np.dtype(np.complex64): 1e-5, np.dtype(np.complex128): 1e-12}
"""Accuracy asked of the non-uniform FFT, relative to the norm of its input."""


def phi_from_kappa(kappa: NDArray[np.complexfloating], sky: FlatSky) -> NDArray:
    """Returns the lensing potential, φ_l = 2 κ_l / l², with φ = 0 at l = 0.

    Args:
      kappa: half planes of κ, shape (..., npix, npix // 2 + 1).
      sky: the patch.

    Returns:
      Half planes of φ, radians², same shape and dtype.
    """
    ell_squared = sky.ell**2
    ell_squared[0, 0] = np.inf
    return kappa * (2 / ell_squared).astype(kappa.real.dtype)


def kappa_from_phi(phi: NDArray[np.complexfloating], sky: FlatSky) -> NDArray:
    """Returns the convergence, κ = −½∇²φ; the inverse of `phi_from_kappa`."""
    return phi * (0.5 * sky.ell**2).astype(phi.real.dtype)


def deflection_from_phi(phi: NDArray[np.complexfloating], sky: FlatSky) -> Deflection:
    """Returns the deflection ∇φ at the pixels.

    Args:
      phi: half planes of the lensing potential, shape (..., npix, npix // 2 + 1), radians².
      sky: the patch.

    Returns:
      (∂φ/∂y, ∂φ/∂x), each real of shape (..., npix, npix), radians.
    """
    d_y, d_x = (factor.astype(phi.dtype) for factor in sky.gradient)
    return sky.to_map(phi * d_y), sky.to_map(phi * d_x)


def deflection_from_kappa(kappa: NDArray[np.complexfloating], sky: FlatSky) -> Deflection:
    """Returns the deflection ∇φ at the pixels, from the half planes of κ."""
    return deflection_from_phi(phi_from_kappa(kappa, sky), sky)


def remap(modes: NDArray[np.complexfloating], deflection: Deflection, sky: FlatSky) -> NDArray:
    """Evaluates band-limited fields at the deflected positions, T̃(x) = T(x + ∇φ).

    The sum over modes is exact up to `NUFFT_EPSILON` and periodic: no interpolation on the grid,
    which would be wrong by 1–40 % of the lensing signal. It is the real part of the sum in FFT
    order, in which an even grid's Nyquist frequencies are n = −npix/2: cosines between the pixels,
    and the one mode that is at Nyquist on both axes is cos(n (x + y)).

    Args:
      modes: half planes of the unlensed fields, shape (batch, npix, npix // 2 + 1).
      deflection: ∇φ, two arrays of shape (batch, npix, npix), radians.
      sky: the patch.

    Returns:
      Lensed maps, real of shape (batch, npix, npix).
    """
    real = modes.real.dtype
    pixels = np.arange(sky.npix, dtype=real)
    to_pixels = real.type(1 / sky.pixel)
    positions = np.empty((len(modes), sky.npix, sky.npix, 2), real)
    np.multiply(deflection[0], to_pixels, out=positions[..., 0])
    np.multiply(deflection[1], to_pixels, out=positions[..., 1])
    positions[..., 0] += pixels[:, None]
    positions[..., 1] += pixels[None, :]
    lensed = np.empty((len(modes), sky.npix, sky.npix), real)
    for plane, position, out in zip(sky.full_plane(modes), positions, lensed, strict=True):
        values = ducc0.nufft.u2nu(
            grid=plane,
            coord=position.reshape(-1, 2),
            forward=False,
            epsilon=NUFFT_EPSILON[modes.dtype],
            periodicity=sky.npix,
            fft_order=True,
            nthreads=1,
        )
        out[...] = values.real.reshape(out.shape)
    return lensed
