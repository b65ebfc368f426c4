"""Fits the gains of the iterated estimator to examples, one stage after the other."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.filtering.masked_patch import is_filtered
from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.iterated.iterated_estimator import (
    ByTemplate,
    Combination,
    Method,
    Stage,
    StagedEstimator,
    each_estimate,
    most_features,
    rings_of,
)
from estimators.iterated.remapping import ByRemapping
from estimators.iterated.ring_regression import (
    NO_EXAMPLES,
    RingRegression,
    Sums,
)
from estimators.iterated.template_and_remapping import ByTemplateAndRemapping
from estimators.iterated.threads import in_threads
from estimators.quadratic.fields import fields_of
from estimators.quadratic.legs import Legs, block_size
from estimators.quadratic.measured import measured_observations, measured_power
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from lensing_tfds import realism
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.errors import TooFewExamplesError
from lensing_tfds.sky import spectra
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.spectra import PowerSpectra

Modes = NDArray[np.complexfloating]

Examples = Callable[[], Iterable[Mapping[str, NDArray]]]
"""A function that streams examples with "lensed" and "kappa", from the first on, each time."""

ToFields = Callable[[Mapping[str, NDArray]], Mapping[str, Modes]]

_FEWEST_SKIES = 16

# With 300 examples in place of 128 it is better by 0.0004 on v11, with 128 in place of 64 by 0.003
# on v13, which has a mean field. Small maps have less to tell.
_FEWEST_EXAMPLES, _PIXELS = 128, 2**21

MOST_STAGES, LEAST_GAIN = 6, 3e-4
MOST_DAMPED_STAGES = 12
MEMORY = 2**29


def examples_wanted(config: LensingConfig) -> int:
    """Returns how many training examples a config's gains are fitted to."""
    return max(_FEWEST_EXAMPLES, _PIXELS // config.npix**2)


def fit(
    config: LensingConfig,
    table: PowerSpectra,
    examples: Examples,
    most_stages: int | None = None,
    least_gain: float = LEAST_GAIN,
    report: Callable[[int, float], object] = lambda stage, rho: None,
    memory: int = MEMORY,
    threads: int | None = None,
    method: Method | None = None,
) -> StagedEstimator:
    """Fits stages until one adds less than `least_gain` to the correlation with κ.

    Examples are streamed, twice a stage. Of the first ones, those that there is memory for, the
    features are kept; the others are estimated anew from the first stage on.

    Args:
      config: the version.
      table: the spectra of its cosmology.
      examples: for training; not those that the estimator will be judged on.
      most_stages: stop after so many; None is `most_stages_of` the config.
      least_gain: in map-level correlation.
      report: told of each stage's number and its correlation on these examples.
      memory: bytes for what is kept of examples, however many there are.
      threads: each of them estimates a few examples; None is one for each core. Neither this nor
        the memory changes what is fitted.
      method: how maps are delensed and estimated; None is `method_of` the config.

    Raises:
      TooFewExamplesError: there are too few examples for the gains.
    """
    stages: list[Stage] = []
    correlations: list[float] = []
    method = method or method_of(config, table, examples)
    if most_stages is None:
        most_stages = most_stages_of(config)
    for stage, rho in _each_stage(method, config, examples, (), memory, threads):
        stages.append(stage)
        correlations.append(rho)
        report(len(stages) - 1, rho)
        if are_enough(correlations, most_stages, least_gain):
            break
    return StagedEstimator(method, stages)


def are_enough(
    correlations: Sequence[float], most_stages: int, least_gain: float = LEAST_GAIN
) -> bool:
    """Says whether no further stage is due.

    Args:
      correlations: with κ, of the stages that there are.
      most_stages: no more are wanted.
      least_gain: as of `fit`.
    """
    *_, last, new = (-math.inf, -math.inf, *correlations)
    return len(correlations) >= most_stages or new - last < least_gain


def most_stages_of(config: LensingConfig) -> int:
    """Returns how many stages the maps of a config are worth: damped ones win for longer."""
    method = method_by_theory(config, spectra.fiducial())
    is_damped = isinstance(method, ByRemapping) and method.damped
    return MOST_DAMPED_STAGES if is_damped else MOST_STAGES


def each_stage(
    config: LensingConfig,
    table: PowerSpectra,
    examples: Examples,
    stages: Sequence[Stage] = (),
    memory: int = MEMORY,
    threads: int | None = None,
) -> Iterator[tuple[Stage, float]]:
    """Fits one stage after the other, without an end.

    Args:
      config: the version.
      table: the spectra of its cosmology.
      examples: for training.
      stages: that were fitted before.
      memory: as of `fit`.
      threads: as of `fit`.

    Yields:
      The next stage, and its map-level correlation with κ on these examples.

    Raises:
      TooFewExamplesError: there are too few examples for the gains.
    """
    method = as_fitted(method_of(config, table, examples), stages)
    return _each_stage(method, config, examples, stages, memory, threads)


def method_of(config: LensingConfig, table: PowerSpectra, examples: Examples) -> Method:
    """Returns how the maps of a config are delensed and estimated.

    Where theory holds, T is remapped and has templates, Q and U have templates; where it does but
    for a mask, maps are filtered and have templates. Elsewhere T on a periodic patch is remapped;
    the rest, patches that are cut out above all, has templates with the spectra that the examples
    have: what is remapped must be periodic.
    """
    if known := method_by_theory(config, table):
        return known
    observations = measured_observations(config, table, measured_power(config, examples()))
    return ByTemplate(list(observations.values())[-1], pairs_of(config))


def method_by_theory(config: LensingConfig, table: PowerSpectra) -> Method | None:
    """Returns the method of a config that needs no spectra of examples; None where there is none.

    Arguments as of `method_of`, which says which it is.
    """
    if realism.estimator_theory_holds(config):
        if "T" in config.channels:
            return ByTemplateAndRemapping.of(config, table)
        return ByTemplate(Observation.of(config, table), pairs_of(config))
    if is_filtered(config):
        return ByFilteredTemplate.of(config, table)
    if is_remapped(config):
        return ByRemapping(config, table)
    return None


def as_fitted(method: Method, stages: Sequence[Stage]) -> Method:
    """Returns the method by which stages were fitted, where T used to have templates alone.

    Args:
      method: by which they would be fitted now.
      stages: those there are.
    """
    if isinstance(method, ByTemplateAndRemapping) and any(not len(s.power) for s in stages[1:]):
        return method.by_template
    return method


def is_remapped(config: LensingConfig) -> bool:
    """Says whether all there is to do is to remap T: on a periodic patch that theory fails on."""
    theory = realism.estimator_theory_holds(config)
    return not theory and config.stokes == "T" and realism.is_periodic(config)


def feature_counts(config: LensingConfig) -> tuple[int, int]:
    """Returns how many features the maps of a config have in stage 0, and in each later stage."""
    if known := method_by_theory(config, spectra.fiducial()):
        return known.counts
    pairs = pairs_of(config)
    return len(pairs), most_features(pairs)


def _each_stage(
    method: Method,
    config: LensingConfig,
    examples: Examples,
    stages: Sequence[Stage],
    memory: int,
    threads: int | None,
) -> Iterator[tuple[Stage, float]]:
    sky = config.sky
    window = None
    to_fields: ToFields = functools.partial(_fields_of, config)
    if isinstance(method, ByFilteredTemplate):
        window, to_fields = method.patch.interior, method.fields
    rings = rings_of(sky)
    steps = [method.features(stage, number) for number, stage in enumerate(stages)]
    combinations = [Combination(stage, sky) for stage in stages]
    few, most = method.counts
    has_mean = window is not None or realism.has_mean_field(config)
    skies = _Skies(sky, to_fields, examples, memory, block_size(method.grid), most)

    def estimated(part: _Part) -> tuple[list[Modes], Modes]:
        """The features of the last stage, and its estimate."""
        if part.features:
            if part.estimate is None:
                part.estimate = combinations[-1].of(part.features)
                if len(combinations) > 1:
                    step, before = steps[len(combinations) - 1], part.features[few]
                    part.estimate = step.reached(Legs(part.fields), before, part.estimate)
            return part.features, part.estimate
        *_, last = each_estimate(steps[: len(combinations)], combinations, Legs(part.fields))
        return last

    def left(part: _Part) -> dict[str, Modes]:
        return method.left(Legs(part.fields), estimated(part)[1] if combinations else None)

    def sums(regression: RingRegression, part: _Part) -> Sums:
        legs = Legs(part.fields)
        if combinations:
            features, estimate = estimated(part)
            features = [*features[:few], estimate, *steps[-1].again(legs, estimate)]
        else:
            features = steps[0].first(legs)
        if part.kept:
            part.features, part.estimate = features, None
        return regression.sums(part.kappa, features)

    while True:
        weighed = Stage(np.zeros(0))
        if method.is_weighed(len(combinations)):
            parts = in_threads(left, skies, threads)
            weighed = method.weighed_by(_mean_power(parts, rings, method.power_modes))
        steps.append(method.features(weighed, len(combinations)))
        regression = RingRegression(rings, most if combinations else few, has_mean, window)
        for some in in_threads(functools.partial(sums, regression), skies, threads):
            regression.add_sums(some)
        stage = dataclasses.replace(
            weighed,
            gains=regression.gains(),
            mean_field=regression.mean_field(),
            filters=regression.filters(),
        )
        combinations.append(Combination(stage, sky))
        yield stage, regression.correlation()


def _mean_power(
    parts: Iterator[dict[str, Modes]], rings: Bins, modes_wanted: int
) -> dict[str, NDArray[np.float64]]:
    """The mean power of fields in each ring, µK², of as many skies as it takes."""
    sky = rings.sky
    wanted = max(_FEWEST_SKIES, math.ceil(modes_wanted / sky.ell.size))
    totals: dict[str, NDArray[np.float64]] = {}
    n = 0
    for fields in parts:
        few = {name: modes[: wanted - n] for name, modes in fields.items()}
        for name, modes in few.items():
            total = totals.setdefault(name, np.zeros(sky.ell.shape))
            total += np.sum(np.abs(modes) ** 2, axis=0, dtype=np.float64)
        n += len(next(iter(few.values())))
        if n == wanted:
            break
    if not n:
        raise TooFewExamplesError(NO_EXAMPLES)
    return {name: rings.mean(total * sky.area / n) for name, total in totals.items()}


@dataclasses.dataclass
class _Part:
    """A few skies.

    Attributes:
      fields: observed.
      kappa: the truth.
      kept: whether they are there again for the next stage.
      features: of the last stage, where they are kept.
      estimate: what the last stage made of them, once it is known.
    """

    fields: Mapping[str, Modes]
    kappa: Modes
    kept: bool
    features: list[Modes] = dataclasses.field(default_factory=list)
    estimate: Modes | None = None


def _fields_of(config: LensingConfig, batch: Mapping[str, NDArray]) -> Mapping[str, Modes]:
    return fields_of(batch[LENSED], config.channels, config.sky)


class _Skies:
    """The training skies, a few after the other, from the first on each time.

    Args:
      sky: the patch.
      to_fields: what is estimated from, of a batch.
      examples: streams them.
      memory: bytes; the first skies are kept, with their features, as long as they fit into it.
      together: how many skies are estimated together.
      features: the most that a stage has.
    """

    def __init__(
        self,
        sky: FlatSky,
        to_fields: ToFields,
        examples: Examples,
        memory: int,
        together: int,
        features: int,
    ):
        self._sky, self._to_fields = sky, to_fields
        self._examples, self._together, self._features = examples, together, features
        self._kept: list[_Part] = []
        self._left = memory
        self._all_kept = False

    def __iter__(self) -> Iterator[_Part]:
        yield from self._kept
        if self._all_kept:
            return
        to_skip = sum(len(part.kappa) for part in self._kept)
        all_kept = True
        for batch in self._examples():
            number = len(batch[LENSED])
            for start in range(to_skip, number, self._together):
                few = slice(start, start + self._together)
                part = self._part({name: values[few] for name, values in batch.items()})
                all_kept &= part.kept
                yield part
            to_skip = max(0, to_skip - number)
        self._all_kept = all_kept

    def _part(self, batch: Mapping[str, NDArray]) -> _Part:
        fields = self._to_fields(batch)
        modes = self._sky.to_modes(np.ascontiguousarray(batch[KAPPA][..., 0]))
        size = sum(values.nbytes for values in fields.values())
        size += modes.nbytes * (2 + self._features)
        part = _Part(fields, modes, kept=size <= self._left)
        if part.kept:
            self._kept.append(part)
        self._left = self._left - size if part.kept else 0  # the first ones, without a gap
        return part
