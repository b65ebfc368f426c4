"""Own maps beside simulated skies: are they of the kind that an estimator was made for?

What is compared are band powers of T, E and B, of the estimate of κ, and the jump of each Stokes
parameter across the patch's edges, with the same of simulated skies. The cube root of a mean of
squares of Gaussian numbers is nearly Gaussian, however few they are (Wilson & Hilferty 1931): with
its mean and scatter over simulated skies, that of n maps, averaged, follows Student's distribution.
The power of an estimate has heavier tails, above all of patches with edges: it must be off by more
than any simulated sky is, too.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from estimators.own_maps.sky_frame import SkyFrame
from estimators.own_maps.units import MICROKELVIN, OTHER_UNITS, likely_unit
from estimators.power_spectra import Bands
from estimators.quadratic.fields import fields_of
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError

ESTIMATE = "estimated κ"
"""The field beside T, E and B."""

FALSE_ALARMS = 1e-3
"""The chance of a warning of maps that are simulated ones themselves, but for the estimate's."""

_SHOWN = 3  # bands of a field, or patches, that a warning names
_RARER = 2.0  # times as far off as the farthest simulated sky
_MIXED = 3.0  # times the power of B that no noise explains, and that E leaking into B makes


@dataclasses.dataclass(frozen=True, eq=False)
class Statistics:
    """Numbers of maps that are compared.

    Attributes:
      power: each field's, µK² steradian, κ's steradian: (n, bands).
      jumps: each Stokes parameter's mean square of opposite edges' difference, µK²: (n, 1).
    """

    power: Mapping[str, NDArray[np.float64]]
    jumps: Mapping[str, NDArray[np.float64]]

    @property
    def number(self) -> int:
        """The number of maps."""
        return len(next(iter(self.power.values())))

    @classmethod
    def of(
        cls,
        maps: NDArray[np.floating],
        kappa: NDArray[np.floating],
        channels: Sequence[str],
        bands: Bands,
    ) -> Statistics:
        """Measures maps and the κ estimated from them.

        Args:
          maps: (n, npix, npix, channels), µK.
          kappa: (n, npix, npix).
          channels: of the maps: "T", "Q", "U".
          bands: of the powers.
        """
        sky = bands.sky
        modes = dict(fields_of(maps, channels, sky))
        modes[ESTIMATE] = sky.to_modes(np.ascontiguousarray(kappa, np.float64))
        power = {
            name: bands.average(np.abs(half).astype(np.float64) ** 2) * sky.area
            for name, half in modes.items()
        }
        return cls(
            power,
            {name: _jump(maps[..., i])[:, None] for i, name in enumerate(channels)},
        )

    @classmethod
    def joined(cls, parts: Sequence[Statistics]) -> Statistics:
        """Returns those of all maps, part after part."""

        def together(name: str) -> dict[str, NDArray[np.float64]]:
            dicts = [getattr(part, name) for part in parts]
            return {key: np.concatenate([d[key] for d in dicts]) for key in dicts[0]}

        return cls(together("power"), together("jumps"))


def _jump(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    rows = maps[:, 0, :].astype(np.float64) - maps[:, -1, :]
    columns = maps[:, :, 0].astype(np.float64) - maps[:, :, -1]
    return np.mean(rows**2 + columns**2, axis=1) / 2


@dataclasses.dataclass(frozen=True, eq=False)
class Likeness:
    """Own maps beside simulated ones.

    Attributes:
      config: what the simulated ones are of.
      own: of the maps.
      simulated: of at least two skies.
      bands: of the powers.
    """

    config: LensingConfig
    own: Statistics
    simulated: Statistics
    bands: Bands

    @functools.cached_property
    def sigmas(self) -> dict[str, NDArray[np.float64]]:
        """Returns how many errors each field's bands are off, of the mean of maps: (bands,)."""
        pairs = _pairs(self.own.power, self.simulated.power)
        return {name: _student(one, two)[0] for name, one, two in pairs}

    def ratio(self, name: str) -> NDArray[np.float64]:
        """Returns a field's mean power in that of the simulated skies, (bands,)."""
        return _divided(self.own.power[name].mean(axis=0), self.simulated.power[name].mean(axis=0))

    @functools.cached_property
    def limit(self) -> float:
        """Returns the number of errors beyond which any of all numbers is off."""
        count = self.own.number
        tests = sum(map(len, self.sigmas.values())) + len(self.own.jumps)
        tests *= count + 1 if count > 1 else 1  # all together, and each patch by itself
        return -float(special.stdtrit(self.simulated.number - 1, FALSE_ALARMS / 2 / tests))

    @functools.cached_property
    def estimate_limit(self) -> float:
        """The same of the estimate, whose power is no mean of squares of Gaussian numbers."""
        power = self.simulated.power[ESTIMATE]
        others = [np.delete(power, i, axis=0) for i in range(len(power))]
        largest = max(
            float(np.abs(_student(one[None], rest)).max())
            for one, rest in zip(power, others, strict=True)
        )
        return max(self.limit, _RARER * largest)

    def _limit(self, name: str) -> float:
        return self.estimate_limit if name == ESTIMATE else self.limit

    @functools.cached_property
    def warnings(self) -> list[str]:
        """Lines that say in which bands the maps are off and by how much; none if they are not."""
        lines = [line for name in self.own.power if (line := self._of_power(name))]
        lines += [line for name in self.own.jumps if (line := self._of_jumps(name))]
        return lines or self._of_patches()

    def _of_power(self, name: str) -> str:
        sigmas, ratio, edges = self.sigmas[name], self.ratio(name), self.bands.edges
        off = np.flatnonzero(~(np.abs(sigmas) <= self._limit(name)))
        if not off.size:
            return ""
        worst = off[np.argsort(-np.abs(sigmas[off]))[:_SHOWN]]
        listed = ", ".join(
            f"{ratio[i]:.3g} times at {edges[i]:.0f} < l < {edges[i + 1]:.0f} ({sigmas[i]:+.1f} σ)"
            for i in sorted(worst)
        )
        left = off.size - len(worst)
        more = f", and {left} more {'band' if left == 1 else 'bands'}" if left else ""
        hint = ""
        if name == "B" and np.median(ratio) > _MIXED:
            hint = "; E is mixed into it, by edges or by U of the other sign (COSMO, IAU)"
        return f"the power of {name} is not that of skies of {self._dataset}: {listed}{more}{hint}"

    def _of_jumps(self, name: str) -> str:
        own, known = self.own.jumps[name], self.simulated.jumps[name]
        sigmas = float(_student(own, known)[0, 0])
        if abs(sigmas) <= self.limit:
            return ""
        times = float(np.sqrt(_divided(own.mean(axis=0), known.mean(axis=0))[0]))
        return (
            f"{name} jumps at the patch's edges, {times:.3g} times as much as skies of "
            f"{self._dataset} ({sigmas:+.1f} σ): near them the estimate is wrong"
        )

    def _of_patches(self) -> list[str]:
        """Lines on patches that are off by themselves, where all together are not."""
        pairs = [
            *_pairs(self.own.power, self.simulated.power),
            *_pairs(self.own.jumps, self.simulated.jumps),
        ]
        off = {
            name: np.abs(_student(one[:, None], two)).max(axis=(1, 2)) for name, one, two in pairs
        }
        worst = np.max([sigmas / self._limit(name) for name, sigmas in off.items()], axis=0)
        found = np.flatnonzero(~(worst <= 1))
        if not found.size:
            return []
        first = found[np.argmax(worst[found])]
        name = max(off, key=lambda key: off[key][first] / self._limit(key))
        listed = ", ".join(map(str, found[:_SHOWN])) + ", ..." * (found.size > _SHOWN)
        return [
            f"{found.size} of {len(worst)} patches ({listed}) are not like skies of "
            f"{self._dataset}, patch {first} the least: {name} is off by {off[name][first]:.1f} σ"
        ]

    @property
    def _dataset(self) -> str:
        return f"lensing/{self.config.name}"


def _pairs(
    one: Mapping[str, NDArray[np.float64]], two: Mapping[str, NDArray[np.float64]]
) -> list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    return [(name, values, two[name]) for name, values in one.items()]


def _student(own: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Student's t of means of numbers among known ones.

    Args:
      own: (..., n, k), the mean is over n.
      known: (m, k).

    Returns:
      (..., 1, k).
    """
    one, two = np.cbrt(own), np.cbrt(known)
    error = two.std(axis=0, ddof=1) * np.sqrt(1 / one.shape[-2] + 1 / len(two))
    return _divided(one.mean(axis=-2, keepdims=True) - two.mean(axis=0), error)


def _divided(one: NDArray, two: NDArray) -> NDArray[np.float64]:
    """A ratio, 0 where nothing is divided by nothing."""
    with np.errstate(divide="ignore"):
        return np.divide(one, two, out=np.zeros_like(one), where=(two != 0) | (one != 0))


def refuse_unusable(
    maps: NDArray[np.float32],
    expected: NDArray[np.float64],
    config: LensingConfig,
    source: str,
    frame: SkyFrame | None = None,
) -> None:
    """Refuses maps that nothing can be estimated from: not finite, constant, or in other units.

    Args:
      maps: (n, npix, npix, channels), taken to be µK; zero where they are masked.
      expected: rms of each channel of the maps that are wanted, µK, (channels,).
      config: of those.
      source: the file, for messages.
      frame: of the pixels in the file, as which messages name them; None if it says nothing.

    Raises:
      LensingError: the message names the first of them.
    """
    for number, patch in enumerate(maps):
        for place, channel in enumerate(config.channels):
            name = f"{channel} of patch {number} of {len(maps)} in {source}"
            values = patch[..., place].astype(np.float64)
            if (bad := ~np.isfinite(values)).any():
                place_in_file = _box(bad if frame is None else frame.flipped(bad))
                raise LensingError(
                    f"{name} has {bad.sum():,} of {bad.size:,} pixels that are not finite (NaN or "
                    f"infinite) and not masked, {place_in_file}: give --mask that is 0 there "
                    "(--model iterated or qe, or a run on masked maps), or cut out a patch that is "
                    "observed everywhere"
                )
            rms, mean = float(values.std()), float(values.mean())
            if rms <= 1e-6 * abs(mean):
                raise LensingError(f"{name} is {mean:.4g} everywhere: there is nothing to estimate")
            _refuse_other_units(rms, float(expected[place]), name)
            if abs(mean) > OTHER_UNITS * expected[place]:
                raise LensingError(
                    f"{name} has a mean of {mean:.4g} {MICROKELVIN}: take the monopole off"
                )


def _box(pixels: NDArray[np.bool_]) -> str:
    """Names the rows and columns, from 0, that some pixels of (npix, npix) lie in."""
    words = []
    for name, axis in (("row", 1), ("column", 0)):
        first, last = np.flatnonzero(pixels.any(axis=axis))[[0, -1]].tolist()
        words.append(f"{name} {first}" if first == last else f"{name}s {first} to {last}")
    return f"in {' and '.join(words)}"


def _refuse_other_units(rms: float, expected: float, name: str) -> None:
    if expected / OTHER_UNITS <= rms <= expected * OTHER_UNITS:
        return
    unit = likely_unit(rms, expected)
    advice = "is this another sky, or another unit?"
    if unit:
        advice = f"they look like {unit}: convert them (or, in a FITS file, write BUNIT = '{unit}')"
    raise LensingError(
        f"{name} has an rms of {rms:.3g}, expected is {expected:.3g} {MICROKELVIN}: {advice}"
    )
