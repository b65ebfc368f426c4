"""Networks that begin as an estimator and learn what it misses, once they know their dataset."""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, Any, Protocol

from estimators.iterated.iterated_estimator import Method
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from trainer.networks.memory import Footprint
from trainer.networks.scaling import Scaling
from trainer.networks.statistics import Statistics

if TYPE_CHECKING:
    import keras

    from trainer.networks.stages import Fields

_SAME_MAPS = ("name", "seed", "num_examples", "unlensed_E")
"""Fields of a config that leave the maps of a network as they are."""


class Unstarted(Protocol):
    """Requests of a `StartedNetwork` to the network that has not started."""

    @property
    def name(self) -> str:
        """As of `family.Network`."""

    @property
    def widest_kernel(self) -> int:
        """As of `family.Network`."""

    def footprint(self, task: Task) -> Footprint:
        """As of `family.Network`."""


@dataclasses.dataclass(frozen=True, eq=False)
class StartedNetwork(abc.ABC):
    """A `family.Network` with the constants that its first weights are made of.

    Attributes:
      network: what it is built like.
      lensing: the config whose maps it begins on.
      method: by which these are delensed, or filtered alone; None where they are taken as they are.
    """

    network: Unstarted
    lensing: LensingConfig
    method: Method | None
    starts_fitted: bool = dataclasses.field(default=True, init=False)

    @property
    def widest_kernel(self) -> int:
        """That of its U-Nets."""
        return self.network.widest_kernel

    def footprint(self, task: Task) -> Footprint:
        """As of the network that has not started."""
        return self.network.footprint(task)

    def build(self, task: Task, statistics: Statistics, seed: int) -> keras.Model:
        """Builds the network as `family.Network` asks.

        Raises:
          LensingError: the task is of other maps.
        """
        import keras

        from trainer.networks.stages import observed_fields
        from trainer.networks.whitening import whitening

        self._refuse_another(task.lensing)
        maps = keras.Input(task.input_shape, name=task.inputs.name)
        observed = observed_fields(maps, task, statistics.scaling, self.method)
        whitened = whitening(task, statistics)(maps)
        outputs = self.corrected(observed, whitened, task, statistics.scaling, seed)
        return keras.Model(maps, outputs, name=self.network.name.replace("-", "_"))

    @abc.abstractmethod
    def corrected(
        self, observed: Fields, whitened: Any, task: Task, scaling: Scaling, seed: int
    ) -> Any:
        """Returns the corrected estimate, a standardised map.

        Args:
          observed: modes, as `stages.observed_fields` gives them.
          whitened: maps, as `whitening` gives them.
          task: what goes in and what comes out.
          scaling: that the maps are standardised by.
          seed: of the weights that are drawn.
        """

    def _refuse_another(self, lensing: LensingConfig) -> None:
        wanted, given = self.lensing.to_json(), lensing.to_json()
        other = [key for key in wanted if wanted[key] != given[key] and key not in _SAME_MAPS]
        if other:
            values = ", ".join(f"{key} {wanted[key]} not {given[key]}" for key in other)
            raise LensingError(
                f"this {self.network.name} begins on maps of lensing/{self.lensing.name}, and "
                f"cannot be built for those of lensing/{lensing.name} ({values}): start another "
                "one on them"
            )
