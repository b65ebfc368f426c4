"""The stages of the iterated estimator as layers, by whichever method they delens.

A stage is [first estimates, the last estimate of κ, estimates from fields delensed by it] and gains
that combine them (`estimators.iterated`). What differs from method to method are the estimates.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import keras

from estimators.filtering.wiener_filter import WienerFilter
from estimators.iterated.filtered_template import ByFilteredTemplate, FilteredFeatures
from estimators.iterated.iterated_estimator import (
    ByTemplate,
    Method,
    Stage,
    StageFeatures,
    estimated_from,
)
from estimators.iterated.remapping import ByRemapping
from estimators.iterated.template_and_remapping import ByTemplateAndRemapping
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.task import Task
from trainer.networks import filter_layers
from trainer.networks import quadratic_layers as layers
from trainer.networks.flow_layers import WithoutSpikes
from trainer.networks.maps import refuse_hidden_holes
from trainer.networks.masked_inputs import seen_maps
from trainer.networks.modes import Modes
from trainer.networks.remapped_stages import RemapLayers
from trainer.networks.scaling import Scaling

Fields = Mapping[str, Any]
"""Modes by the names of their fields; of masked maps also what was seen of them."""

Corrected = Callable[[int, list[Modes], Modes], Modes]
"""A stage's number, its features and its estimate -> the estimate that the next one begins with."""


def observed_fields(
    standardised: Any, task: Task, scaling: Scaling, method: Method | None = None
) -> Fields:
    """Returns the modes of T, or of E and B, or of all, µK; of masked maps filtered.

    Args:
      standardised: maps, as networks see them.
      task: what goes in and what comes out.
      scaling: that they are standardised by.
      method: by which they are delensed: one that filters maps gives its filter, and what it sees
        of them comes with the fields, as of `filter_layers.SeenMaps`.

    Raises:
      LensingError: as of `maps.refuse_hidden_holes`.
    """
    sky = task.lensing.sky
    if isinstance(method, ByFilteredTemplate):
        refuse_hidden_holes(task.lensing)
        seen = seen_maps(standardised, task, scaling, method.patch, method.has_holes)
        return {**_filtered(method.filter, seen), **seen}
    in_uk = keras.layers.Rescaling(
        list(scaling.input_std), list(scaling.input_mean), dtype="float32"
    )
    return layers.ObservedFields(sky.npix, sky.side, task.inputs.channels)(in_uk(standardised))


def standardised_map(kappa: Modes, task: Task, scaling: Scaling) -> Any:
    """Returns the standardised map of an estimate, (n, npix, npix, 1)."""
    (mean,), (std,), sky = scaling.label_mean, scaling.label_std, task.lensing.sky
    standardise = keras.layers.Rescaling(1 / std, -mean / std, dtype="float32")
    return standardise(layers.KappaMap(sky.npix, sky.side)(kappa))


class StageLayers(Protocol):
    """The estimates of a `Method` as layers: the counterpart of its `Features`."""

    def first(self, observed: Fields, stage: Stage) -> list[Modes]:
        """Returns the estimates of stage 0.

        Args:
          observed: modes of T, or of E and B, or of all, as of `quadratic_layers.ObservedFields`.
          stage: stage 0, for what weighs its estimates.
        """

    def again(self, observed: Fields, kappa: Modes, stage: Stage, number: int) -> list[Modes]:
        """Returns the estimates of a later stage from fields that are delensed.

        Args:
          observed: as of `first`.
          kappa: the last estimate.
          stage: this one, for what weighs its estimates.
          number: of it, counted from 0.
        """

    def reached(self, observed: Fields, kappa: Modes, new: Modes, stage: Stage) -> Modes:
        """Returns the estimate that a later stage ends with: the new one, or short of it.

        Args:
          observed: as of `first`.
          kappa: the last estimate.
          new: what the gains make of this stage's features.
          stage: this one.
        """


def layers_of(method: Method) -> StageLayers:
    """Returns the layers of a method.

    Raises:
      LensingError: it has none.
    """
    if isinstance(method, ByTemplate):
        return TemplateLayers(method)
    if isinstance(method, ByRemapping):
        return RemapLayers(method)
    if isinstance(method, ByTemplateAndRemapping):
        return TemplateAndRemapLayers(method)
    if isinstance(method, ByFilteredTemplate):
        return FilteredTemplateLayers(method)
    raise LensingError(f"{type(method).__name__} has no layers")


def estimate(
    layers_: StageLayers,
    sky: FlatSky,
    observed: Fields,
    stages: Sequence[Stage],
    corrected: Corrected = lambda number, features, kappa: kappa,
    trainable: bool = True,
) -> Modes:
    """Estimates κ in stages.

    The gains are layers of their own, `stage_0` and so on, from which `RingGains.stage` reads the
    stage again.

    Args:
      layers_: of the method.
      sky: the patch.
      observed: as of `StageLayers.first`.
      stages: fitted, at least one.
      corrected: what is made of each stage's estimate.
      trainable: whether the gains are trained.
    """
    first = layers_.first(observed, stages[0])
    kappa: Modes | None = None
    for number, stage in enumerate(stages):
        features = list(first)
        if kappa is not None:
            features += [kappa, *layers_.again(observed, kappa, stage, number)]
        gains = layers.RingGains.of(stage, sky, name=f"stage_{number}", trainable=trainable)
        new = gains(features)
        if kappa is not None:
            new = layers_.reached(observed, kappa, new, stage)
        kappa = corrected(number, features, new)
    assert kappa is not None, "there is a stage"
    return kappa


class TemplateLayers:
    """`StageLayers` of fields less templates of what lensing by the last estimate did to them.

    Args:
      method: of the same in NumPy.
    """

    def __init__(self, method: ByTemplate):
        self._method = method

    def first(self, observed: Fields, stage: Stage) -> list[Modes]:
        """Returns the estimates of every pair."""
        return _estimates(self._method.features(stage, 0), lambda pair: [observed])

    def again(self, observed: Fields, kappa: Modes, stage: Stage, number: int) -> list[Modes]:
        """Returns the estimates from fields less templates."""
        step = self._method.features(stage, 1)
        residual = layers.Delensing.of(step.template, step.beam, list(observed))(observed, kappa)
        less_b = {n: (residual if n == "B" else observed)[n] for n in observed}
        return _estimates(step, functools.partial(estimated_from, less_b=less_b, delensed=residual))

    def reached(self, observed: Fields, kappa: Modes, new: Modes, stage: Stage) -> Modes:
        """Returns the new estimate."""
        return new


class TemplateAndRemapLayers:
    """`StageLayers` of fields less templates, and of T remapped, by the last estimate.

    Args:
      method: of the same in NumPy.
    """

    def __init__(self, method: ByTemplateAndRemapping):
        self._by_template = TemplateLayers(method.by_template)
        self._by_remapping = RemapLayers(method.by_remapping)
        self._sky = method.sky

    def first(self, observed: Fields, stage: Stage) -> list[Modes]:
        """Returns the estimates of every pair."""
        return self._by_template.first(observed, stage)

    def again(self, observed: Fields, kappa: Modes, stage: Stage, number: int) -> list[Modes]:
        """Returns the estimates from fields less templates, and those from the remapped T."""
        held = WithoutSpikes(self._sky.npix, self._sky.side)(kappa)
        by_remapping = self._by_remapping.again(observed, held, stage, number)
        return self._by_template.again(observed, kappa, stage, number) + by_remapping

    def reached(self, observed: Fields, kappa: Modes, new: Modes, stage: Stage) -> Modes:
        """Returns the new estimate."""
        return new


class FilteredTemplateLayers:
    """`StageLayers` of masked maps less templates, which every stage filters anew.

    Args:
      method: of the same in NumPy.
    """

    def __init__(self, method: ByFilteredTemplate):
        self._method = method

    def first(self, observed: Fields, stage: Stage) -> list[Modes]:
        """Returns the estimates of every pair."""
        return _estimates(self._method.features(stage, 0), lambda pair: [observed])

    def again(self, observed: Fields, kappa: Modes, stage: Stage, number: int) -> list[Modes]:
        """Returns the estimates from maps less templates."""
        method, step = self._method, self._method.features(stage, number)
        fields: Fields = {name: observed[name] for name in "TEB" if name in observed}
        seen = {name: observed[name] for name in observed if name not in fields}
        beam = method.observation.beam
        near = layers.Delensing.of(method.template, beam, list(fields))(fields, kappa)
        residual: Fields = _filtered(step.filter, seen, fields, near)
        less_b: Fields = {name: (residual if name == "B" else fields)[name] for name in fields}
        return _estimates(step, functools.partial(estimated_from, less_b=less_b, delensed=residual))

    def reached(self, observed: Fields, kappa: Modes, new: Modes, stage: Stage) -> Modes:
        """Returns the new estimate."""
        return new


def _filtered(
    by: WienerFilter, seen: Fields, fields: Fields | None = None, near: Fields | None = None
) -> dict[str, Modes]:
    """Filters maps as of `filter_layers.WienerFilter`, whose arguments these are."""
    found: dict[str, Modes] = {}
    for planes in by.planes:
        layer = filter_layers.WienerFilter.of(
            planes, by.patch.sky.npix, by.patch.sky.side, by.tolerance
        )
        given = [{name: some[name] for name in planes.names} for some in (fields, near) if some]
        found |= layer(seen, *given)
    return found


def _estimates(
    step: StageFeatures | FilteredFeatures, fields_of: Callable[[str], list[Fields]]
) -> list[Modes]:
    found = []
    for pair, estimator in step.estimators.items():
        layer = layers.QuadraticEstimator.of(estimator)
        found += [layer(fields[pair[0]], fields[pair[1]]) for fields in fields_of(pair)]
    return found
