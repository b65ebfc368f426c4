"""The large scales of κ and of its estimates, whitened: enough to tell how they lie to one another.

Each ring of modes is given unit power, so that φ, with its steep spectrum, is compared as fairly as
κ. Modes are kept, not maps: a shift by part of a coarse pixel, and a turn, are then exact.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky

_COARSE = 64  # pixels on a side that would hold the modes that are kept

_EMPTY = 1e-12  # of the fullest ring's power: less is rounding in single precision


@dataclasses.dataclass(frozen=True, eq=False)
class CoarseMaps:
    """Pairs of maps, by their modes of large scales.

    Attributes:
      index: (n,) int64, the examples.
      full: the maps' own patch.
      sky: the same patch with fewer pixels.
      kappa: (n, npix, npix // 2 + 1) complex64 of the truth, dimensionless; zero on Nyquist lines.
      estimate: likewise, in whatever units it is.
    """

    index: NDArray[np.int64]
    full: FlatSky
    sky: FlatSky
    kappa: NDArray[np.complex64]
    estimate: NDArray[np.complex64]

    @classmethod
    def of(
        cls,
        sky: FlatSky,
        parts: Iterable[tuple[NDArray[np.int64], NDArray[np.floating], NDArray[np.floating]]],
    ) -> CoarseMaps:
        """Takes maps part by part, and keeps their large scales.

        Args:
          sky: their patch.
          parts: at least one, each of index (n,), true κ and estimate, both (n, npix, npix).
        """
        coarse = FlatSky(min(_COARSE, sky.npix // 2 * 2), sky.side)
        kept = (
            (index, _kept(kappa, sky, coarse), _kept(estimate, sky, coarse))
            for index, kappa, estimate in parts
        )
        index, kappa, estimate = map(np.concatenate, zip(*kept, strict=True))
        return cls(index, sky, coarse, kappa, estimate)

    @property
    def noise(self) -> float:
        """Standard deviation of the correlation of two unrelated whitened maps."""
        return 1 / float(np.sqrt(self.sky.mode_counts[self.sky.inner].sum() - 1))

    @property
    def is_constant(self) -> bool:
        """Says whether no estimate has any structure."""
        return not self.whitened_estimate.any()

    @property
    def sizes(self) -> tuple[NDArray[np.float64], float]:
        """The rms of each estimate in units of the median one's, (n,), and its scatter if Gaussian.

        Ring by ring, where all modes of all rings count alike: a map of some degrees has few large
        ones, whose power scatters. Where κ has no power, above L_max, an estimate that is not
        linear has harmonics, which scatter far more, and are left out.
        """
        rings = Bins.fundamental(self.sky)
        inner = (rings.ell > 0) & (rings.ell < self.sky.nyquist)
        power, truth = (
            rings.mean(np.abs(modes.astype(np.complex128)) ** 2) * inner
            for modes in (self.estimate, self.kappa)
        )
        typical, of_kappa = np.median(power, axis=0), np.median(truth, axis=0)
        known = (typical > _EMPTY * typical.max()) & (of_kappa > _EMPTY * of_kappa.max())
        if not known.any():
            return np.ones(len(power)), 0.0
        weights = rings.num_modes[known]
        mean = np.average(power[:, known] / typical[known], axis=1, weights=weights)
        return np.sqrt(mean), float(1 / np.sqrt(2 * weights.sum()))

    @functools.cached_property
    def whitened_kappa(self) -> NDArray[np.complex64]:
        """(n, npix, npix // 2 + 1), modes whose weighted squares add up to 1 in each example."""
        return whitened(self.kappa, self.sky)

    @functools.cached_property
    def whitened_estimate(self) -> NDArray[np.complex64]:
        """The same of the estimates; zero of one without structure."""
        return whitened(self.estimate, self.sky)

    def chosen(self, places: NDArray[np.int64]) -> CoarseMaps:
        """Returns some of the pairs, by their places."""
        return dataclasses.replace(
            self,
            index=self.index[places],
            kappa=self.kappa[places],
            estimate=self.estimate[places],
        )

    def turned(self, modes: NDArray[np.complex64], element: int) -> NDArray[np.complex64]:
        """Applies an element of `symmetries.transform` to scalar maps, given by their modes."""
        npix = self.sky.npix
        mirrored = -np.arange(npix) % npix
        # Pixel i goes to npix - 1 - i, not to -i: that is one pixel, of the maps' own, further.
        phase = np.exp(1j * self.sky.ly * self.full.pixel).astype(np.complex64)
        plane = self.sky.full_plane(modes)
        if element & 1:
            plane = plane[:, mirrored] * phase
        if element & 2:
            plane = plane[:, :, mirrored] * phase.T
        if element & 4:
            plane = plane.transpose(0, 2, 1)
        return np.ascontiguousarray(plane[..., : npix // 2 + 1])


def whitened(modes: NDArray[np.complex64], sky: FlatSky) -> NDArray[np.complex64]:
    """Returns modes of unit power in each ring, and of unit norm in each example.

    The mean is left out, and so are rings without power; a map without structure stays zero.

    Args:
      modes: (n, npix, npix // 2 + 1).
      sky: their patch.
    """
    rings = Bins.fundamental(sky)
    if largest := np.abs(modes).max():
        modes = modes / largest  # squares of maps in odd units are beyond single precision
    power = rings.mean((np.abs(modes) ** 2).mean(axis=0, dtype=np.float64))
    power[0] = 0
    power[power < _EMPTY * power.max()] = 0
    gain = np.divide(1, np.sqrt(power), out=np.zeros_like(power), where=power > 0)
    modes = modes * rings.spread(gain).astype(np.float32)
    norm = np.sqrt(np.sum(sky.mode_counts * np.abs(modes) ** 2, axis=(1, 2), keepdims=True))
    scale = np.divide(1, norm, out=np.zeros_like(norm), where=norm > 0)
    return modes * scale.astype(np.float32)


def _kept(maps: NDArray[np.floating], sky: FlatSky, coarse: FlatSky) -> NDArray[np.complex64]:
    half = coarse.npix // 2
    # A mean that is far from zero would drown the other modes in rounding.
    modes = sky.to_modes(maps - maps.mean(axis=(1, 2), keepdims=True, dtype=np.float64), half)
    kept = np.zeros((len(maps), coarse.npix, half + 1), np.complex64)
    kept[:, :half, :half] = modes[:, :half]
    kept[:, -half + 1 :, :half] = modes[:, -half + 1 :]
    return kept
