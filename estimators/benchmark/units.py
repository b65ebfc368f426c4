"""In which units estimates are: κ, κ in other units, the potential φ, or the deflection |∇φ|.

An unbiased estimate of κ has the response T_L = <C^κκ̂>/<C^κκ> = 1, a Wiener-filtered one ρ_L²; an
estimate of φ has 2/L² of that and one of the deflection potential's gradient, √(L(L+1)) φ, 2/L
(κ = L² φ / 2, Lewis & Challinor 2006, astro-ph/0601594). The steepness tells them apart.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from estimators.benchmark.coarse_maps import CoarseMaps
from lensing_tfds.sky.binning import Bins

FACTOR = 1.5
"""By which a response may be above 1, or below ρ_L², before it is called one of other units."""

_SIGNIFICANT = 5.0
_BEST = 0.8  # rings whose ρ_L is this share of the best one's tell the normalisation
_AS_GOOD = 0.02  # of ln T_L, rms: then it is κ
_WELL_FITTED = 0.15  # likewise: a response of another shape is that of a filter
_SURELY = 10.0  # times off it is of other units, whatever its shape
_LEEWAY = 1.05

KAPPA, DEFLECTION, POTENTIAL = "κ", "the deflection, √(L(L+1)) φ", "the potential φ"

_SHAPES = {KAPPA: (0, 1), DEFLECTION: (1, 2), POTENTIAL: (2, 2)}
"""Power of L that a quantity falls by, beside κ, and what it is then times κ."""


@dataclasses.dataclass(frozen=True)
class Units:
    """Units of estimates.

    Attributes:
      quantity: `KAPPA`, `DEFLECTION` or `POTENTIAL`.
      factor: by which the estimates are too large for it: at least, if they are unbiased, and at
        most, if they are Wiener-filtered; 1 and 1 where they are not.
    """

    quantity: str
    factor: tuple[float, float]

    @property
    def are_right(self) -> bool:
        """Says whether it is κ, without a factor."""
        return self == RIGHT

    def may_be(self, factor: float) -> bool:
        """Says whether a factor is within what is known of it, and 5 %."""
        low, high = self.factor
        return low / _LEEWAY <= factor <= high * _LEEWAY


RIGHT = Units(KAPPA, (1.0, 1.0))


def units_of(maps: CoarseMaps) -> Units:
    """Finds the units of estimates that follow κ, with its sign and orientation.

    Returns:
      κ without a factor too where too little is there to tell, or where a filter explains more.
    """
    ell, rho, response, weights = _by_ring(maps)
    if not len(ell):
        return RIGHT
    floor = 2 * np.log(rho)
    logs = {name: np.log(response * ell**power / scale) for name, (power, scale) in _SHAPES.items()}
    best = rho >= _BEST * rho.max()
    off = np.average(_outside(logs[KAPPA], floor)[best], weights=weights[best])
    if abs(off) < np.log(FACTOR):
        return RIGHT
    misfits = {name: _misfit(values, floor, weights) for name, values in logs.items()}
    quantity = min(misfits, key=lambda name: misfits[name])
    if misfits[KAPPA] < misfits[quantity] + _AS_GOOD:
        quantity = KAPPA
    if misfits[quantity] > _WELL_FITTED:
        quantity = KAPPA
        if abs(off) < np.log(_SURELY):
            return RIGHT
    largest, smallest = (
        float(np.exp(np.average(values[best], weights=weights[best])))
        for values in (logs[quantity] - floor, logs[quantity])
    )
    units = Units(quantity, (smallest, largest))
    return Units(quantity, (1.0, 1.0)) if quantity != KAPPA and units.may_be(1.0) else units


def _misfit(
    logs: NDArray[np.float64], floor: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """By how much logarithms of responses, less a constant, lie outside their limits, rms."""
    constants = np.linspace(logs.min(), (logs - floor).max(), 200)
    squares = [np.average(_outside(logs - c, floor) ** 2, weights=weights) for c in constants]
    return float(np.sqrt(min(squares)))


def _outside(logs: NDArray[np.float64], floor: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much ln T lies above 0, or below ln ρ²."""
    return logs - np.clip(logs, floor, 0)


def _by_ring(maps: CoarseMaps) -> tuple[NDArray[np.float64], ...]:
    """L, ρ_L, T_L and weights of the rings where the estimates follow κ for sure."""
    sky = maps.sky
    rings = Bins.fundamental(sky)
    kappa, estimate = (modes.astype(np.complex128) for modes in (maps.kappa, maps.estimate))
    spectra = (
        rings.mean(np.mean((a * b.conj()).real, axis=0))
        for a, b in ((kappa, kappa), (kappa, estimate), (estimate, estimate))
    )
    true, cross, estimated = spectra
    norm = np.sqrt(true * estimated)
    rho = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    numbers = rings.num_modes * len(maps.index)
    complete = (rings.ell > 0) & (rings.ell < sky.nyquist)
    good = complete & (rho > _SIGNIFICANT / np.sqrt(numbers))
    response = cross[good] / true[good]
    return rings.ell[good], np.minimum(rho[good], 1), response, (numbers * rho**2)[good]
