"""A family of networks: a grammar of names, what a name builds and needs, and what to search."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from lensing_tfds.task import Task
from trainer.networks.memory import Footprint
from trainer.networks.space import Space
from trainer.networks.statistics import Statistics

if TYPE_CHECKING:
    import keras


class Network(Protocol):
    """A network's name, parsed."""

    def build(self, task: Task, statistics: Statistics, seed: int) -> keras.Model:
        """Builds the network, not compiled.

        Args:
          task: what goes in and what comes out.
          statistics: of the training maps, in µK.
          seed: of the initial weights; the same seed gives the same weights.

        Returns:
          A model from (batch, *task.input_shape) standardised maps to (batch, *task.label_shape)
          standardised labels, both float32.
        """

    @property
    def widest_kernel(self) -> int:
        """The side of its widest convolution's kernel, in pixels of the maps."""

    def footprint(self, task: Task) -> Footprint:
        """Counts the numbers that training keeps, without building anything."""


@dataclasses.dataclass(frozen=True)
class Family:
    """One file of this package, entered in `families.FAMILIES`.

    Attributes:
      grammar: of the names, for people.
      parse: a name -> its network; None if the name is not in the grammar.
      space: what a search may vary; it names the family.
    """

    grammar: str
    parse: Callable[[str], Network | None]
    space: type[Space]

    @property
    def name(self) -> str:
        """The family's name."""
        return self.space.family
