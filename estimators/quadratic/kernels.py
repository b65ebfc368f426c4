"""Couplings of pairs of modes by lensing, written so that sums over pairs are products of maps.

Lensing correlates modes that were independent (Hu & Okamoto 2002, astro-ph/0111606): at
fixed φ, and with L = l₁ + l₂,

    ⟨x(l₁) y(l₂)⟩ = f_xy(l₁, l₂) φ(L).

Every f_xy of their table 1 is a sum of terms left(l₁) right(l₂) (L·l₁) or ... (L·l₂).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.convolution import ProductGrid

Plane = NDArray[np.float64]
"""A real, even function of l on the half plane, shape (npix, npix // 2 + 1)."""


class Term(NamedTuple):
    """left(l₁) right(l₂) times L·l₁ or L·l₂."""

    left: Plane
    right: Plane
    gradient: Literal["left", "right"]

    def swapped(self) -> Term:
        """The same with l₁ and l₂ exchanged."""
        return Term(self.right, self.left, "left" if self.gradient == "right" else "right")

    def times(self, left: Plane, right: Plane) -> Term:
        """The same, times left(l₁) right(l₂)."""
        return Term(self.left * left, self.right * right, self.gradient)


Kernel = tuple[Term, ...]
"""A function of l₁ and l₂: the sum of its terms."""


def swapped(kernel: Kernel) -> Kernel:
    """Returns the kernel with l₁ and l₂ exchanged."""
    return tuple(term.swapped() for term in kernel)


def times(kernel: Kernel, left: Plane, right: Plane) -> Kernel:
    """Returns the kernel times left(l₁) right(l₂)."""
    return tuple(term.times(left, right) for term in kernel)


def summed_product(
    first: Kernel,
    second: Kernel,
    vector: tuple[Plane, Plane],
    ell: tuple[Plane, Plane],
    grid: ProductGrid,
) -> Plane:
    """Returns Σ first(l₁, l₂) second(l₁, l₂) over all modes with l₁ + l₂ = L.

    Args:
      first: a kernel.
      second: another.
      vector: (y, x) components of what stands for L in the kernels' L·l.
      ell: (l_y, l_x), broadcast to the half plane.
      grid: for the products.

    Returns:
      A real half plane, by L.
    """
    shape = (grid.npix, grid.npix)
    yy, yx, xx = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    y, x = ell
    for a in first:
        for b in second:
            left, right = a.left * b.left, a.right * b.right
            if a.gradient == b.gradient:
                scalar, tensor = (right, left) if a.gradient == "left" else (left, right)
                values = grid.maps(scalar)
                yy += values * grid.maps(tensor * y * y)
                yx += values * grid.maps(tensor * (2 * y * x))
                xx += values * grid.maps(tensor * x * x)
            else:
                left_y, left_x = grid.maps(1j * y * left), grid.maps(1j * x * left)
                right_y, right_x = grid.maps(1j * y * right), grid.maps(1j * x * right)
                yy -= left_y * right_y  # minus: i² of the two gradients
                yx -= left_y * right_x + left_x * right_y
                xx -= left_x * right_x
    sum_yy, sum_yx, sum_xx = (grid.modes(maps).real for maps in (yy, yx, xx))
    return vector[0] ** 2 * sum_yy + vector[0] * vector[1] * sum_yx + vector[1] ** 2 * sum_xx
