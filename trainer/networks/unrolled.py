"""The iterated estimator with U-Nets in its stages: `unrolled`, or another `unrolled-FxLxB[-C]`.

The stages are fitted in closed form as those of `iterated`, to training examples. To the estimate
of the last C of them, one by default, gains that are trained and a small U-Net are added, which see
the stage's features; a later stage delenses with the corrected estimate. All begin at zero, and the
network as the iterated estimator. What comes before the first correction is constant, and costs a
step nothing on its way back.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from estimators.iterated.fitting import (
    are_enough,
    each_stage,
    examples_wanted,
    feature_counts,
    method_of,
    most_stages_of,
)
from estimators.iterated.iterated_estimator import Method, Stage
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from trainer.networks import unet
from trainer.networks.correction import correction, correction_counts
from trainer.networks.family import Family
from trainer.networks.iterated import as_stored
from trainer.networks.maps import refuse_hidden_holes
from trainer.networks.memory import Footprint
from trainer.networks.sample import Sample
from trainer.networks.scaling import Scaling
from trainer.networks.space import Choice, Dimension, LogRange, Point
from trainer.networks.started import StartedNetwork
from trainer.networks.unet import UNet, UNetSpace

if TYPE_CHECKING:
    from trainer.networks.modes import Modes
    from trainer.networks.stages import Fields

NAME = "unrolled"
DEFAULT = UNet(filters=16, levels=2, blocks=1)

GRAMMAR = (
    f"{NAME}, which is {NAME}-16x2x1, or another {NAME}-FxLxB (sizes as of a unet) or "
    f"{NAME}-FxLxB-C (so many stages are corrected, the last ones)"
)

_NAME = re.compile(NAME + r"(-[0-9]+x[0-9]+x[0-9]+)?(?:-([1-9]))?")

# Of a stage that the gradient passes: the planes that its products keep, of each estimate.
_PLANES = 16


@dataclasses.dataclass(frozen=True)
class Unrolled:
    """The iterated estimator with U-Nets; see `family.StartingNetwork`.

    Attributes:
      unet: the size of each of them.
      corrected: how many stages have one, the last ones; or all, if there are fewer.
    """

    unet: UNet
    corrected: int = 1
    starts_fitted: bool = dataclasses.field(default=True, init=False)

    @property
    def name(self) -> str:
        """The name that `parse` reads."""
        if self.corrected > 1:
            return f"{NAME}-{self.unet.size}-{self.corrected}"
        return NAME if self.unet == DEFAULT else f"{NAME}-{self.unet.size}"

    @property
    def widest_kernel(self) -> int:
        """That of its U-Nets."""
        return self.unet.widest_kernel

    def started(self, task: Task, sample: Sample) -> StartedUnrolled:
        """Fits the stages as the iterated estimator's are."""
        refuse_hidden_holes(task.lensing)
        return StartedUnrolled(self, task.lensing, *sample.fitted(_fitted, task.lensing))

    def footprint(self, task: Task) -> Footprint:
        """Counts what is trained, as `family.Network` asks, and what the way back passes."""
        first, later = feature_counts(task.lensing)
        parameters, outputs = correction_counts(self.unet, task, later)
        between = (later - first) * _PLANES * (3 * task.npix // 2) ** 2
        one = Footprint.of_chain(parameters, outputs)
        return Footprint(
            self.corrected * one.parameters,
            self.corrected * one.activations + (self.corrected - 1) * between,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class StartedUnrolled(StartedNetwork):
    """A network whose stages are fitted; see `StartedNetwork`.

    Attributes:
      stages: as a model's file keeps them.
    """

    network: Unrolled
    method: Method
    stages: Sequence[Stage]

    def corrected(
        self, observed: Fields, whitened: Any, task: Task, scaling: Scaling, seed: int
    ) -> Any:
        import keras

        from trainer.networks import stages as staged
        from trainer.networks.feature_layers import Corrected

        sky, last = task.lensing.sky, len(self.stages) - 1
        outputs = None

        def with_correction(number: int, features: list[Modes], kappa: Modes) -> Modes:
            nonlocal outputs
            if number <= last - self.network.corrected:
                return kappa
            estimate = staged.standardised_map(kappa, task, scaling)
            own = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
            added = correction(
                self.network.unet,
                features,
                self.stages[number],
                estimate,
                whitened,
                observed,
                task,
                own,
            )
            if number < last:
                return Corrected(sky.npix, sky.side, scaling.label_std[0])(kappa, added)
            outputs = keras.layers.Add(dtype="float32")([estimate, added])
            return kappa

        layers = staged.layers_of(self.method)
        staged.estimate(layers, sky, observed, self.stages, with_correction, trainable=False)
        return outputs


def _fitted(config: LensingConfig, sample: Sample) -> tuple[Method, list[Stage]]:
    """Fits all stages, which U-Nets of any size begin with."""
    table, examples = sample.table(), sample.first(examples_wanted(config))
    stages: list[Stage] = []
    correlations: list[float] = []
    for stage, rho in each_stage(config, table, examples):
        stages.append(as_stored(stage))
        correlations.append(rho)
        if are_enough(correlations, most_stages_of(config)):
            break
    return method_of(config, table, examples), stages


def parse(name: str) -> Unrolled | None:
    """Reads a network's name; None where it is not in the grammar.

    Args:
      name: `unrolled`, or `unrolled-FxLxB` with a U-Net as of `unet-FxLxB`, or `unrolled-FxLxB-C`
        with C of them.
    """
    match = _NAME.fullmatch(name)
    if match is None or (match[2] and not match[1]):
        return None
    size = unet.parse(f"unet{match[1]}") if match[1] else DEFAULT
    return Unrolled(size, int(match[2] or 1)) if size else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnrolledSpace(UNetSpace):
    """The iterated estimator with U-Nets, and the settings that they train with.

    Attributes:
      corrected: how many stages have a U-Net.
    """

    family = NAME

    learning_rate: Dimension = LogRange(5e-5, 2e-3)
    filters: Choice = Choice((8, 16, 24, 32))
    corrected: Choice = Choice((1, 2))

    def model(self, point: Point) -> str:
        corrected = point["corrected"]
        if not isinstance(corrected, int) or not 1 <= corrected <= 9:
            raise LensingError(f"corrected is {corrected!r}: must be 1 to 9")
        return Unrolled(self.unet_at(point), corrected).name

    def place(self, model: str) -> Point | None:
        network = parse(model)
        if network is None or network.corrected not in self.corrected:
            return None
        place = self.place_of(network.unet)
        return place and {**place, "corrected": network.corrected}


FAMILY = Family(NAME, GRAMMAR, parse, UnrolledSpace)
