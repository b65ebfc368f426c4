"""Masks, uneven noise, splits and tensors: measured example by example, and tested.

Of each example: how far masks, noise variance and splits are from what they are by definition, in
exact numbers; the share of the map that holes take, in nine parts of it; the noise's variance in
zones around the middle, where there are maps of noise alone; the place of r in its range, and the B
modes of the unlensed sky times it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lensing_tfds.config_fields.hits import NOISE_VARIANCE
from lensing_tfds.config_fields.mask import MASK, OBSERVED
from lensing_tfds.config_fields.tensors import RATIO
from lensing_tfds.configs import LENSED, SPLIT_MAPS
from lensing_tfds.sky import instrument
from lensing_tfds.sky.spectra import PowerSpectra, at_multipoles
from pipelines.validation.moments import Moments
from pipelines.validation.observables import BORDER, DIFFERENCE, Field, Observables, Spectrum
from pipelines.validation.outcome import Test, Trial
from pipelines.validation.windows import Windows

Row = NDArray[np.float64]
Maps = Mapping[str, NDArray[np.float32]]

_ROUNDING = 1e-5  # of maps in single precision, relative to their largest number
_ZONES = 4
_FEWEST_PAIRS = 64  # of neighbouring pixels in a zone: the noise of fewer is far from Gaussian
_PARTS = 3  # of a side


class Effects:
    """Measures a config's effects.

    Args:
      observables: what is measured.
      table: the spectra that its skies are drawn from.
    """

    def __init__(self, observables: Observables, table: PowerSpectra):
        self._observables, self._table = observables, table
        self._config = observables.config
        self._windows = Windows(self._config)

    def noise_maps(self, example: Maps) -> dict[Field, NDArray[np.float64]]:
        """Returns the maps of noise alone of one example."""
        found = {}
        for field in self._observables.noises:
            channel = self._config.channels.index(field.component)
            if field.feature == DIFFERENCE:
                first, second = (
                    example[SPLIT_MAPS][..., channel + split * len(self._config.channels)]
                    for split in range(2)
                )
                scale = (2 * self._config.splits) ** -0.5
                found[field] = (first.astype(np.float64) - second) * scale
            else:
                assert self._windows.only_noise is not None
                found[field] = example[LENSED][..., channel] * self._windows.only_noise
        return found

    def rows(
        self,
        example: Maps,
        noises: Mapping[Field, NDArray[np.float64]],
        bands: Mapping[str, Row],
    ) -> dict[str, Row]:
        """Measures one example.

        Args:
          example: its maps by feature.
          noises: what `noise_maps` gives.
          bands: the band powers of its spectra, by name.
        """
        config = self._config
        rows: dict[str, Row] = {}
        if config.mask is not None:
            rows |= self._of_mask(example)
        if config.hits is not None:
            wrong = np.abs(example[NOISE_VARIANCE][..., 0] / self._variance - 1)
            rows["noise variance is off"] = np.array([wrong.max()])
        if config.splits > 1:
            splits = example[SPLIT_MAPS].reshape(config.npix, config.npix, config.splits, -1)
            off = np.abs(splits.astype(np.float64).mean(axis=2) - example[LENSED])
            rows["splits' mean is off"] = np.array([off.max() / np.abs(splits).max()])
        if noises and self._zones:
            rows["noise in zones"] = self._of_noise(example, noises)
        if config.tensors is not None:
            rows |= self._of_ratio(float(example[RATIO]), bands)
        return rows

    def tests(self, moments: Mapping[str, Moments]) -> Iterator[Test]:
        """Yields the tests without chance."""
        for name, what in (
            ("mask is off", "masks are the border, its edge, and discs of zeros"),
            ("masked map is off", "what is masked is zero"),
            ("noise variance is off", "it is that of the config"),
            ("splits' mean is off", "the lensed maps are their splits' mean"),
            ("r is off", "each example's r is in its range"),
        ):
            if name not in moments:
                continue
            right = moments[name].total[0] <= _ROUNDING * moments[name].count
            words = what if right else f"{name}: it should be so that {what}"
            yield Test(name.removesuffix(" is off"), bool(right), words)

    def trials(self, moments: Mapping[str, Moments]) -> Iterator[Trial]:
        """Yields the tests with chance in them."""
        for name, expected, unit in (
            ("holes in nine parts", self._expected_holes, "of the map's part"),
            (
                "noise in zones",
                lambda: self._expected_noise.ravel(),
                "of the white noise's variance",
            ),
            ("root of r", lambda: np.array([1 / 2, 1 / 3]), "mean and mean square of its place"),
            ("r with B", lambda: np.ones(1), "of what it should be"),
        ):
            if name in moments:
                yield _trial(name, moments[name], expected(), unit)

    @functools.cached_property
    def _variance(self) -> NDArray[np.float64]:
        """Variance of the first channel's white noise."""
        config = self._config
        depth = instrument.channel_noise(config.noise_uK_arcmin, config.channels[0])
        rms = instrument.white_noise_rms(depth, config.sky)
        return np.asarray((rms * self._windows.rms) ** 2)

    def _of_mask(self, example: Maps) -> dict[str, Row]:
        mask, border = example[MASK][..., 0], self._windows.border
        assert self._config.mask is not None
        in_hole = (mask == 0) & (border > 0)
        wrong = np.where(in_hole, 0.0, np.abs(mask - border))
        rows = {"mask is off": np.array([wrong.max()])}
        if not self._config.mask.holes:
            rows["mask is off"] += in_hole.any()
        else:
            parts = _in_parts(in_hole.astype(float)), _in_parts((border > 0).astype(float))
            rows["holes in nine parts"] = parts[0] / parts[1]
        if self._config.mask.multiplies == OBSERVED:
            hidden = np.abs(example[LENSED][mask == 0])
            rows["masked map is off"] = np.array([hidden.max(initial=0.0)])
        return rows

    def _expected_holes(self) -> Row:
        return np.full(_PARTS**2, 1 - self._windows.seen_share)

    def _of_noise(self, example: Maps, noises: Mapping[Field, NDArray[np.float64]]) -> Row:
        """Variance of each channel's noise in zones, relative to the white noise that it has there.

        Half the mean square of neighbours' differences, of pixels that are neither masked nor
        tapered: 1/f noise, whose few large waves scatter far from any normal distribution, is the
        same in both. A zone without a pair is what is expected, and says nothing.
        """
        config, windows = self._config, self._windows
        seen = windows.noise / windows.rms
        if config.mask is not None and config.mask.multiplies == OBSERVED:
            seen = np.where(example[MASK][..., 0] == 0, 0.0, seen)
        if windows.only_noise is not None and next(iter(noises)).feature == BORDER:
            seen = seen * windows.only_noise
        inside, found = seen > 0.5, self._expected_noise.copy()
        pairs = _pairs(inside)
        for row, (field, noise) in zip(found, noises.items(), strict=True):
            rms = np.sqrt(self._variance * self._ratio_to_first(field.component))
            scaled = np.divide(noise, rms * seen, out=np.zeros(seen.shape), where=inside)
            squares = [(scaled - np.roll(scaled, -1, axis)) ** 2 / 2 for axis in (0, 1)]
            for place, zone in enumerate(self._zones):
                here = np.concatenate([s[p & zone] for s, p in zip(squares, pairs, strict=True)])
                if here.size:
                    row[place] = here.mean()
        return found.ravel()

    @functools.cached_property
    def _expected_noise(self) -> Row:
        """Of each field in each zone: with what of the 1/f part differs between neighbours."""
        config, sky = self._config, self._config.sky
        share = 1 - (np.cos(sky.lx * sky.pixel) + np.cos(sky.ly * sky.pixel)) / 2
        found = []
        for field in self._observables.noises:
            power = config.noise_power(field.component, sky.ell)
            total = np.sum(share * power * sky.mode_counts) / sky.area
            depth = instrument.channel_noise(config.noise_uK_arcmin, field.component)
            white = instrument.white_noise_rms(depth, config.sky) ** 2
            found.append([total / white] * len(self._zones))
        return np.array(found)

    def _ratio_to_first(self, channel: str) -> float:
        depths = [
            instrument.channel_noise(1.0, name) for name in (channel, self._config.channels[0])
        ]
        return float((depths[0] / depths[1]) ** 2)

    @functools.cached_property
    def _zones(self) -> list[NDArray[np.bool_]]:
        """Rings around the middle of the patch, those in which enough pairs may be seen."""
        offset = np.arange(self._config.npix) + 0.5 - self._config.npix / 2
        radius = np.hypot(offset[:, None], offset) / (self._config.npix / 2**0.5)
        number = np.minimum((radius * _ZONES).astype(int), _ZONES - 1)
        seen = self._windows.noise / self._windows.rms > 0.5
        noises = self._observables.noises
        if noises and noises[0].feature == BORDER and self._windows.only_noise is not None:
            seen = seen & (self._windows.only_noise > 0)
        zones = [number == n for n in range(_ZONES)]
        pairs = _pairs(seen)
        numbers = [sum(np.count_nonzero(zone & p) for p in pairs) for zone in zones]
        fewest = min(_FEWEST_PAIRS, max(numbers))
        return [zone for zone, n in zip(zones, numbers, strict=True) if n >= max(fewest, 1)]

    def _of_ratio(self, ratio: float, bands: Mapping[str, Row]) -> dict[str, Row]:
        tensors = self._config.tensors
        assert tensors is not None
        low, high = tensors.r_min**0.5, tensors.r_max**0.5
        rows = {"r is off": np.array([0.0])}
        if high == low:
            rows["r is off"][0] = abs(ratio / tensors.r_max - 1)
        else:
            place = (max(ratio, 0.0) ** 0.5 - low) / (high - low)
            rows["root of r"] = np.array([place, place**2])
            rows["r is off"][0] = max(-place, place - 1, 0.0)
        of_b = self._expected_b
        if of_b is not None:
            name, expected = of_b
            used = expected > 0
            rows["r with B"] = np.array([ratio * np.mean(bands[name][used] / expected[used])])
        return rows

    @functools.cached_property
    def _expected_b(self) -> tuple[str, Row] | None:
        """The name of the unlensed B's spectrum, and its bands times r on average, if it has any.

        Those that are far above rounding.
        """
        config, tensors = self._config, self._config.tensors
        if "Q" not in config.channels or tensors is None or self._table.tensors is None:
            return None
        if config.padding > 1:
            return None  # the patch's edges mix E into B
        field = Field("unlensed", "B")
        spectrum = Spectrum(field, field)
        bins = self._observables.bins_of(spectrum)
        beam = instrument.beam(config.sky.ell, config.beam_arcmin)
        b = at_multipoles(self._table.tensors.BB, config.sky.ell, config.T_lmax) * beam**2
        low, high = tensors.r_min**0.5, tensors.r_max**0.5
        mean_square = sum(low**n * high ** (4 - n) for n in range(5)) / 5
        expected = bins.average(bins.gather(b)) * mean_square
        return spectrum.name, np.where(expected > 1e-3 * expected.max(), expected, 0.0)


def _pairs(inside: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Marks pixels that, with the next along an axis, are inside; noise is periodic."""
    return [inside & np.roll(inside, -1, axis) for axis in (0, 1)]


def _in_parts(values: NDArray[np.float64]) -> Row:
    """Sums over nine parts of a map."""
    rows = np.array_split(values, _PARTS)
    return np.array([part.sum() for row in rows for part in np.array_split(row, _PARTS, axis=1)])


def _trial(name: str, moments: Moments, expected: Row, unit: str) -> Trial:
    """Tests a mean by Hotelling's T², as `powers.trials` do."""
    deviation = moments.mean - expected
    covariance = moments.covariance + np.diag((_ROUNDING * expected) ** 2)
    t2 = float(deviation @ np.linalg.solve(covariance, deviation))
    n, p = moments.count, len(deviation)
    worst = int(np.argmax(np.abs(deviation) / np.sqrt(np.diag(covariance))))
    words = (
        f"{moments.mean[worst]:.4g} ± {np.sqrt(covariance[worst, worst]):.2g} {unit}, should be "
        f"{expected[worst]:.4g}"
    )
    statistic = f"χ² {t2:.1f} / {p}"
    p_value = float(stats.f.sf(t2 * (n - p) / (p * (n - 1)), p, n - p))
    return Trial(name, statistic, p_value, words, f"{name}: {words} ({statistic})")
