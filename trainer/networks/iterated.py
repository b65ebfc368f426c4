"""The iterated quadratic estimator as a network: `iterated`, whose gains are fitted, not trained.

It is `estimators.iterated` in layers, which see the maps in µK again: theory's filters know nothing
of standardised ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.iterated.fitting import (
    Examples,
    are_enough,
    as_fitted,
    each_stage,
    examples_wanted,
    feature_counts,
    method_by_theory,
    most_stages_of,
)
from estimators.iterated.iterated_estimator import Method, Stage, rings_of
from lensing_tfds import realism
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import spectra
from lensing_tfds.sky.spectra import PowerSpectra
from lensing_tfds.task import Task
from trainer.networks.family import Family
from trainer.networks.maps import refuse_hidden_holes
from trainer.networks.memory import Footprint
from trainer.networks.scaling import Scaling

if TYPE_CHECKING:
    import keras

NAME = "iterated"


@dataclasses.dataclass(frozen=True)
class Iterated:
    """The iterated estimator; see `family.FittedNetwork`."""

    widest_kernel: int = 1  # it has none

    def refuse_another(self, lensing: LensingConfig) -> None:
        refuse_hidden_holes(lensing)
        if method_by_theory(lensing, spectra.fiducial()) is not None:
            return
        why = [
            realism.why_not_camb(lensing),
            "" if realism.is_periodic(lensing) else "the patch is not periodic",
            "" if lensing.noise_uK_arcmin else "there is no noise",
            "" if lensing.hits is None else "the noise varies over the patch",
        ]
        raise LensingError(
            f"{NAME} rests on theory, which does not describe the maps of "
            f"lensing/{lensing.name} ({', '.join(filter(None, why))}): choose another --model"
        )

    def examples(self, lensing: LensingConfig) -> int:
        return min(examples_wanted(lensing), lensing.num_examples["train"])

    def fit(
        self,
        task: Task,
        table: PowerSpectra,
        scaling: Scaling,
        examples: Examples,
        fitted: keras.Model | None,
    ) -> Iterator[tuple[keras.Model, float]]:
        stages = [] if fitted is None else stages_of(fitted)
        for stage, rho in each_stage(task.lensing, table, examples, stages):
            stages.append(as_stored(stage))
            yield build(task, table, stages, scaling), rho

    def is_fitted(self, correlations: Sequence[float], lensing: LensingConfig) -> bool:
        return are_enough(correlations, most_stages_of(lensing))

    def footprint(self, task: Task) -> Footprint:
        """Counts the gains of two stages, and what an estimate keeps on the grid for products."""
        gains = rings_of(task.lensing.sky).num * sum(feature_counts(task.lensing))
        return Footprint(gains, 16 * (3 * task.npix // 2) ** 2)


def parse(name: str) -> Iterated | None:
    """Reads the network's name; None where it is another."""
    return Iterated() if name == NAME else None


def build(
    task: Task, table: PowerSpectra, stages: Sequence[Stage], scaling: Scaling
) -> keras.Model:
    """Builds the network of fitted stages.

    Args:
      task: what goes in and what comes out.
      table: the spectra of its cosmology.
      stages: at least one.
      scaling: of the dataset's maps, for who trains it further; the estimate does not depend on it.

    Returns:
      A model in physical units, see `families.build`: its estimates are those of
      `StagedEstimator`, and its weights that are trained are the gains.

    Raises:
      LensingError: the numbers of the stages are not as many as such maps have, or not finite.
    """
    import keras

    from trainer.networks import stages as staged
    from trainer.networks.physical import in_physical_units
    from trainer.networks.settings import keras_settings

    method = method_by_theory(task.lensing, table)
    if method is None:
        raise LensingError(f"{NAME} has no layers for the maps of lensing/{task.lensing.name}")
    method = as_fitted(method, stages)
    _refuse_misshapen(stages, method, task.lensing)
    with keras_settings():
        maps = keras.Input(task.input_shape, name=task.inputs.name)
        observed = staged.observed_fields(maps, task, scaling, method)
        kappa = staged.estimate(staged.layers_of(method), task.lensing.sky, observed, stages)
        network = keras.Model(maps, staged.standardised_map(kappa, task, scaling), name=NAME)
        return in_physical_units(network, task, scaling)


def _refuse_misshapen(stages: Sequence[Stage], method: Method, config: LensingConfig) -> None:
    rings = rings_of(method.sky).num
    fields = {"T": "T" in config.channels, "B": "Q" in config.channels}
    one_each = {name: np.zeros(rings) for name, is_there in fields.items() if is_there}
    has_mean = isinstance(method, ByFilteredTemplate) or realism.has_mean_field(config)
    mean_field = np.zeros(method.sky.ell.shape if has_mean else ())
    if not stages:
        raise LensingError(f"{NAME} has no stages")
    for number, stage in enumerate(stages):
        weighed = method.is_weighed(number)
        like = method.weighed_by(one_each) if weighed else Stage(np.zeros(0))
        gains = np.zeros((method.counts[min(number, 1)], rings))
        for name, expected in (
            ("gains", gains), ("residual_b", like.residual_b), ("power", like.power),
            ("mean_field", mean_field),
        ):  # fmt: skip
            found = getattr(stage, name)
            if found.shape != expected.shape or not np.isfinite(found).all():
                raise LensingError(
                    f"{name} of stage {number} of {NAME} on lensing/{config.name} have shape "
                    f"{found.shape}: must be {expected.shape}, and finite"
                )


def stages_of(model: keras.Model) -> list[Stage]:
    """Returns the stages of a network that `build` built, as they are now."""
    from trainer.networks.quadratic_layers import RingGains

    (network,) = (layer for layer in model.layers if layer.name == NAME)
    found = {layer.name: layer for layer in network.layers if isinstance(layer, RingGains)}
    return [found[f"stage_{number}"].stage for number in range(len(found))]


def as_stored(stage: Stage) -> Stage:
    """Returns a stage as a model's file keeps it: gains and means of single precision."""
    return dataclasses.replace(
        stage,
        gains=stage.gains.astype(np.float32).astype(np.float64),
        mean_field=stage.mean_field.astype(np.complex64).astype(np.complex128),
    )


FAMILY = Family(NAME, f"{NAME} (the iterated quadratic estimator, fitted)", parse, None)
