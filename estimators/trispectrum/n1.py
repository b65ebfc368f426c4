"""N1: what quadratic estimates of κ_L hold of the lensing by other modes of κ.

Two estimates take four fields, and lensing correlates each field of the one with each of the other.
To first order in C_φφ (Kesden, Cooray & Kamionkowski 2003, astro-ph/0302536; Hanson et al. 2011,
arXiv:1008.4403), and in this project's normalisation of modes (see `quadratic_estimator`),

    N1_L = 1/(area² R_L R'_L) Σ W(l₁, l₂) W'(l₁', l₂') [
        f_xx'(l₁, −l₁') f_yy'(l₂, −l₂') C_φφ(l₁ − l₁')
        + f_xy'(l₁, −l₂') f_yx'(l₂, −l₁') C_φφ(l₁ − l₂')]

over all modes of the patch with l₁ + l₂ = l₁' + l₂' = L: a sum, not an integral. W, f and R are the
estimators' own, f with the spectra of lensed gradients, so that what further orders in φ do to the
response they do here too. f of two B is zero to this order.

At a given L every term is a convolution with q_i q_j C_φφ(q), because W and f are sums of products
(`pair_sums`). N1 / N0 varies slowly with L, so that a few L will do for a curve.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from estimators.quadratic.coupling import coupling_of
from estimators.quadratic.kernels import Plane, Term, swapped
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from estimators.trispectrum.pair_sums import PairSums, Square
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.flat_sky import FlatSky

NODES = 24
"""L at which N1 is summed for a curve: below L = 1,300 it is within 1 % of N1 of v11 and v12."""


class FirstOrderNoise:
    """N1 of quadratic estimators, and between them, on a periodic patch.

    Args:
      estimators: from one observation.
      kappa_power: C_κκ of the modes that lens, half plane of `lensing_sky`.
      lensing_sky: a grid on the same patch; for a version `config.internal`, since modes beyond the
        maps' own lens them too.

    Raises:
      LensingError: the estimators have different observations, or pairs of modes whose sum is L
        only modulo the grid's sampling; or the patch is another.
    """

    def __init__(
        self,
        estimators: Sequence[QuadraticEstimator],
        kappa_power: Plane,
        lensing_sky: FlatSky,
    ):
        observation = estimators[0].observation
        if any(one.observation is not observation for one in estimators):
            raise LensingError("N1 is that of estimators from one and the same observation")
        if observation.wrapped:
            raise LensingError(
                "N1 is summed for pairs of modes that add up to L; those of `wrapped` do so modulo "
                "the grid's sampling: take the ordinary modes, or paired simulations"
            )
        sky = observation.sky
        if not np.isclose(lensing_sky.side, sky.side, rtol=1e-9):
            raise LensingError(
                f"the patch is {np.degrees(sky.side):.4g} degrees wide, that of the modes that "
                f"lens {np.degrees(lensing_sky.side):.4g}: N1 is that of one periodic patch"
            )
        if kappa_power.shape != lensing_sky.ell.shape:
            raise LensingError(
                f"C_κκ has shape {kappa_power.shape}: must be the half plane of the modes that "
                f"lens, {lensing_sky.ell.shape}"
            )
        self._estimators = tuple(estimators)
        self._sums = PairSums(sky, observation.used, kappa_power, lensing_sky)
        self._planes: dict[bytes, Square] = {}
        fields = {name for one in estimators for name in one.pair}
        self._couplings = {
            x + y: [self._kept(term) for term in coupling_of(x, y, observation)]
            for x in fields
            for y in fields
        }

    def covariance(self, mode: tuple[int, int]) -> NDArray[np.float64]:
        """Returns N1 at one L of all pairs of estimators.

        Unlike N0, not zero between EB or TB and the others.

        Args:
          mode: frequency (y, x) of L, in units of the patch's fundamental.

        Returns:
          Shape (estimators, estimators), dimensionless like C_κκ; infinite where one of the two
          does not estimate L.
        """
        count = len(self._estimators)
        found = np.zeros((count, count))
        opposite: dict[bytes, Square] = {}
        legs = [_Legs(one, mode, self._sums, self._planes, opposite) for one in self._estimators]
        for i, first in enumerate(legs):
            for j, second in enumerate(legs[: i + 1]):
                found[i, j] = found[j, i] = self._of_two(first, second)
        return found

    def _kept(self, term: Term) -> _Coupling:
        """The term's planes as squares, equal ones once."""
        keys = []
        for plane in (term.left, term.right):
            key = hashlib.sha256(np.ascontiguousarray(plane).data).digest()
            if key not in self._planes:
                self._planes[key] = self._sums.square(plane)
            keys.append(key)
        return _Coupling(keys[0], keys[1], term.gradient)

    def _of_two(self, first: _Legs, second: _Legs) -> float:
        scale = first.response * second.response * self._sums.sky.area**2
        if scale == 0:
            return np.inf
        direct = self._contraction(first, second, crossed=False)
        if first.symmetric or second.symmetric:
            return 2 * direct / scale
        return (direct + self._contraction(first, second, crossed=True)) / scale

    def _contraction(self, first: _Legs, second: _Legs, crossed: bool) -> float:
        """Σ W W' f f C_φφ with the first's fields joined to the second's, in order or crossed."""
        x, y = tuple(first.pair)
        v, w = tuple(second.pair[::-1] if crossed else second.pair)
        total = 0.0
        for a in self._couplings[x + v]:
            for b in self._couplings[y + w]:
                # f's own L is q = l₁ − l₁' in a and l₂ − l₂' = −q in b; the second fields' l are
                # −l₁' and −l₂'.
                sign = -1.0 if a.gradient == b.gradient else 1.0
                for i in (0, 1):
                    for j in (0, 1):
                        at_a, at_b = (i, None), (j, None)
                        ours = first.transform(
                            a.left,
                            b.left,
                            at_a[a.gradient == "right"],
                            at_b[b.gradient == "right"],
                        )
                        theirs = second.transform(
                            a.right,
                            b.right,
                            at_a[a.gradient == "left"],
                            at_b[b.gradient == "left"],
                            crossed,
                        )
                        total += sign * self._sums.joined(ours, theirs, i + j)
        return total


def n1(
    estimator: QuadraticEstimator | MinimumVariance,
    kappa_power: Plane,
    lensing_sky: FlatSky,
    nodes: int = NODES,
) -> Plane:
    """Returns N1_L of an estimator, half plane; infinite for modes that are not estimated.

    The ratio N1 / N0 is summed at a few L along the axes and the diagonals, and interpolated in |L|
    and, as the cosine of four times the angle, in direction: square patches are not isotropic.

    Args:
      estimator: of κ.
      kappa_power: as of `FirstOrderNoise`.
      lensing_sky: likewise.
      nodes: how many L along either.

    Raises:
      LensingError: as of `FirstOrderNoise`; or fewer than two nodes.
    """
    if nodes < 2:
        raise LensingError(f"nodes is {nodes}: a curve needs at least 2")
    if isinstance(estimator, MinimumVariance):
        estimators, weights = estimator.estimators, estimator.weights
    else:
        estimators, weights = (estimator,), np.ones((1, *estimator.noise.shape))
    sums = FirstOrderNoise(estimators, kappa_power, lensing_sky)
    sky = estimators[0].observation.sky
    known = np.isfinite(estimator.noise)
    curves = []
    for diagonal in (False, True):
        modes = node_modes(sky, known, diagonal, nodes)
        ratios = []
        for mode in modes:
            of_each = weights[:, mode[0], mode[1]]
            ratios.append(of_each @ sums.covariance(mode) @ of_each / estimator.noise[mode])
        lengths = sky.fundamental * np.hypot(*np.transpose(modes))
        within = np.clip(sky.ell, lengths[0], lengths[-1])
        curves.append(PchipInterpolator(lengths, ratios)(within))
    straight, oblique = curves
    cos4 = np.cos(4 * np.arctan2(sky.ly, sky.lx))
    ratio = (straight + oblique) / 2 + cos4 * (straight - oblique) / 2
    return np.where(known, ratio * np.where(known, estimator.noise, 0.0), np.inf)


def node_modes(
    sky: FlatSky, estimated: NDArray[np.bool_], diagonal: bool, count: int
) -> list[tuple[int, int]]:
    """Returns frequencies (y, x) of modes along an axis or a diagonal, L increasing.

    Args:
      sky: the patch.
      estimated: half plane of bools, the modes to choose from.
      diagonal: along the diagonal, not along the axis x.
      count: how many, spread evenly in L^(1/4): fewer where there are not as many.

    Raises:
      LensingError: there are not two.
    """
    numbers = np.arange(1, (sky.npix - 1) // 2 + 1)
    numbers = numbers[estimated[numbers * diagonal, numbers]]
    if len(numbers) < 2:
        raise LensingError(
            "N1 is summed for modes along the axes and the diagonals, of which fewer than two are "
            "estimated: use more of the maps' modes"
        )
    wanted = np.linspace(numbers[0] ** 0.25, numbers[-1] ** 0.25, count) ** 4
    nearest = np.unique(np.abs(numbers[:, None] - wanted).argmin(axis=0))
    return [(int(n) * diagonal, int(n)) for n in numbers[nearest]]


class _Coupling(NamedTuple):
    """A term of f: the keys of its planes, and whose gradient it has."""

    left: bytes
    right: bytes
    gradient: Literal["left", "right"]


class _Legs:
    """An estimator at one L: its weights by l₁, times what couplings ask for, transformed once.

    Args:
      estimator: of κ.
      mode: frequency (y, x) of L.
      sums: of the patch.
      planes: by key, functions of l.
      opposite: the same of L − l; filled as they are needed.
    """

    def __init__(
        self,
        estimator: QuadraticEstimator,
        mode: tuple[int, int],
        sums: PairSums,
        planes: Mapping[bytes, Square],
        opposite: dict[bytes, Square],
    ):
        self.pair = estimator.pair
        self.symmetric = self.pair[0] == self.pair[1]
        half = mode if mode[1] >= 0 else (-mode[0], -mode[1])
        self.response = float(estimator.response[half])
        y, x = (sums.sky.fundamental * number for number in mode)
        along = (x, -y) if estimator.curl else (y, x)
        value = sums.kernel(estimator.weights, along, mode)
        # With the fields exchanged: l₁ is that of the second.
        other = sums.kernel(swapped(estimator.weights), along, mode)
        if self.symmetric:
            value = other = (value + other) / 2
        self._weights = {False: value, True: other}
        self._sums, self._mode, self._vectors = sums, mode, sums.vectors(mode)
        self._planes, self._opposite = planes, opposite
        self._made: dict[tuple, NDArray[np.complex128]] = {}

    def transform(
        self,
        of_first: bytes,
        of_second: bytes,
        along_first: int | None,
        along_second: int | None,
        crossed: bool = False,
    ) -> NDArray[np.complex128]:
        """Transforms W times functions of l₁ and of l₂, and components of l₁ and of l₂.

        Args:
          of_first: key of a function of l₁.
          of_second: key of a function of l₂.
          along_first: 0 for l₁'s component y, 1 for x, None for no factor.
          along_second: likewise of l₂.
          crossed: with the fields of the pair exchanged.
        """
        key = (of_first, of_second, along_first, along_second, crossed)
        if key not in self._made:
            if of_second not in self._opposite:
                self._opposite[of_second] = self._sums.opposite(self._planes[of_second], self._mode)
            square = self._weights[crossed] * self._planes[of_first] * self._opposite[of_second]
            for component, vector in zip((along_first, along_second), self._vectors, strict=True):
                if component is not None:
                    square *= vector[component]
            self._made[key] = self._sums.transform(square)
        return self._made[key]
