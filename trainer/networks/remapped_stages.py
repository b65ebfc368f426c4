"""The stages that remap T, as layers."""

from __future__ import annotations

from collections.abc import Mapping

from estimators.iterated.iterated_estimator import Stage
from estimators.iterated.remapping import ByRemapping
from trainer.networks.flow_layers import DampedStep, Flows, Unlens, WhereSeen
from trainer.networks.modes import Modes
from trainer.networks.quadratic_layers import QuadraticEstimator


class RemapLayers:
    """`stages.StageLayers` of T remapped by the last estimate.

    Args:
      method: of the same in NumPy.
    """

    def __init__(self, method: ByRemapping):
        self._method = method
        self._remapped: tuple[Modes, Modes] | None = None

    def first(self, observed: Mapping[str, Modes], stage: Stage) -> list[Modes]:
        """Returns the quadratic estimates and the flows of T."""
        features, t = self._method.features(stage, 0), observed["T"]
        quadratic = [QuadraticEstimator.of(one)(t, t) for one in features.estimators]
        return quadratic + Flows.of(features, self._method.sky)(t)

    def again(
        self, observed: Mapping[str, Modes], kappa: Modes, stage: Stage, number: int
    ) -> list[Modes]:
        """Returns the flows of T remapped, as they are and where they are seen."""
        sky = self._method.sky
        flows = Flows.of(self._method.features(stage, 1), sky)(self._left(observed, kappa))
        return flows + WhereSeen(sky.npix, sky.side)(flows, kappa)

    def reached(
        self, observed: Mapping[str, Modes], kappa: Modes, new: Modes, stage: Stage
    ) -> Modes:
        """Returns the new estimate, or short of it where the stage is damped."""
        if not stage.damped:
            return new
        step = DampedStep.of(self._method.features(stage, 1), self._method.sky)
        return step(observed["T"], self._left(observed, kappa), kappa, new)

    def _left(self, observed: Mapping[str, Modes], kappa: Modes) -> Modes:
        """T remapped by an estimate: once, for both that a stage takes it for."""
        if self._remapped is None or self._remapped[0] is not kappa:
            sky = self._method.sky
            self._remapped = kappa, Unlens(sky.npix, sky.side)(observed["T"], kappa)
        return self._remapped[1]
