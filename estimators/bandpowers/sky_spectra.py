"""Spectra of an estimate of κ of each sky, ring by ring, and of what its biases are made of.

A quadratic estimate κ̂[x, x] of one sky comes from a form that is linear in either of its maps,

    κ̂[x, y] = (κ̂(x + y) − κ̂(x) − κ̂(y)) / 2,

which is symmetric. With s_i simulated skies, s_i' one with the κ of s_i and another CMB, and d the
sky itself, the spectra of (Namikawa, Hanson & Takahashi 2013, arXiv:1209.0091; Story et al. 2015,
arXiv:1412.4760)

    κ̂[s₁, s₂],  κ̂[s₁, s₁'],  κ̂[d, s]

are, twice the first, N0 on average, twice the second N0 + N1; four times the third, averaged over
s, less N0, is N0 given the sky d: RDN0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from estimators.bandpowers.rings import Modes, Rings
from estimators.bandpowers.sky_sets import Maps, Skies, SkyMaker, SkySet, of_rdn0
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator

AUTO, CROSS, TRUE = "auto", "cross", "true"
TRACER_CROSS, TRACER_TRUE, TRACER = "tracer_cross", "tracer_true", "tracer"
DATA_N0, N0, N0_N1 = "data_n0", "n0", "n0_n1"

SPECTRA = (AUTO, CROSS, TRUE, TRACER_CROSS, TRACER_TRUE, TRACER)
"""Those of every sky: κ̂κ̂, κ̂κ, κκ; κ̂g, κg and gg with a second tracer g of the same matter."""

QUADRATIC = (DATA_N0, N0, N0_N1)
"""Those of a quadratic estimate beside them; the last two are NaN in a set without pairs."""

TRACER_CORRELATION = 0.7
"""Correlation of the second tracer with κ at every L: such as a map of infrared galaxies has."""

_TRACER_STREAM = 0x7AC3


class Bilinear:
    """The form κ̂[x, y] of a quadratic estimate.

    Args:
      kappa: the estimate of maps, (n, npix, npix, channels) -> half planes.
      none: the estimate of a map of zeros, which it takes for its mean.
    """

    def __init__(self, kappa: Callable[[Maps], Modes], none: Modes):
        self._kappa, self._none = kappa, none

    def own(self, estimates: Modes) -> Modes:
        """Returns κ̂[x, x] of estimates, in which no mean is subtracted."""
        return estimates - self._none

    def of(self, first: Maps, second: Maps, own: Modes) -> Modes:
        """Returns κ̂[x, y].

        Args:
          first: maps x.
          second: maps y, as many, or one for all.
          own: κ̂[x, x] + κ̂[y, y].
        """
        return (self.own(self._kappa(first + second)) - own) / 2


class _Rdn0Sky(NamedTuple):
    maps: Maps
    own: Modes


class SkySpectra:
    """Measures the spectra of skies.

    Args:
      ensemble: what they are drawn from.
      estimator: of κ.
      quadratic: whether its estimates are quadratic in the maps.
      rdn0: how many simulated skies each sky is paired with; they stay in memory.
    """

    def __init__(self, ensemble: SkyEnsemble, estimator: Estimator, quadratic: bool, rdn0: int):
        self._ensemble, self._estimator = ensemble, estimator
        self._quadratic, self._rdn0_number = quadratic, rdn0
        self._rings = Rings(ensemble.config.sky)
        # Of white noise of variance 1 a mode's is 1 / npix².
        power = ensemble.kappa_power / ensemble.config.sky.pixel**2
        self._tracer_noise = np.sqrt(power * (1 / TRACER_CORRELATION**2 - 1))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the spectra."""
        return names_of(self._quadratic)

    def of_set(self, skies: SkySet, start: int, stop: int) -> Iterator[NDArray[np.float64]]:
        """Measures some skies of a set.

        Args:
          skies: the set.
          start: number of the first one.
          stop: one past the last.

        Yields:
          Spectra of some skies after the other, (n, names, rings) float64.
        """
        maker = SkyMaker(self._ensemble.config, self._ensemble.theory, skies)
        for low in range(start, stop, maker.together):
            high = min(low + maker.together, stop)
            pairs = skies.pairs and self._quadratic
            drawn = maker.skies(low, high + pairs)
            found = self._of_skies(drawn.first(high - low), skies.first + low)
            if pairs:
                found[:, -2:] = self._of_pairs(drawn.maps, maker.partners(low, high))
            yield found

    def of_estimates(self, estimates: Maps, kappa: Maps, first: int) -> NDArray[np.float64]:
        """Measures estimates that exist already, of κ that is known.

        Args:
          estimates: κ̂, (n, npix, npix).
          kappa: the truth, same shape.
          first: index of the first one, by which its tracer is drawn.

        Returns:
          (n, names of what is not quadratic, rings) float64.
        """
        return self._plain(self._modes(estimates), self._modes(kappa), first)

    def _of_skies(self, skies: Skies, first: int) -> NDArray[np.float64]:
        maps = skies.maps
        estimates = self._kappa(maps, skies.masks)
        found = self._plain(estimates, self._modes(skies.kappa), first)
        if not self._quadratic:
            return found
        more = np.full((len(maps), len(QUADRATIC), self._rings.num), np.nan)
        own = self._bilinear.own(estimates)
        if self._rdn0_number:
            more[:, 0] = 0
        for other in self._rdn0_skies:
            mixed = self._bilinear.of(maps, other.maps, own + other.own)
            more[:, 0] += 4 * self._rings.power(mixed, mixed) / self._rdn0_number
        return np.concatenate([found, more], axis=1)

    def _of_pairs(self, maps: Maps, partners: Maps) -> NDArray[np.float64]:
        """Spectra of κ̂[s₁, s₂] and κ̂[s₁, s₁'], twice; of n + 1 skies s and n partners s'."""
        bilinear, rings = self._bilinear, self._rings
        own, of_partners = bilinear.own(self._kappa(maps)), bilinear.own(self._kappa(partners))
        next_ones = bilinear.of(maps[:-1], maps[1:], own[:-1] + own[1:])
        same_kappa = bilinear.of(maps[:-1], partners, own[:-1] + of_partners)
        return 2 * np.stack([rings.power(m, m) for m in (next_ones, same_kappa)], axis=1)

    def _plain(self, estimates: Modes, kappa: Modes, first: int) -> NDArray[np.float64]:
        tracer = kappa + np.stack([self._noise(first + i) for i in range(len(kappa))])
        pairs = [(estimates, estimates), (estimates, kappa), (kappa, kappa)]
        pairs += [(estimates, tracer), (kappa, tracer), (tracer, tracer)]
        return np.stack([self._rings.power(a, b) for a, b in pairs], axis=1)

    def _noise(self, index: int) -> Modes:
        """Modes of the tracer that are not κ's."""
        sky = self._ensemble.config.sky
        draws = np.random.default_rng([_TRACER_STREAM, index])
        white = draws.standard_normal((sky.npix, sky.npix), np.float32)
        return self._tracer_noise * sky.to_modes(white)

    def _modes(self, maps: Maps) -> Modes:
        return self._ensemble.config.sky.to_modes(np.ascontiguousarray(maps))

    def _kappa(self, maps: Maps, masks: Maps | None = None) -> Modes:
        return self._modes(self._estimator.kappa(maps, np.arange(len(maps)), masks))

    @functools.cached_property
    def _bilinear(self) -> Bilinear:
        config = self._ensemble.config
        none = np.zeros((1, config.npix, config.npix, len(config.channels)), np.float32)
        return Bilinear(self._kappa, self._kappa(none))

    @functools.cached_property
    def _rdn0_skies(self) -> list[_Rdn0Sky]:
        config, table = self._ensemble.config, self._ensemble.theory
        return [
            _Rdn0Sky(maps, self._bilinear.own(self._kappa(maps[None])))
            for maps in of_rdn0(config, table, self._rdn0_number)
        ]


def names_of(quadratic: bool) -> tuple[str, ...]:
    """Returns the names of the spectra of an estimate, quadratic or not."""
    return SPECTRA + QUADRATIC * quadratic
