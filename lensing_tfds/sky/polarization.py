"""E and B of flat maps of the Stokes parameters Q and U.

Convention: Q > 0 is polarization along the x axis (the arrays' last), U > 0 along the diagonal
x = y, on which both coordinates grow. With φ_l the angle of l from the x axis towards the y axis,

    (Q ± iU)(l) = (E ± iB)(l) exp(±2iφ_l).

E has the sign of HEALPix and CAMB: a wave polarized along its own direction has E > 0 where Q is
positive in the frame of that direction. (Zaldarriaga & Seljak 1997, astro-ph/9609170; the flat
limit as in Lewis & Challinor 2006, astro-ph/0601594, section 5, whose E has the other sign.)

On a map whose x grows eastwards and y northwards, HEALPix's convention (COSMO, pixell's default)
has −Q and −U, and the same E and B; IAU's has −Q and U, the same E, and −B. On maps whose right
ascension grows to the left, as the sky is seen, exchange the two.
"""

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.flat_sky import FlatSky

Modes = NDArray[np.complexfloating]


def angles(sky: FlatSky) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns cos 2φ_l and sin 2φ_l of the half plane, each of shape (npix, npix // 2 + 1).

    On an even grid's own Nyquist frequencies the sine is zero: such a wave stands for l and for its
    mirror image, whose sines are opposite, and a real map cannot tell them apart. E and B are
    not defined there; Q and U are.
    """
    ell_squared = sky.ell**2
    ell_squared[0, 0] = 1  # the monopole has no direction: cos 2φ and sin 2φ are zero
    d_y, d_x = (factor.imag for factor in sky.gradient)
    return (sky.lx**2 - sky.ly**2) / ell_squared, 2 * d_x * d_y / ell_squared


def to_qu(e: Modes, b: Modes, sky: FlatSky) -> tuple[Modes, Modes]:
    """Returns Q = E cos 2φ − B sin 2φ and U = E sin 2φ + B cos 2φ.

    Args:
      e: half planes of E, shape (..., npix, npix // 2 + 1).
      b: half planes of B, same shape.
      sky: the patch.

    Returns:
      Half planes of Q and U, same shape and dtype.
    """
    cosine, sine = (factor.astype(e.real.dtype) for factor in angles(sky))
    return e * cosine - b * sine, e * sine + b * cosine


def to_eb(q: Modes, u: Modes, sky: FlatSky) -> tuple[Modes, Modes]:
    """Returns E = Q cos 2φ + U sin 2φ and B = U cos 2φ − Q sin 2φ.

    The inverse of `to_qu`, except for the monopole and the Nyquist frequencies of an even grid.

    Args:
      q: half planes of Q, shape (..., npix, npix // 2 + 1).
      u: half planes of U, same shape.
      sky: the patch.

    Returns:
      Half planes of E and B, same shape and dtype.
    """
    cosine, sine = (factor.astype(q.real.dtype) for factor in angles(sky))
    return q * cosine + u * sine, u * cosine - q * sine
