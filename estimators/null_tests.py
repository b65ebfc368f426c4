"""Null tests: quantities that are zero unless an estimator of κ, or its judge, is wrong.

    unlensed    estimates from maps that were not lensed know nothing of κ: zero mean response
    shuffled    estimates know nothing of another example's κ: zero correlation
    curl        a quadratic estimate of the rotation, which lensing by κ does not have, knows
                nothing of κ: zero correlation, by parity at every order of κ
    symmetry    turned and mirrored maps give turned and mirrored estimates

The first three are exact tests of stated false-alarm rate. Each example contributes its
cross-spectrum with κ in bands. Where the hypothesis is true it is as likely as its negative: an
independent κ is as likely as −κ, and mirroring the sky leaves κ's statistics but changes the sign
of a rotation. `resampling.sign_flip_p_value` needs nothing else. Shuffled pairs are examples
1 and 2, 3 and 4, ..., so that no example is in two pairs and pairs are independent.

The fourth has no scatter of its own: a symmetric estimator passes but for rounding, another does
not. Comparing an estimator's *skill* on turned maps with that on the maps themselves would test
nothing: the turned sky is as likely as the sky, so both skills are the same on average for any
estimator, however lopsided. What is measured is the rms difference of the two estimates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators import power_spectra
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.power_spectra import Bands
from estimators.resampling import ExampleMeans, Measured, rows_needed, sign_flip_p_value
from lensing_tfds import field_numbers
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.symmetries import ORDER, transform
from lensing_tfds.telescope import Telescope

FALSE_ALARM_RATE = 1e-3
"""Probability that an exact test fails although nothing is wrong."""

_SYMMETRIES = ORDER - 1  # without the identity
_NOISE_STREAM = 20_190_501  # the noise on unlensed maps is a function of this and the index


@dataclasses.dataclass(frozen=True, eq=False)
class CurlEstimator:
    """A `QuadraticEstimator` with `curl=True`, from maps to maps.

    Attributes:
      estimator: lensed maps -> the estimated rotation −½∇²ω, (n, npix, npix, 1), not filtered.
      noise: its N0_L on the half plane, (npix, npix // 2 + 1).
    """

    estimator: Estimator
    noise: NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class NullTest:
    """One exact test.

    Attributes:
      name: "unlensed", "shuffled" or "curl".
      rows: how many independent examples, or pairs, were used.
      ell: (num_bands,), mean multipole of a band's modes.
      in_bands: what is to be zero, in bands: the response <C^κκ̂>/<C^κκ> of unlensed maps, the
        correlation <C^κκ̂>/sqrt(<C^κκ><C^κ̂κ̂>) of the others.
      overall: the same from all modes of the bands, scalar.
      p_value: how likely values so far from zero are if nothing is wrong.
      false_alarm_rate: the test fails below it.
    """

    name: str
    rows: int
    ell: NDArray[np.float64]
    in_bands: Measured
    overall: Measured
    p_value: float
    false_alarm_rate: float = FALSE_ALARM_RATE

    @property
    def passed(self) -> bool:
        """Says whether the values are as near to zero as they should be."""
        return self.p_value > self.false_alarm_rate

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types."""
        return {
            "passed": self.passed,
            "p_value": self.p_value,
            "false_alarm_rate": self.false_alarm_rate,
            "rows": self.rows,
            "overall": float(self.overall.value),
            "overall_error": float(self.overall.error),
            "ell": self.ell.tolist(),
            "in_bands": self.in_bands.value.tolist(),
            "in_bands_error": self.in_bands.error.tolist(),
        }


@dataclasses.dataclass(frozen=True)
class SymmetryTest:
    """An estimator's departure from turning and mirroring with its maps.

    Attributes:
      relative_rms: rms of (estimate of the turned maps − turned estimate) over rms of the
        estimate, for each element of `symmetries.transform` from 1 to 7 that an example had.
      tolerance: what is allowed; None where no symmetry is claimed, as for most networks.
    """

    relative_rms: tuple[float, ...]
    tolerance: float | None

    @property
    def passed(self) -> bool | None:
        """Says whether all are within the tolerance; None if there is none."""
        return None if self.tolerance is None else max(self.relative_rms) <= self.tolerance

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types."""
        return {
            "passed": self.passed,
            "tolerance": self.tolerance,
            "relative_rms": list(self.relative_rms),
        }


@dataclasses.dataclass(frozen=True, eq=False)
class NullTests:
    """All of an estimator's null tests.

    Attributes:
      unlensed: see the module's docstring, as for the next three.
      shuffled: of pairs.
      symmetry: of all examples, each with one of the seven elements.
      curl: None where no rotation is estimated.
      curl_power_over_noise: <C^ω̂ω̂> / N0 in bands; None likewise. Above 1 by what N0 leaves out: the
        connected four-point function of a lensed sky (N1). From EB of v11 it is 1.39 at L = 50 to
        300, 1.07 at 700 to 1,500 and 1.01 above; with E and B of different skies, which have no
        N1, it is 1.00 to 1.01. So it is reported, not tested.
    """

    unlensed: NullTest
    shuffled: NullTest
    symmetry: SymmetryTest
    curl: NullTest | None
    curl_power_over_noise: Measured | None

    @property
    def passed(self) -> bool:
        """Says whether none failed."""
        tests = (self.unlensed, self.shuffled, self.symmetry, self.curl)
        return all(test is None or test.passed is not False for test in tests)

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types; None becomes null."""
        ratio = self.curl_power_over_noise
        return {
            "passed": self.passed,
            "unlensed": self.unlensed.to_json(),
            "shuffled": self.shuffled.to_json(),
            "symmetry": self.symmetry.to_json(),
            "curl": self.curl and self.curl.to_json(),
            "curl_power_over_noise": ratio and ratio.value.tolist(),
            "curl_power_over_noise_error": ratio and ratio.error.tolist(),
        }


def null_tests(
    batches: Iterable[Mapping[str, NDArray]],
    estimator: Estimator,
    ensemble: SkyEnsemble,
    generator: np.random.Generator,
    curl: CurlEstimator | None = None,
    symmetry_tolerance: float | None = None,
) -> NullTests:
    """Runs all tests in one pass over some examples; keeps a few numbers of each.

    Args:
      batches: dicts as `reading.evaluation_batches` yields: "lensed" and "unlensed" (n, npix, npix,
        channels) µK, "kappa" (n, npix, npix, 1) and "index" (n,).
      estimator: what is tested; from the maps, not by their index.
      ensemble: what the examples' skies are drawn from.
      generator: draws signs and resamples.
      curl: the estimator's twin for the rotation, if there is one.
      symmetry_tolerance: largest relative rms of a symmetric estimator; None claims no symmetry.

    Raises:
      LensingError: there are too few examples for the stated rate, the patch is too small for a
        spectrum, or an estimate has another shape or is not finite.
    """
    bands, lensing = ensemble.bands, ensemble.config
    unlensed, shuffled, rotation = (_Crosses(bands) for _ in range(3))
    first: NDArray | None = None  # the estimate of a pair that waits for its second κ
    squares, differences = np.zeros(_SYMMETRIES), np.zeros(_SYMMETRIES)
    done = 0
    for batch in batches:
        lensed, index, mask = batch[LENSED], batch["index"], batch.get(MASK)
        kappa, guess = batch[KAPPA][..., 0], estimator.kappa(lensed, index, mask)
        unlensed.add(kappa, estimator.kappa(observed_unlensed(batch, lensing), index, mask))
        for one_kappa, one_guess in zip(kappa, guess, strict=True):
            if first is None:
                first = one_guess.copy()
            else:
                shuffled.add(one_kappa[None], first[None])
                first = None
        if curl is not None:
            rotation.add(kappa, curl.estimator.kappa(lensed, index))
        elements = 1 + (done + np.arange(len(index))) % _SYMMETRIES
        turned = estimator.kappa(
            transform(lensed, lensing.channels, elements),
            index,
            None if mask is None else transform(mask, (MASK,), elements),
        )
        expected = transform(guess[..., None], (KAPPA,), elements)[..., 0]
        np.add.at(squares, elements - 1, np.sum(np.square(guess, dtype=np.float64), axis=(1, 2)))
        np.add.at(
            differences,
            elements - 1,
            np.sum(np.square(turned - expected, dtype=np.float64), axis=(1, 2)),
        )
        done += len(index)

    require_enough(done)
    relative = np.sqrt(np.divide(differences, squares, out=differences, where=squares > 0))
    return NullTests(
        unlensed=unlensed.test("unlensed", generator),
        shuffled=shuffled.test("shuffled", generator),
        symmetry=SymmetryTest(tuple(relative.tolist()), symmetry_tolerance),
        curl=None if curl is None else rotation.test("curl", generator),
        curl_power_over_noise=(
            None if curl is None else rotation.power_over(curl.noise, lensing, generator)
        ),
    )


def require_enough(num_examples: int) -> None:
    """Refuses a number of examples that is too small for the stated false-alarm rate.

    Raises:
      LensingError: it is.
    """
    needed = 2 * rows_needed(FALSE_ALARM_RATE)
    if num_examples < needed:
        raise LensingError(
            f"null tests with a false-alarm rate of {FALSE_ALARM_RATE:g} need at least {needed} "
            f"examples, there are {num_examples}"
        )


def observed_unlensed(batch: Mapping[str, NDArray], lensing: LensingConfig) -> NDArray[np.float32]:
    """Observes unlensed maps as the dataset observes lensed ones: with its noise and its taper.

    Args:
      batch: "unlensed" (n, npix, npix, channels) µK, which has the beam already, and "index".
      lensing: the version that they are from.

    Returns:
      Maps like "lensed"; the noise of an example depends on its index alone.
    """
    maps = np.ascontiguousarray(np.moveaxis(batch["unlensed"], -1, 0))
    telescope = Telescope(dataclasses.replace(lensing, splits=1), _NullNoise(lensing))
    normals = np.empty((len(maps[0]), telescope.normals_needed), np.float32)
    masks = batch[MASK][..., 0] if MASK in batch else None
    telescope.observe(batch["index"].tolist(), maps, normals, masks=masks)
    return np.ascontiguousarray(np.moveaxis(maps, 0, -1))


class _NullNoise:
    """Random numbers of the null tests' own noise, by index and channel."""

    def __init__(self, lensing: LensingConfig):
        self._rows = {field_numbers.noise(c): row for row, c in enumerate(lensing.channels)}

    def fill(self, indices: Sequence[int], field: int, normals: NDArray[np.float32]) -> None:
        """Fills a row for each index."""
        shape = len(self._rows), normals.shape[-1]
        for index, numbers in zip(indices, normals, strict=True):
            generator = np.random.default_rng((_NOISE_STREAM, index))
            numbers[:] = generator.standard_normal(shape, np.float32)[self._rows[field]]


class _Crosses:
    """The spectra of κ, of estimates and between them, band by band and example by example."""

    def __init__(self, bands: Bands):
        self._bands = bands
        self._means = ExampleMeans()

    def add(self, kappa: NDArray[np.floating], estimate: NDArray[np.floating]) -> None:
        """Adds maps, both (n, npix, npix)."""
        powers = power_spectra.measure(kappa, estimate, self._bands)
        # Beside each spectrum what all modes of its bands hold.
        self._means.add(
            *(np.column_stack([c_ell, c_ell @ self._bands.num_modes]) for c_ell in powers)
        )

    def test(self, name: str, generator: np.random.Generator) -> NullTest:
        """Tests whether the cross-spectra are zero."""

        def ratio(means: NDArray[np.float64]) -> NDArray[np.float64]:
            true, cross, guess = np.split(means, 3, axis=-1)
            # A spectrum's rounding may be below zero where there is nothing.
            norm = true if name == "unlensed" else np.sqrt(true * np.maximum(guess, 0))
            return np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)

        values, errors = self._means.measure(ratio, generator)
        cross = np.split(self._means.rows, 3, axis=1)[1][:, :-1]
        return NullTest(
            name=name,
            rows=len(self._means),
            ell=self._bands.ell,
            in_bands=Measured(values[:-1], errors[:-1]),
            overall=Measured(values[-1], errors[-1]),
            p_value=sign_flip_p_value(cross, generator),
        )

    def power_over(
        self, noise: NDArray[np.float64], lensing: LensingConfig, generator: np.random.Generator
    ) -> Measured:
        """The estimates' power over a noise spectrum, given on the half plane."""
        # Modes that are not estimated have no power, and infinite noise.
        finite = np.where(np.isfinite(noise), noise, 0.0)
        expected = self._bands.average(finite)

        def ratio(means: NDArray[np.float64]) -> NDArray[np.float64]:
            power = np.split(means, 3, axis=-1)[2][..., :-1]
            return np.divide(power, expected, out=np.zeros_like(power), where=expected > 0)

        return self._means.measure(ratio, generator)
