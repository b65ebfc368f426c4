"""A square, periodic patch of flat sky: its pixels and its multipoles.

Conventions, used throughout: f(l) = ∫ d²x f(x) exp(−i l·x). Arrays are indexed [iy, ix]; the x axis
is the last one, and both coordinates grow with their index. On the grid a field is a sum of modes,

    f(x) = Σ_l a_l exp(i l·x),    ⟨|a_l|²⟩ = C_l / area,

so that a_l = f(l)/area, and the `half plane` of a real field holds the modes with l_x ≥ 0 in the
layout of a real FFT: shape (npix, npix // 2 + 1).
"""

import dataclasses
import functools
import math

import ducc0.fft
import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class FlatSky:
    """The geometry of a patch.

    Attributes:
      npix: pixels on a side.
      side: length of a side, radians.
    """

    npix: int
    side: float

    @property
    def area(self) -> float:
        """Area of the patch, steradians."""
        return self.side**2

    @property
    def pixel(self) -> float:
        """Side of a pixel, radians."""
        return self.side / self.npix

    @property
    def fundamental(self) -> float:
        """Multipole of the patch's longest wave along an axis, 2π / side."""
        return 2 * math.pi / self.side

    @property
    def nyquist(self) -> float:
        """Largest multipole along an axis that the grid can carry, π / pixel."""
        return math.pi / self.pixel

    @functools.cached_property
    def lx(self) -> NDArray[np.floating]:
        """l_x of the half plane, shape (1, npix // 2 + 1); at Nyquist positive."""
        return 2 * np.pi * np.fft.rfftfreq(self.npix, self.pixel)[None, :]

    @functools.cached_property
    def ly(self) -> NDArray[np.floating]:
        """l_y of the half plane, shape (npix, 1); at Nyquist negative, as in FFT order."""
        return 2 * np.pi * np.fft.fftfreq(self.npix, self.pixel)[:, None]

    @functools.cached_property
    def ell(self) -> NDArray[np.floating]:
        """|l| of the half plane, shape (npix, npix // 2 + 1)."""
        return np.hypot(self.lx, self.ly)

    @functools.cached_property
    def mode_counts(self) -> NDArray[np.float64]:
        """Modes of the whole plane that each mode of the half plane stands for, shape of `ell`.

        A mode stands for its mirror image too, but in the columns that hold both.
        """
        counts = np.full(self.ell.shape, 2.0)
        counts[:, 0] = 1
        if self.npix % 2 == 0:
            counts[:, -1] = 1
        return counts

    @functools.cached_property
    def inner(self) -> NDArray[np.bool_]:
        """Mask of the half plane's modes that are not on an even grid's Nyquist lines."""
        inner = np.ones(self.ell.shape, bool)
        if self.npix % 2 == 0:
            inner[self.npix // 2] = False
            inner[:, -1] = False
        return inner

    @functools.cached_property
    def gradient(self) -> tuple[NDArray[np.complexfloating], NDArray[np.complexfloating]]:
        """The factors (i l_y, i l_x) that take a half plane to that of its derivatives.

        Each is zero on its own axis's Nyquist frequency, whose derivative a grid cannot carry:
        the sampled wave is a cosine, and its derivative vanishes at every pixel.

        Returns:
          Shapes (npix, 1) and (1, npix // 2 + 1).
        """
        d_y, d_x = 1j * self.ly, 1j * self.lx
        if self.npix % 2 == 0:
            d_y[self.npix // 2, 0] = 0
            d_x[0, -1] = 0
        return d_y, d_x

    def to_map(
        self, modes: NDArray[np.complexfloating], out: NDArray[np.floating] | None = None
    ) -> NDArray[np.floating]:
        """Sums the modes of real fields at the pixels.

        Args:
          modes: half planes, complex64 or complex128 of shape (..., npix, npix // 2 + 1).
          out: where the maps go, if given.

        Returns:
          Maps of the same precision, shape (..., npix, npix).
        """
        return ducc0.fft.c2r(
            modes, axes=(-2, -1), lastsize=self.npix, forward=False, out=out, nthreads=1
        )

    def to_modes(
        self, maps: NDArray[np.floating], columns: int | None = None
    ) -> NDArray[np.complexfloating]:
        """Returns the half planes of real maps; the inverse of `to_map`.

        Args:
          maps: float32 or float64 of shape (..., npix, npix).
          columns: how many columns, from l_x = 0 on, are wanted; the others are then not computed.
        """
        if columns is None or columns > self.npix // 2:
            return ducc0.fft.r2c(maps, axes=(-2, -1), forward=True, inorm=2, nthreads=1)
        rows = ducc0.fft.r2c(maps, axes=(-1,), forward=True, inorm=2, nthreads=1)
        return ducc0.fft.c2c(rows[..., :columns], axes=(-2,), forward=True, inorm=2, nthreads=1)

    def full_plane(self, modes: NDArray) -> NDArray:
        """Fills in the modes with l_x < 0 by the Hermitian symmetry of a real field.

        Args:
          modes: half planes of shape (..., npix, npix // 2 + 1); or a real, even function of l.

        Returns:
          All modes in FFT order, shape (..., npix, npix).
        """
        half = modes.shape[-1]
        full = np.empty((*modes.shape[:-1], self.npix), modes.dtype)
        full[..., :half] = modes
        mirrored = modes[..., 1 : self.npix - half + 1][..., ::-1].conj()  # a(-l) = a(l)*
        full[..., 0, half:] = mirrored[..., 0, :]
        full[..., 1:, half:] = mirrored[..., :0:-1, :]
        return full


def as_pairs(modes: NDArray[np.complexfloating]) -> NDArray[np.floating]:
    """Returns half planes as their real and imaginary parts, one after the other, not copied.

    Real factors are best applied to these, with `pairs_of` the factors: NumPy would turn them into
    complex numbers first, which takes three times as long.

    Args:
      modes: C-contiguous, shape (..., npix // 2 + 1).

    Returns:
      Shape (..., 2 (npix // 2 + 1)).
    """
    return modes.view(modes.real.dtype)


def pairs_of(factor: NDArray[np.floating]) -> NDArray[np.float32]:
    """Returns real factors of a half plane's modes as factors of `as_pairs`: each twice."""
    return np.repeat(factor.astype(np.float32), 2, axis=-1)
