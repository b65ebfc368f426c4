"""The flat-sky quadratic estimator of κ from one pair of observed fields.

Hu & Okamoto 2002 (astro-ph/0111606), on the modes of one periodic patch. In this project's
normalisation of modes, ⟨|a_l|²⟩ = C_l / area, a lensed pair obeys

    ⟨x_l₁ y_l₂⟩ = f(l₁, l₂) φ_L / area,    L = l₁ + l₂,    φ_L = 2 κ_L / L²,

with f from their table 1, and the estimate, of κ instead of their deflection, is

    q_L = Σ W(l₁, l₂) x_l₁ y_l₂,    κ̂_L = q_L / R_L,    R_L = 2/(L² area) Σ W f.

The weights are W = f / (C^xx C^yy), with the observed spectra (and, for x = y, half of it: of the
two terms of f, that are each other's mirror image, only one is needed). This is the optimal
weight of TT, EE, EB and TB. That of TE is not a product of functions of l₁ and l₂; leaving C^TE
out of it, as here, makes it one, and costs 0.1 to 0.6 % in N0 (at 1 and 6 µK·arcmin, l < 4000).
N0 is that of the weights as used, TE's too:

    N0_L = 1/(area R_L²) Σ W(l₁, l₂) [W(l₁, l₂) C^xx_l₁ C^yy_l₂ + W(l₂, l₁) C^xy_l₁ C^xy_l₂].

f has neither the unlensed spectra nor the lensed ones, but those of the lensed field with its
lensed gradient, which make R_L right beyond first order in φ (Lewis, Challinor & Hanson 2011,
arXiv:1101.2234): with the lensed spectra the estimate from T at 6 µK·arcmin is 3 % low. B's own
such spectrum, and that of E with the gradient across l, are left out of f, as in nearly all of the
literature, which makes EB 0.3 to 0.4 % and 0.24 % low at 1 µK·arcmin. R_L and N0_L are the sums
over the patch's own modes, not integrals.

On simulated skies of v9 to v12 the normalisation is right within 2 % at 100 < L < 2000. The noise
there is more than N0, by up to 65 %: lensing by other modes than L scatters the estimate too (see
`benchmarks.estimator_proof`, and docs/quadratic_estimators.md).
"""

import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic import kernels
from estimators.quadratic.convolution import ProductGrid
from estimators.quadratic.coupling import coupling_of
from estimators.quadratic.kernels import Kernel, Plane, Term
from estimators.quadratic.legs import Factors, Filter, Legs, blocks
from estimators.quadratic.observation import Observation
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.flat_sky import FlatSky

PAIRS = ("TT", "EE", "EB", "TE", "TB")


def pairs_of(config: LensingConfig) -> tuple[str, ...]:
    """Returns the pairs of the fields that a config observes."""
    fields = {"T": "T", "Q": "E", "U": "B"}
    observed = {fields[channel] for channel in config.channels}
    return tuple(pair for pair in PAIRS if set(pair) <= observed)


class QuadraticEstimator:
    """Estimates κ from two observed fields.

    Args:
      pair: "TT", "EE", "EB", "TE" or "TB".
      observation: what the fields hold, and which modes of them to use.
      curl: estimate the field rotation −½∇²ω of T̃(x) = T(x + ∇×ω) instead, which lensing by a
        gradient leaves at zero on average: a null test.
      kappa_power: Wiener-filter the estimate by C/(C + L²/2R) of this C_κκ, half plane; L²/2R is
        N0 (that of TE a little more). On a square grid the response to high L depends on its
        direction, and so does the filter. None gives the estimate as it is.

    Attributes:
      pair: as given.
      observation: as given.
      curl: as given.
      weights: W, the kernel of the sum q_L.
      grid: that the products of the sum are taken on.
      response: R_L, half plane, float64: what the unnormalised estimate q_L is to κ_L on average.
        Zero for modes that are not estimated: L = 0, the grid's Nyquist lines, and where no pair
        of the modes used adds up to L.

    Raises:
      LensingError: no such pair.
    """

    def __init__(
        self,
        pair: str,
        observation: Observation,
        curl: bool = False,
        kappa_power: Plane | None = None,
    ):
        if pair not in PAIRS:
            raise LensingError(f"pair {pair!r} is unknown: choose among {', '.join(PAIRS)}")
        self.pair = pair
        self.observation = observation
        self.curl = curl
        self._kappa_power = kappa_power
        sky = observation.sky
        self.grid = ProductGrid(sky, observation.used, observation.wrapped)
        self._ell = _vector(sky)
        self._along = (self._ell[1], -self._ell[0]) if curl else self._ell
        x, y = pair[0], pair[1]
        coupling = coupling_of(x, y, observation)
        kept = [t for t in coupling if x != y or t.gradient == "left"]
        self.weights = kernels.times(tuple(kept), observation.inverse(x), observation.inverse(y))
        norm = 2 / (sky.area * np.where(sky.ell > 0, sky.ell, np.inf) ** 2)
        self.response = norm * self._sum(self.weights, coupling)
        # What rounding leaves where no pair of modes adds up to L is not a response.
        self.response[self.response < 1e-10 * self.response.max()] = 0
        self._terms = [self._legs_of(term) for term in self.weights]
        self._to_kappa = Factors(
            np.stack([along * self.normalisation for along in self._along])[:, None]
        )

    @functools.cached_property
    def noise(self) -> Plane:
        """N0_L, half plane: the power spectrum of κ̂ from unlensed maps of the same spectra.

        Dimensionless like C_κκ; that of lensed maps is larger. Infinite for modes that are not
        estimated.
        """
        return self.noise_covariance(self)

    @functools.cached_property
    def normalisation(self) -> Plane:
        """1 / R_L, half plane, and the filter if there is one; zero for modes not estimated."""
        above, below = np.ones_like(self.response), self.response
        if self._kappa_power is not None:
            above = self._kappa_power
            below = above * self.response + self.observation.sky.ell**2 / 2
        return np.divide(above, below, out=np.zeros_like(below), where=self.response > 0)

    def noise_covariance(
        self, other: "QuadraticEstimator", seen: Observation | None = None
    ) -> Plane:
        """Returns the N0 cross-spectrum of two estimators' noise.

        Zero between EB or TB and the others, by parity.

        Args:
          other: an estimator from the same observation, or this one.
          seen: what the fields hold instead, of which the weights know nothing.

        Returns:
          Half plane, float64; infinite for modes that either does not estimate.
        """
        x, y, v, w = (*self.pair, *other.pair)
        ours, total = self.weights, (seen or self.observation).total
        direct = kernels.times(other.weights, total(x, v), total(y, w))
        crossed = kernels.times(kernels.swapped(other.weights), total(x, w), total(y, v))
        power = self._sum(ours, direct) + self._sum(ours, crossed)
        power /= self.observation.sky.area
        both = self.response * other.response
        return np.divide(power, both, out=np.full_like(power, np.inf), where=both > 0)

    def kappa(self, fields: Mapping[str, NDArray[np.complexfloating]]) -> NDArray:
        """Estimates κ.

        Args:
          fields: "T", "E", "B" (those of the pair; others are ignored) to half planes of the
            observed maps, µK, shape (n, npix, npix // 2 + 1), not divided by the beam. Of
            complex64 the rounding is 1e-5 of κ̂'s rms in any band of L; complex128 takes twice as
            long. Give the same `Legs`, of a few maps, to estimators that have filters in common.

        Returns:
          Half planes of κ̂, same shape and dtype, zero for modes that are not estimated. Its mean
          over CMB and noise at fixed κ is κ, to first order in κ.

        Raises:
          LensingError: a field is missing or has another shape.
        """
        checked = self.checked(fields)
        if isinstance(fields, Legs):
            return self._estimate(fields)
        estimate = np.empty_like(checked[self.pair[0]])
        for part, legs in blocks(checked, self.grid):
            estimate[part] = self._estimate(legs)
        return estimate

    def checked(
        self, fields: Mapping[str, NDArray[np.complexfloating]]
    ) -> dict[str, NDArray[np.complexfloating]]:
        """Returns the fields of the pair; errors as of `kappa`."""
        found = {name: self._checked(fields, name) for name in self.pair}
        x, y = (found[name] for name in self.pair)
        if len(x) != len(y):
            raise LensingError(f"{len(x)} maps of {self.pair[0]}, but {len(y)} of {self.pair[1]}")
        return found

    def _estimate(self, legs: Legs) -> NDArray:
        """κ̂ of one block: minus the divergence of the sum of filtered fields times gradients."""
        (first_steep, first_flat), *rest = self._terms
        flow = legs.slope(*first_steep, self.grid) * legs.value(*first_flat, self.grid)
        product = np.empty_like(flow) if rest else flow
        for steep, flat in rest:
            slope, value = legs.slope(*steep, self.grid), legs.value(*flat, self.grid)
            flow += np.multiply(slope, value, out=product)
        along_y, along_x = self._to_kappa.times(self.grid.modes(flow))
        return -1j * (along_y + along_x)

    def _legs_of(self, term: Term) -> tuple[tuple[str, Filter], tuple[str, Filter]]:
        """The field and filter of the leg whose gradient is taken, and of the other."""
        sky = self.observation.sky
        left = self.pair[0], Filter(term.left, sky)
        right = self.pair[1], Filter(term.right, sky)
        return (left, right) if term.gradient == "left" else (right, left)

    def _sum(self, first: Kernel, second: Kernel) -> Plane:
        return kernels.summed_product(first, second, self._along, self._ell, self.grid)

    def _checked(
        self, fields: Mapping[str, NDArray[np.complexfloating]], name: str
    ) -> NDArray[np.complexfloating]:
        if name not in fields:
            raise LensingError(f"the {self.pair} estimator needs {name}, got {sorted(fields)}")
        modes, shape = fields[name], self.observation.sky.ell.shape
        if modes.ndim != 3 or modes.shape[1:] != shape or modes.dtype.kind != "c":
            raise LensingError(
                f"{name} has shape {modes.shape} and dtype {modes.dtype}: must be complex half "
                f"planes of shape (n, {shape[0]}, {shape[1]})"
            )
        return modes


def _vector(sky: FlatSky) -> tuple[Plane, Plane]:
    y, x = np.broadcast_arrays(sky.ly, sky.lx)
    return y, x
