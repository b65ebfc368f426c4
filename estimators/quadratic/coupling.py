"""Correlations that lensing makes of modes of T, E and B: table 1 of Hu & Okamoto 2002.

(astro-ph/0111606; with the spectra of lensed gradients in the unlensed ones' place, see
`quadratic_estimator`.)
"""

from __future__ import annotations

from estimators.quadratic.kernels import Kernel, Term, swapped
from estimators.quadratic.observation import Observation
from lensing_tfds.sky import polarization


def coupling_of(x: str, y: str, observation: Observation) -> Kernel:
    """Returns f(l₁, l₂) of two observed fields, times b(l₁) b(l₂): ⟨x_l₁ y_l₂⟩ = f φ_L / area.

    cos and sin of 2(φ_l₁ − φ_l₂) are expanded into products. The unlensed B is zero, and so is f of
    two B, which is of second order.

    Args:
      x: the field of l₁, "T", "E" or "B".
      y: the field of l₂, likewise.
      observation: what the fields hold.
    """
    if x + y in ("ET", "BE", "BT"):
        return swapped(coupling_of(y, x, observation))
    if x == y == "B":
        return ()
    sky, b = observation.sky, observation.beam
    cos, sin = polarization.angles(sky)
    spectrum = b * observation.gradient(x, "E" if y == "B" else y)
    if x == y == "T":
        return Term(spectrum, b, "left"), Term(b, spectrum, "right")
    if y == "B":  # sin 2(φ₁ − φ₂) = sin₁ cos₂ − cos₁ sin₂
        # The sign is in B's leg, so that E's is the one that EE has.
        return Term(spectrum * sin, b * cos, "left"), Term(spectrum * cos, -b * sin, "left")
    rotated = Term(spectrum * cos, b * cos, "left"), Term(spectrum * sin, b * sin, "left")
    if x == "T":  # T is not rotated
        return *rotated, Term(b, spectrum, "right")
    return *rotated, *swapped(rotated)
