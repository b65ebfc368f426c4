"""Coverage of an estimator's intervals: how often they hold the truth, and how wide they are.

For intervals of a level 1 − α that reach h on either side of an estimate with residual r:

    coverage          the share of residuals with |r| <= h, which should be the level
    interval score    2 h + (2/α) max(0, |r| − h), the smaller the better: narrow intervals are
                      good, and a truth outside costs (Gneiting & Raftery 2007, equation 43)

Both are means over the independent numbers in a band's modes, each real and imaginary part once,
and over examples; the coverage of pixels is over all of them. The score is divided by that of the
best intervals of who knows nothing but κ's spectrum, ±z σ around zero, 4 σ φ(z) / α: 1 says that
nothing was learned. Errors are of a bootstrap over examples, see `estimators.resampling`.
"""

from __future__ import annotations

import dataclasses
import math
import statistics

import numpy as np
from numpy.typing import NDArray

from estimators.power_spectra import Bands
from estimators.real_modes import RealModes
from estimators.resampling import ExampleMeans, Measured
from estimators.uncertainty import LEVELS, Inside, Uncertainty
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.binning import Bins


@dataclasses.dataclass(frozen=True, eq=False)
class LevelCoverage:
    """The intervals of one level.

    Attributes:
      level: the share of truths that they are to hold.
      modes: the share that those of modes hold, (num_bands,).
      score: their interval score, relative to knowing κ's spectrum only, (num_bands,).
      pixels: the share that those of pixels hold, scalar.
    """

    level: float
    modes: Measured
    score: Measured
    pixels: Measured


class CoverageMeter:
    """Takes pairs of maps batch by batch and keeps a few numbers of each, never the maps.

    Args:
      uncertainty: whose intervals are judged.
      bands: in which.
      kappa_power: the spectrum that κ is drawn from, half plane.
      window: (npix, npix), inside which errors are judged; None is the whole patch.

    Raises:
      LensingError: the intervals are of another patch, or of fewer modes.
    """

    def __init__(
        self,
        uncertainty: Uncertainty,
        bands: Bands,
        kappa_power: NDArray[np.float64],
        window: NDArray[np.floating] | None = None,
    ):
        if not uncertainty.covers(bands):
            raise LensingError(
                f"the errors are of {_said(uncertainty.bands)}, judged are {_said(bands)}: train "
                "again, to measure them again"
            )
        self._modes = RealModes(bands.sky)
        bins = Bins.between(bands.edges, bands.sky)
        index = self._modes.gather(bins.index)
        self._judged = np.argsort(index, kind="stable")[np.count_nonzero(index < 0) :]
        ordered = index[self._judged]
        self._starts = np.searchsorted(ordered, np.arange(bins.num))
        self._counts = np.bincount(ordered, minlength=bins.num)
        self._half_widths = [
            self._modes.gather(uncertainty.mode_half_width(level))[self._judged] for level in LEVELS
        ]
        self._pixel_half_widths = [uncertainty.pixel_half_width(level) for level in LEVELS]
        kappa_std = np.sqrt(self._modes.gather(kappa_power)[self._judged] / bands.sky.area)
        self._ignorant = [_gaussian_score(level) * self._means(kappa_std) for level in LEVELS]
        self._inside = Inside(window)
        self._examples = ExampleMeans()

    def add(self, kappa: NDArray[np.floating], estimate: NDArray[np.floating]) -> None:
        """Adds true maps and their estimates, both (n, npix, npix), dimensionless."""
        residual = estimate.astype(np.float64) - kappa
        pixels = np.abs(self._inside.pixels(residual))
        numbers = np.abs(self._modes.of(self._inside.times(residual))[:, self._judged])
        columns = []
        for level, half_width, of_pixels, ignorant in zip(
            LEVELS, self._half_widths, self._pixel_half_widths, self._ignorant, strict=True
        ):
            outside = np.maximum(0, numbers - half_width)
            columns += [
                self._means((numbers <= half_width).astype(np.float64)),
                self._means(2 * half_width + 2 / (1 - level) * outside) / ignorant,
                (pixels <= of_pixels).mean(axis=1)[:, None],
            ]
        self._examples.add(*columns)

    def result(self, generator: np.random.Generator) -> tuple[LevelCoverage, ...]:
        """Judges all that was added, level by level.

        Args:
          generator: draws the bootstrap's resamples.

        Raises:
          LensingError: fewer than two examples, which say nothing about errors.
        """
        value, error = self._examples.measure(lambda means: means, generator)
        ends = np.cumsum([len(self._counts), len(self._counts), 1] * len(LEVELS))[:-1]
        parts = list(map(Measured, np.split(value, ends), np.split(error, ends)))
        return tuple(
            LevelCoverage(level, modes, score, Measured(pixels.value[0], pixels.error[0]))
            for level, modes, score, pixels in zip(
                LEVELS, parts[::3], parts[1::3], parts[2::3], strict=True
            )
        )

    def _means(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Averages over each band's numbers: (..., judged) -> (..., num_bands)."""
        means: NDArray[np.float64] = np.add.reduceat(numbers, self._starts, axis=-1) / self._counts
        return means


def _gaussian_score(level: float) -> float:
    """The interval score of the central interval of a standard normal distribution."""
    normal = statistics.NormalDist()
    return 4 * normal.pdf(normal.inv_cdf((1 + level) / 2)) / (1 - level)


def _said(bands: Bands) -> str:
    sky = bands.sky
    return (
        f"{sky.npix} x {sky.npix} pixels on {math.degrees(sky.side):.4g} deg, multipoles "
        f"{bands.edges[0]:.5g} to {bands.edges[-1]:.5g}"
    )
