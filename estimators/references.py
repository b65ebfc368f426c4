"""The quadratic estimators that a version's networks are judged beside.

Where theory holds (`realism.estimator_theory_holds`) they are as in the literature: weights,
normalisation and Wiener filter from the spectra that the skies were drawn from. Elsewhere weights
come from measured spectra, and normalisation and Wiener filter from one gain a ring of modes,
measured on examples that are not judged. Beside them stands the iterated estimator, whose gains are
fitted on such examples everywhere.

Where maps carry power that a real sky does not (`realism.has_excess_power`) each is there twice:
with the ordinary modes, l <= T_lmax and pairs that add up to L, and with all modes. The latter has
the modes that lensing alone filled, free of CMB, and pairs that add up to L modulo the grid's
sampling.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator, Observed
from estimators.filtering.masked_patch import MaskedPatch
from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.iterated.fitting import examples_wanted, fit
from estimators.iterated.iterated_estimator import StagedEstimator
from estimators.quadratic.fields import fields_of
from estimators.quadratic.measured import (
    Calibration,
    Calibrator,
    measured_observations,
    measured_power,
)
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from estimators.quadratic.wiener import wiener_filter
from lensing_tfds import realism
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.errors import TooFewExamplesError
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky

_COMPLETE = 0.99  # the share of κ's power from which on it is not worth a word

ITERATED = "iterated QE"
"""The label of the iterated estimator, whoever fits it."""

ToFields = Callable[[Observed], Mapping[str, NDArray[np.complexfloating]]]

HeldOut = Callable[[], Iterable[Mapping[str, NDArray]]]
"""A function that streams examples with "lensed" and "kappa", from the first on, each time."""


def references(
    ensemble: SkyEnsemble,
    held_out: HeldOut,
    held_out_name: str,
) -> list[Estimator]:
    """Returns the quadratic estimators of a version, and the iterated one.

    Args:
      ensemble: what the version's skies are drawn from.
      held_out: streams examples that are not judged.
      held_out_name: what they are, for people.

    Raises:
      TooFewExamplesError: `held_out` has too few.
    """
    quadratic = quadratic_references(ensemble, held_out, held_out_name)
    try:
        return [*quadratic, fitted_iterated(ensemble, held_out, held_out_name)]
    except TooFewExamplesError as error:
        print(f"without the iterated estimator: of {held_out_name}, {error}", file=sys.stderr)
        return quadratic


def quadratic_references(
    ensemble: SkyEnsemble,
    held_out: HeldOut,
    held_out_name: str,
) -> list[Estimator]:
    """Returns the quadratic estimators of a version, each as it is and Wiener-filtered.

    Arguments and errors are those of `references`.
    """
    lensing, theory = ensemble.config, ensemble.theory
    if ensemble.patch is None and realism.estimator_theory_holds(lensing):
        observation = Observation.of(lensing, theory)
        by_theory: list[Estimator] = []
        for combination in _combinations(lensing, {"": observation}):
            wiener = wiener_filter(ensemble.kappa_power, combination.quadratic.noise)
            to_fields = _fields_of(ensemble)
            estimate = _QuadraticEstimate(combination, to_fields, lensing.sky, np.zeros(()))
            by_theory += estimate.estimators(
                None, wiener, "normalised by theory", "filtered by theory, C/(C + N0)"
            )
        return by_theory
    sky, to_fields = lensing.sky, _fields_of(ensemble)
    if ensemble.patch is not None:
        combinations = _filtered_combinations(ensemble, ensemble.patch)
    else:
        spectra = measured_power(lensing, held_out())
        combinations = _combinations(lensing, measured_observations(lensing, theory, spectra))
    calibrations = _calibrate(combinations, ensemble, to_fields, held_out)
    measured: list[Estimator] = []
    for combination, calibration in zip(combinations, calibrations, strict=True):
        estimate = _QuadraticEstimate(combination, to_fields, sky, calibration.mean_field)
        power = sky.mode_counts * ensemble.kappa_power
        share = float(np.sum(power * (calibration.response > 0)) / np.sum(power))
        source = f"measured on {held_out_name}"
        if share < _COMPLETE:
            source += f", in modes with {share:.0%} of κ's power"
        both = estimate.estimators(
            calibration.unbiased,
            calibration.wiener,
            f"weights and normalisation {source}",
            f"weights and filter {source}",
        )
        measured += [dataclasses.replace(e, normalised_share=share) for e in both]
    return measured


def fitted_iterated(ensemble: SkyEnsemble, held_out: HeldOut, held_out_name: str) -> Estimator:
    """Fits the iterated estimator to the first of some examples.

    Arguments as of `references`.

    Raises:
      TooFewExamplesError: there are too few examples for its gains.
    """
    config = ensemble.config
    most = examples_wanted(config)

    number = 0

    def examples() -> Iterator[Mapping[str, NDArray]]:
        nonlocal number
        number = 0
        for batch in held_out():
            few = {name: values[: most - number] for name, values in batch.items()}
            number += len(few[LENSED])
            yield few
            if number == most:
                return

    method = None
    if ensemble.patch is not None:
        method = ByFilteredTemplate.of(config, ensemble.theory, ensemble.patch)
    fitted = fit(config, ensemble.theory, examples, method=method)
    basis = f"gains of {len(fitted.stages)} stages fitted on {number} of {held_out_name}"
    return iterated(config, fitted, basis)


def iterated(config: LensingConfig, fitted: StagedEstimator, basis: str) -> Estimator:
    """Returns an iterated estimator that is fitted, as an estimator of maps.

    Args:
      config: of the maps.
      fitted: to such maps.
      basis: what it was fitted on, a phrase.
    """

    def predict(batch: Observed) -> NDArray[np.floating]:
        if isinstance(fitted.method, ByFilteredTemplate):
            fields = fitted.method.fields(batch)
        else:
            fields = fields_of(batch[LENSED], config.channels, config.sky)
        return config.sky.to_map(fitted.kappa(fields))[..., None]

    return Estimator("qe_iterated_wiener", ITERATED, predict, basis)


class _Combination(NamedTuple):
    """A combination of pairs, from some of the modes."""

    name: str
    label: str
    quadratic: MinimumVariance
    factor: NDArray[np.float64] | None = None

    def kappa(self, fields: Mapping[str, NDArray[np.complexfloating]]) -> NDArray:
        """The estimate, as of `QuadraticEstimator.kappa`, times the factor of its modes."""
        modes = self.quadratic.kappa(fields)
        return modes if self.factor is None else modes * self.factor.astype(modes.real.dtype)


def _combinations(
    lensing: LensingConfig, observations: Mapping[str, Observation]
) -> list[_Combination]:
    """The best combination and, of more than one pair, TT and EB alone, for each observation."""
    best = pairs_of(lensing)
    combinations = [best] + [(pair,) for pair in ("TT", "EB") if len(best) > 1 and pair in best]
    return [
        _Combination(
            f"qe_{_short(pairs).lower()}{'_' * bool(modes)}{modes}",
            f"QE {_short(pairs)}{_MODES[modes]}",
            MinimumVariance(pairs, observation),
        )
        for modes, observation in observations.items()
        for pairs in combinations
    ]


_MODES = {"": "", "ordinary": ", ordinary modes", "all": ", all modes"}


def _short(pairs: tuple[str, ...]) -> str:
    return pairs[0] if len(pairs) == 1 else "MV"


def _filtered_combinations(ensemble: SkyEnsemble, patch: MaskedPatch) -> list[_Combination]:
    """The combinations of the fields of filtered maps.

    They are Wiener-filtered before they are normalised: what a window moves from one L to another
    is then little against what is there.
    """
    config, power = ensemble.config, ensemble.kappa_power
    observation = patch.observation(Observation.of(config, ensemble.theory))
    return [
        found._replace(factor=wiener_filter(power, found.quadratic.noise))
        for found in _combinations(config, {"": observation})
    ]


def _fields_of(ensemble: SkyEnsemble) -> ToFields:
    """The function that makes fields of a batch of maps."""
    config = ensemble.config
    if ensemble.patch is not None:
        return _Filtered(ByFilteredTemplate.of(config, ensemble.theory, ensemble.patch))

    def to_fields(batch: Observed) -> dict[str, NDArray[np.complexfloating]]:
        return fields_of(batch[LENSED], config.channels, config.sky)

    return to_fields


class _Filtered:
    """Filters maps, once a batch for all estimators.

    Args:
      method: whose filter.
    """

    def __init__(self, method: ByFilteredTemplate):
        self._method = method
        self._lensed: NDArray | None = None
        self._fields: dict[str, NDArray[np.complexfloating]] = {}

    def __call__(self, batch: Observed) -> Mapping[str, NDArray[np.complexfloating]]:
        if batch[LENSED] is not self._lensed:
            self._fields, self._lensed = self._method.filtered(batch), batch[LENSED]
        return self._fields


def _calibrate(
    combinations: list[_Combination],
    ensemble: SkyEnsemble,
    to_fields: ToFields,
    held_out: HeldOut,
) -> list[Calibration]:
    lensing = ensemble.config
    rings = Bins.between([0, *ensemble.bands.edges, np.inf], lensing.sky)
    window, has_mean = None, realism.has_mean_field(lensing)
    if ensemble.patch is not None:
        window, has_mean = ensemble.window, True
    calibrators = [Calibrator(rings, has_mean, window) for _ in combinations]
    for batch in held_out():
        fields = to_fields(batch)
        kappa = lensing.sky.to_modes(np.ascontiguousarray(batch[KAPPA][..., 0]))
        for combination, calibrator in zip(combinations, calibrators, strict=True):
            calibrator.add(kappa, combination.kappa(fields))
    return [calibrator.result() for calibrator in calibrators]


class _QuadraticEstimate:
    """The modes of one quadratic estimate, computed once a batch for all that are made of it."""

    def __init__(
        self, combination: _Combination, to_fields: ToFields, sky: FlatSky, mean_field: NDArray
    ):
        self._combination = combination
        self._to_fields, self._sky = to_fields, sky
        self._mean_field = mean_field
        self._lensed: NDArray | None = None
        self._modes = np.empty(0, np.complex64)

    def estimators(
        self,
        unbiased: NDArray[np.float64] | None,
        wiener: NDArray[np.float64],
        normalised: str,
        filtered: str,
    ) -> list[Estimator]:
        """The estimate with either factor of its modes; None is 1."""
        name, label = self._combination.name, self._combination.label
        return [
            Estimator(name, label, self._times(unbiased), normalised),
            Estimator(f"{name}_wiener", f"{label}, Wiener", self._times(wiener), filtered),
        ]

    def _times(self, factor: NDArray[np.float64] | None) -> Callable[[Observed], NDArray]:
        sky = self._sky

        def predict(batch: Observed) -> NDArray[np.float32]:
            modes = self._estimate(batch)
            if factor is not None:
                modes = modes * factor.astype(modes.real.dtype)
            return sky.to_map(modes)[..., None]

        return predict

    def _estimate(self, batch: Observed) -> NDArray:
        if batch[LENSED] is not self._lensed:
            modes = self._combination.kappa(self._to_fields(batch))
            self._modes = modes - self._mean_field.astype(modes.dtype)
            self._lensed = batch[LENSED]
        return self._modes
