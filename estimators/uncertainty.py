"""The uncertainty of an estimate of κ: how far from the truth its modes and pixels are.

The posterior of κ is nearly Gaussian and the same everywhere on the patch. What is left of it is a
variance of the residual r = κ̂ − κ in each ring of multipoles, whose likelihood

    −2 ln P = Σ_l (|r_l|² / P_l + ln P_l) + const.

is largest where P_l is the ring's mean of |r_l|², over examples that the estimator has not seen.
The tails need not be Gaussian: how many standard deviations an interval reaches is the quantile of
|r_l| / √P_l on those examples (split-conformal intervals, Lei et al. 2018, arXiv:1604.04173), in
each band of multipoles, and for pixels. So an interval of 68 % is one that holds the truth in 68 %
of cases, not one of a standard deviation.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.filtering.masked_patch import INSIDE
from estimators.power_spectra import Bands
from estimators.real_modes import RealModes
from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import checked_as
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky

LEVELS = (0.68, 0.95)
"""The shares of truths that intervals are to hold."""

MEASURED_ON = "validation"
"""The split that errors are measured on: their coverage there says nothing."""

_FEWEST_MODES = 16  # of the last ring, in the plane's corners


def name_of(level: float) -> str:
    """Returns a level as files and people have it: "68"."""
    return f"{100 * level:.0f}"


@dataclasses.dataclass(frozen=True, eq=False)
class Uncertainty:
    """The errors of an estimator on one kind of sky.

    Attributes:
      sky: the patch.
      power: the residual's spectrum in each ring of `rings_of`, (rings,), dimensionless
        (steradian).
      edges: multipoles between which the bands lie, (num_bands + 1,).
      factors: how many standard deviations the intervals of modes reach, (levels, num_bands).
      pixel_factors: the same of pixels, (levels,).
      num_examples: on how many it was measured.

    Raises:
      LensingError: these are not that.
    """

    sky: FlatSky
    power: NDArray[np.float64]
    edges: NDArray[np.float64]
    factors: NDArray[np.float64]
    pixel_factors: NDArray[np.float64]
    num_examples: int

    def __post_init__(self) -> None:
        number = checked_as(int, "num_examples", self.num_examples)
        object.__setattr__(self, "num_examples", number)
        if number < 1:
            raise LensingError(f"num_examples of errors is {number}: must be at least 1")
        shapes: dict[str, tuple[int, ...]] = {
            "power": (rings_of(self.sky).num,),
            "edges": (max(2, np.size(self.edges)),),
            "factors": (len(LEVELS), max(1, np.size(self.edges) - 1)),
            "pixel_factors": (len(LEVELS),),
        }
        for name, shape in shapes.items():
            values = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(self, name, values)
            if values.shape != shape:
                raise LensingError(f"{name} of errors has shape {values.shape}: must be {shape}")
            if not (np.isfinite(values) & (values >= 0)).all():
                raise LensingError(f"{name} of errors holds a number that is negative or not one")
        if not (np.diff(self.edges) > 0).all():
            raise LensingError("edges of errors do not increase")
        for name in ("factors", "pixel_factors"):
            if not (np.diff(getattr(self, name), axis=0) >= 0).all():
                raise LensingError(f"{name} of errors do not increase with the level")

    @property
    def bands(self) -> Bands:
        """The bands that have a factor each."""
        return Bands(self.sky, self.edges)

    def covers(self, bands: Bands) -> bool:
        """Says whether there are intervals of all modes in these bands."""
        (first, last), (low, high) = self.edges[[0, -1]], bands.edges[[0, -1]]
        return bool(self.sky == bands.sky and first <= low and high <= last)

    @functools.cached_property
    def mode_std(self) -> NDArray[np.float64]:
        """Root mean square of |r_l|, half plane: √2 times that of a real or an imaginary part."""
        return np.sqrt(rings_of(self.sky).spread(self.power) / self.sky.area)

    @functools.cached_property
    def pixel_std(self) -> float:
        """Standard deviation of the error of a pixel, dimensionless."""
        return math.sqrt(float(np.sum(self.sky.mode_counts * self.mode_std**2)))

    def mode_half_width(self, level: float) -> NDArray[np.float64]:
        """Returns half the interval of a mode, half plane; NaN of those in no band.

        The interval of the real part, and that of the imaginary part, is 1 / √2 of it, but for the
        modes that are their own mirror image.

        Args:
          level: one of `LEVELS`.
        """
        factors = self.factors[_place_of(level)]
        bins = Bins.between(self.edges, self.sky)
        return np.where(bins.index >= 0, bins.spread(factors), np.nan) * self.mode_std

    def pixel_half_width(self, level: float) -> float:
        """Returns half the interval of a pixel, likewise."""
        return float(self.pixel_factors[_place_of(level)]) * self.pixel_std

    def intervals(
        self, kappa: NDArray[np.float32], level: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns the lower and the upper ends of the pixels' intervals around estimates.

        Args:
          kappa: estimates, maps of any shape.
          level: one of `LEVELS`.
        """
        half_width = np.float32(self.pixel_half_width(level))
        return kappa - half_width, kappa + half_width

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types."""
        return {
            "npix": self.sky.npix,
            "side": self.sky.side,
            "power": self.power.tolist(),
            "edges": self.edges.tolist(),
            "factors": _by_level(self.factors),
            "pixel_factors": _by_level(self.pixel_factors),
            "num_examples": self.num_examples,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Uncertainty:
        """Reads what `to_json` gave.

        Raises:
          LensingError: it is not that.
        """
        if values.keys() != _KEYS:
            unknown, missing = sorted(values.keys() - _KEYS), sorted(_KEYS - values.keys())
            raise LensingError(
                f"not the errors of an estimator (unknown keys {unknown}, missing {missing})"
            )
        try:
            return cls(
                sky=FlatSky(
                    checked_as(int, "npix", values["npix"]),
                    checked_as(float, "side", values["side"]),
                ),
                power=_numbers("power", values["power"]),
                edges=_numbers("edges", values["edges"]),
                factors=_of_levels("factors", values["factors"]),
                pixel_factors=_of_levels("pixel_factors", values["pixel_factors"]),
                num_examples=values["num_examples"],
            )
        except LensingError:
            raise
        except (TypeError, ValueError, ArithmeticError) as error:
            raise LensingError(f"not the errors of an estimator ({error!r})") from error


_KEYS = {
    *("npix", "side", "power", "edges", "factors", "pixel_factors", "num_examples"),
}


def _numbers(name: str, values: Any) -> NDArray[np.float64]:
    found = np.asarray(values)
    if found.dtype.kind not in "iuf":
        raise LensingError(f"{name} of errors is not made of numbers")
    return found.astype(np.float64)


def _of_levels(name: str, values: Any) -> NDArray[np.float64]:
    levels = [*map(name_of, LEVELS)]
    if not isinstance(values, Mapping) or sorted(values) != levels:
        raise LensingError(f"{name} of errors must have {' and '.join(levels)}, and nothing else")
    return _numbers(name, [values[level] for level in levels])


def rings_of(sky: FlatSky) -> Bins:
    """Returns the rings of modes that have a variance each."""
    return Bins.fundamental(sky, fewest=_FEWEST_MODES)


def refuse_too_few(num_examples: int, bands: Bands) -> None:
    """Makes sure that examples suffice for the intervals of the smallest band.

    Raises:
      LensingError: they do not.
    """
    numbers = int(bands.num_modes.min())
    needed = next(n for n in itertools.count(1) if max(_ranks(n * numbers)) <= n * numbers)
    if num_examples < needed:
        raise LensingError(
            f"errors at {LEVELS[-1]:.0%} need at least {needed} validation examples, there are "
            f"{num_examples}"
        )


class Inside:
    """The part of a patch whose errors count.

    Args:
      window: (npix, npix), 0 to 1; None is the whole patch.
    """

    def __init__(self, window: NDArray[np.floating] | None):
        self._window = None if window is None else window / np.sqrt(np.mean(window**2))
        self._inside = None if window is None else window >= INSIDE

    def times(self, residual: NDArray[np.floating]) -> NDArray[np.floating]:
        """Returns maps (n, npix, npix) whose modes have the power that is inside."""
        return residual if self._window is None else residual * self._window.astype(residual.dtype)

    def pixels(self, residual: NDArray[np.floating]) -> NDArray[np.floating]:
        """Returns the pixels of maps that are inside, (n, pixels)."""
        flat = residual.reshape(len(residual), -1)
        return flat if self._inside is None else flat[:, self._inside.ravel()]


def measured_uncertainty(
    pairs: Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]],
    bands: Bands,
    window: NDArray[np.floating] | None = None,
) -> Uncertainty:
    """Measures an estimator's errors.

    Args:
      pairs: at least one batch of true κ and of estimates that were not made to fit it, both
        (n, npix, npix). The residuals of all of them are in memory at once.
      bands: that get a factor each.
      window: (npix, npix), inside which they are measured; None is the whole patch.

    Raises:
      LensingError: there are too few examples for the largest level.
    """
    sky, modes = bands.sky, RealModes(bands.sky)
    pixels = np.concatenate([(estimate - kappa).astype(np.float32) for kappa, estimate in pairs])
    refuse_too_few(len(pixels), bands)
    inside = Inside(window)
    numbers = np.concatenate(
        [modes.of(inside.times(part)).astype(np.float32) for part in _parts(pixels)]
    )
    rings = rings_of(sky)
    ring_of = modes.gather(rings.index)
    counts = np.bincount(ring_of, minlength=rings.num)
    squares = np.einsum("ij,ij->j", numbers, numbers, dtype=np.float64) / len(numbers)
    power = sky.area * np.bincount(ring_of, squares, rings.num) / counts
    std = np.sqrt(power / sky.area)[ring_of]
    band_of = modes.gather(Bins.between(bands.edges, sky).index)
    factors = [
        _quantiles(_divided(numbers[:, band_of == band], std[band_of == band]))
        for band in range(len(bands.edges) - 1)
    ]
    pixel_std = math.sqrt(float(np.sum(counts * power)) / sky.area)
    return Uncertainty(
        sky,
        power,
        bands.edges,
        np.stack(factors, axis=-1),
        _quantiles(_divided(inside.pixels(pixels), np.array(pixel_std))),
        len(pixels),
    )


def _parts(maps: NDArray[np.float32], size: int = 64) -> Iterable[NDArray[np.float32]]:
    """Maps in parts, so that their modes in double precision take no more than those."""
    return (maps[start : start + size] for start in range(0, len(maps), size))


def _divided(values: NDArray[np.float32], std: NDArray[np.float64]) -> NDArray[np.float32]:
    """Values in standard deviations; 0 where all of them are zero."""
    return np.divide(values, std, out=np.zeros_like(values), where=std > 0, casting="same_kind")


def _quantiles(deviations: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sizes that a share of all deviations, and of one more, do not exceed: one for each level."""
    sizes = np.abs(deviations).ravel()
    places = [rank - 1 for rank in _ranks(len(sizes))]
    return np.partition(sizes, places)[places].astype(np.float64)


def _ranks(count: int) -> list[int]:
    """The places, from 1 on, of the quantiles among sorted numbers."""
    return [math.ceil((count + 1) * level) for level in LEVELS]


def _place_of(level: float) -> int:
    if level not in LEVELS:
        raise LensingError(f"level is {level}: must be {' or '.join(map(str, LEVELS))}")
    return LEVELS.index(level)


def _by_level(values: NDArray[np.float64]) -> dict[str, Any]:
    return dict(zip(map(name_of, LEVELS), values.tolist(), strict=True))
