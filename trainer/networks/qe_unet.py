"""U-Nets that correct the quadratic estimate: `qe_unet`, or another `qe_unet-FxLxB`.

The quadratic estimates of all pairs of fields, from ordinary and from all modes where these differ,
and their best linear combination ring by ring (`estimators.iterated.quadratic_stage`) are layers
whose numbers come from theory, or from spectra of training examples where that does not hold.
Masked maps are filtered first (`filter_layers`), and the U-Net sees the mask and the noise. Gains
that are trained and a small U-Net add to the combination; both begin at zero, and the network as
the Wiener-filtered quadratic estimator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from estimators.filtering.masked_patch import is_filtered
from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.iterated.fitting import examples_wanted
from estimators.iterated.iterated_estimator import Stage
from estimators.iterated.quadratic_stage import fit_quadratic_stage, quadratic_estimators
from estimators.quadratic.quadratic_estimator import QuadraticEstimator, pairs_of
from lensing_tfds import realism
from lensing_tfds.configs import LensingConfig
from lensing_tfds.task import Task
from trainer.networks import unet
from trainer.networks.correction import correction, correction_counts
from trainer.networks.family import Family
from trainer.networks.maps import refuse_hidden_holes
from trainer.networks.memory import Footprint
from trainer.networks.sample import Sample
from trainer.networks.scaling import Scaling
from trainer.networks.space import Choice, Dimension, LogRange, Point
from trainer.networks.started import StartedNetwork
from trainer.networks.unet import UNet, UNetSpace

if TYPE_CHECKING:
    from trainer.networks.stages import Fields

NAME = "qe_unet"
DEFAULT = UNet(filters=16, levels=2, blocks=1)

GRAMMAR = f"{NAME}, which is {NAME}-16x2x1, or another {NAME}-FxLxB (sizes as of a unet)"


@dataclasses.dataclass(frozen=True)
class QEUNet:
    """A U-Net on quadratic estimates; see `family.StartingNetwork`.

    Attributes:
      unet: its size.
    """

    unet: UNet
    starts_fitted: bool = dataclasses.field(default=True, init=False)

    @property
    def name(self) -> str:
        """The name that `parse` reads."""
        return NAME if self.unet == DEFAULT else f"{NAME}-{self.unet.size}"

    @property
    def widest_kernel(self) -> int:
        """That of its U-Net."""
        return self.unet.widest_kernel

    def started(self, task: Task, sample: Sample) -> StartedQEUNet:
        """Takes weights from theory or examples, and gains from examples."""
        refuse_hidden_holes(task.lensing)
        return StartedQEUNet(self, task.lensing, *sample.fitted(_fitted, task.lensing))

    def footprint(self, task: Task) -> Footprint:
        """Counts what is trained, as `family.Network` asks."""
        config = task.lensing
        twice = realism.has_excess_power(config) and not realism.estimator_theory_holds(config)
        features = len(pairs_of(config)) * (1 + twice)
        return Footprint.of_chain(*correction_counts(self.unet, task, features))


@dataclasses.dataclass(frozen=True, eq=False)
class StartedQEUNet(StartedNetwork):
    """A network that knows its dataset's quadratic estimators; see `StartedNetwork`.

    Attributes:
      estimators: of the dataset.
      stage: what combines their estimates.
    """

    network: QEUNet
    estimators: Sequence[QuadraticEstimator]
    stage: Stage

    def corrected(
        self, observed: Fields, whitened: Any, task: Task, scaling: Scaling, seed: int
    ) -> Any:
        import keras

        from trainer.networks import quadratic_layers, stages

        features = [
            quadratic_layers.QuadraticEstimator.of(one)(*(observed[name] for name in one.pair))
            for one in self.estimators
        ]
        gains = quadratic_layers.RingGains.of(self.stage, task.lensing.sky, trainable=False)
        estimate = stages.standardised_map(gains(features), task, scaling)
        added = correction(
            self.network.unet, features, self.stage, estimate, whitened, observed, task, seed
        )
        return keras.layers.Add(dtype="float32")([estimate, added])


def _fitted(
    config: LensingConfig, sample: Sample
) -> tuple[ByFilteredTemplate | None, Sequence[QuadraticEstimator], Stage]:
    """Finds the filter, the weights and the gains, which U-Nets of any size begin with."""
    examples, table = sample.first(examples_wanted(config)), sample.table()
    method = ByFilteredTemplate.of(config, table) if is_filtered(config) else None
    estimators = quadratic_estimators(config, table, examples())
    return method, estimators, fit_quadratic_stage(config, estimators, examples(), method)


def parse(name: str) -> QEUNet | None:
    """Reads a network's name; None where it is not in the grammar.

    Args:
      name: `qe_unet`, or `qe_unet-FxLxB` with a U-Net as of `unet-FxLxB`.
    """
    if name == NAME:
        return QEUNet(DEFAULT)
    size = unet.parse("unet" + name.removeprefix(NAME)) if name.startswith(f"{NAME}-") else None
    return QEUNet(size) if size else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class QEUNetSpace(UNetSpace):
    """U-Nets on quadratic estimates and the settings that they train with, as of `UNetSpace`."""

    family = NAME

    learning_rate: Dimension = LogRange(5e-5, 2e-3)
    filters: Choice = Choice((8, 16, 24, 32))

    def model(self, point: Point) -> str:
        return QEUNet(self.unet_at(point)).name

    def place(self, model: str) -> Point | None:
        network = parse(model)
        return self.place_of(network.unet if network else None)


FAMILY = Family(NAME, GRAMMAR, parse, QEUNetSpace)
