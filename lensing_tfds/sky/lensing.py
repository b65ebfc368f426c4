"""κ or φ -> deflection -> remapped map.

Conventions (CAMB's, pixell's and lenspyx's sign): the lensed map is T̃(x) = T(x + ∇φ), and
κ = −½∇²φ, so that φ_l = 2 κ_l / l² and (∇φ)_l = i l φ_l. A positive κ is an overdensity, which
magnifies. (Lewis & Challinor 2006, astro-ph/0601594, sections 2 and 4.)
"""

from collections.abc import Sequence

import ducc0.nufft
import numpy as np
from numpy.typing import DTypeLike, NDArray

from lensing_tfds.sky.flat_sky import FlatSky

Deflection = tuple[NDArray[np.floating], NDArray[np.floating]]
"""∇φ as maps (y component, x component), radians."""


_MOST_ROUNDED = 1e-3  # pixel


def largest_resolved(dtype: DTypeLike) -> float:
    """Returns the largest deflection, in pixels, that maps can be lensed by at a precision.

    A deflection of D pixels is known to eps · D, which moves a white field by as much of its rms:
    `remap` errs by 2 eps · D at most beyond what it errs by at small D. Here it is 1e-3 pixel:
    8,389 pixels for float32 and 4.5e12 for float64.
    """
    return _MOST_ROUNDED / float(np.finfo(dtype).eps)


def rms_deflection(kappa: NDArray[np.float64], first: int, last: int) -> float:
    """Computes the rms of |∇φ| of a sky, radians: the sum of (2l + 1) / 4π · 4 C_l^κκ / (l(l + 1)).

    Args:
      kappa: C_l^κκ at l = 0, 1, ...
      first: the least multipole that the sky has, at least 1.
      last: the largest; those beyond the spectrum have no power.
    """
    ell = np.arange(first, min(last, len(kappa) - 1) + 1)
    return float(np.sqrt(np.sum((2 * ell + 1) / (np.pi * ell * (ell + 1)) * kappa[ell])))


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

    The sum over modes is periodic, and exact up to 4e-6 of the field's rms for complex64 (see
    `nufft`) and 1e-12 for complex128, as long as positions are not rounded by more (see
    `largest_resolved`): no interpolation on the grid, which would be wrong by 1–40 % of the lensing
    signal. It is the real part of the sum in FFT order, in which an even grid's
    Nyquist frequencies are n = −npix/2: cosines between the pixels, and the one mode that is at
    Nyquist on both axes is cos(n (x + y)).

    Args:
      modes: half planes of the unlensed fields, shape (batch, npix, npix // 2 + 1).
      deflection: ∇φ, two arrays of shape (batch, npix, npix), radians, of the same precision.
      sky: the patch.

    Returns:
      Lensed maps, real of shape (batch, npix, npix).
    """
    return remap_together([modes], deflection, sky)[0]


def remap_together(
    fields: Sequence[NDArray[np.complexfloating]], deflection: Deflection, sky: FlatSky
) -> NDArray:
    """Evaluates up to three fields at the same positions, in less time than one by one.

    Args:
      fields: half planes, each (batch, npix, npix // 2 + 1), of one precision.
      deflection: as of `remap`.
      sky: the patch.

    Returns:
      Lensed maps, real of shape (fields, batch, npix, npix).
    """
    first = fields[0]
    lensed = np.empty((len(fields), len(first), sky.npix, sky.npix), first.real.dtype)
    if first.dtype == np.complex64:
        from lensing_tfds.sky.nufft import (
            RealNufft,  # numba is slow to import: only where it is used
        )

        d_y, d_x = (np.ascontiguousarray(d, np.float32) for d in deflection)
        nufft = RealNufft(sky.npix, block=1, fields=len(fields))
        nufft.at_displaced_pixels(fields, (d_y, d_x), sky.pixel, lensed)
    else:
        for modes, out in zip(fields, lensed, strict=True):
            _remap_in_double_precision(modes, deflection, sky, out)
    return lensed


def _remap_in_double_precision(
    modes: NDArray[np.complexfloating], deflection: Deflection, sky: FlatSky, lensed: NDArray
) -> None:
    for plane, d_y, d_x, out in zip(sky.full_plane(modes), *deflection, lensed, strict=True):
        values = ducc0.nufft.u2nu(
            grid=plane,
            coord=_positions(d_y, d_x, sky),
            forward=False,
            epsilon=1e-12,
            periodicity=sky.npix,
            fft_order=True,
            nthreads=1,
        )
        out[...] = values.real.reshape(out.shape)


def remap_adjoint(
    maps: NDArray[np.floating], deflection: Deflection, sky: FlatSky
) -> NDArray[np.complexfloating]:
    """Applies the adjoint of `remap`: values at deflected positions become modes of the sky there.

    For all modes a of real fields and all maps y, <remap(a), y> = <a, remap_adjoint(y)>, with the
    mean over pixels of the product of maps, and the sum over the whole plane of that of modes.
    So with no deflection it is `FlatSky.to_modes`. Without a caustic it is, but for a factor of the
    magnification, what undoes the deflection. Precision as of `remap`.

    Args:
      maps: real of shape (batch, npix, npix).
      deflection: ∇φ, two arrays of the same shape, radians, of the same precision.
      sky: the patch.

    Returns:
      Half planes, shape (batch, npix, npix // 2 + 1).
    """
    modes = np.empty((len(maps), *sky.ell.shape), np.result_type(maps, 1j))
    if maps.dtype == np.float32:
        from lensing_tfds.sky.nufft import (
            RealNufft,  # numba is slow to import: only where it is used
        )

        d_y, d_x = (np.ascontiguousarray(d, np.float32) for d in deflection)
        RealNufft(sky.npix, block=1).from_displaced_pixels(
            maps[None], (d_y, d_x), sky.pixel, [modes]
        )
        return modes
    for image, d_y, d_x, out in zip(maps, *deflection, modes, strict=True):
        plane = ducc0.nufft.nu2u(
            points=image.reshape(-1).astype(np.complex128),
            coord=_positions(d_y, d_x, sky),
            out=np.empty((sky.npix, sky.npix), np.complex128),
            forward=True,
            epsilon=1e-12,
            periodicity=sky.npix,
            fft_order=True,
            nthreads=1,
        )
        # The real part of the sum: it makes a difference at the Nyquist frequencies alone.
        opposite = np.roll(plane[::-1, ::-1], 1, axis=(0, 1)).conj()
        out[...] = (plane + opposite)[:, : out.shape[-1]] / (2 * sky.npix**2)
    return modes


def _positions(
    d_y: NDArray[np.floating], d_x: NDArray[np.floating], sky: FlatSky
) -> NDArray[np.float64]:
    """The deflected positions, in pixels, shape (npix², 2)."""
    pixels = np.arange(sky.npix)
    positions = np.stack([pixels[:, None] + d_y / sky.pixel, pixels + d_x / sky.pixel], axis=-1)
    return positions.reshape(-1, 2)


class Lens:
    """Lenses blocks of fields in single precision; holds scratch memory: one for a thread.

    The same as `remap` by `deflection_from_kappa`, without memory or factors made for each block.

    Args:
      sky: the patch.
      block: how many examples are lensed together.
      fields: how many fields each of them has: 1 for T, 3 for T, Q and U.
    """

    def __init__(self, sky: FlatSky, block: int, fields: int = 1):
        from lensing_tfds.sky.nufft import (
            RealNufft,  # numba is slow to import: only where it is used
        )

        self._sky = sky
        self._nufft = RealNufft(sky.npix, block, fields)
        d_y, d_x = np.broadcast_arrays(*sky.gradient)
        self._to_deflection = [phi_from_kappa(d, sky).astype(np.complex64) for d in (d_y, d_x)]
        self._modes = np.empty((block, *sky.ell.shape), np.complex64)
        self._deflection = (
            np.empty((block, sky.npix, sky.npix), np.float32),
            np.empty((block, sky.npix, sky.npix), np.float32),
        )

    def remap(
        self,
        fields: Sequence[NDArray[np.complex64]],
        kappa: NDArray[np.complex64],
        out: NDArray[np.float32],
    ) -> None:
        """Remaps fields by the deflection that belongs to a convergence.

        Args:
          fields: T, or Q and U, or all: half planes, each of shape (block, npix, npix // 2 + 1).
          kappa: half planes of κ, same shape.
          out: the lensed maps, shape (fields, block, npix, npix).
        """
        for to_deflection, deflection in zip(self._to_deflection, self._deflection, strict=True):
            np.multiply(kappa, to_deflection, out=self._modes)
            self._sky.to_map(self._modes, out=deflection)
        self._nufft.at_displaced_pixels(fields, self._deflection, self._sky.pixel, out)
