"""A family of networks: a grammar of names, what a name builds and needs, and what to search."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from estimators.iterated.fitting import Examples
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky.spectra import PowerSpectra
from lensing_tfds.task import Task
from trainer.networks.memory import Footprint
from trainer.networks.sample import Sample
from trainer.networks.scaling import Scaling
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

    @property
    def starts_fitted(self) -> bool:
        """Says whether its first weights are an estimator's already, and not only drawn.

        Such a network is kept before its first step: what a run keeps is never worse.
        """

    def footprint(self, task: Task) -> Footprint:
        """Counts the numbers that training keeps, without building anything."""


@runtime_checkable
class FittedNetwork(Protocol):
    """A network whose weights are found in closed form, stage by stage, where others are trained.

    A stage is to it what an epoch is to others: a run keeps the network after each.
    """

    def refuse_another(self, lensing: LensingConfig) -> None:
        """Makes sure that it can be fitted to the maps of a dataset.

        Raises:
          LensingError: it cannot.
        """

    def examples(self, lensing: LensingConfig) -> int:
        """The number of training examples that it is fitted to unless somebody says otherwise."""

    def fit(
        self,
        task: Task,
        table: PowerSpectra,
        scaling: Scaling,
        examples: Examples,
        fitted: keras.Model | None,
    ) -> Iterator[tuple[keras.Model, float]]:
        """Fits one stage after the other, without an end.

        Args:
          task: what goes in and what comes out.
          table: the spectra of its cosmology.
          scaling: of the maps.
          examples: streams those to fit to.
          fitted: what it yielded last, of a run that goes on; None to begin with.

        Yields:
          The network with one stage more, in physical units, and its map-level correlation with κ
          on these examples.

        Raises:
          TooFewExamplesError: there are too few examples.
        """

    def is_fitted(self, correlations: Sequence[float], lensing: LensingConfig) -> bool:
        """Says whether no stage is missing, for a dataset, after those of these correlations."""

    @property
    def widest_kernel(self) -> int:
        """As of `Network`."""

    def footprint(self, task: Task) -> Footprint:
        """As of `Network`."""


@runtime_checkable
class StartingNetwork(Protocol):
    """A network that begins as an estimator, whose numbers come from theory and examples.

    Only then it is a `Network`, which is built and trained like any other.
    """

    def started(self, task: Task, sample: Sample) -> Network:
        """Returns the network of a dataset.

        Args:
          task: what goes in and what comes out.
          sample: training examples.

        Raises:
          LensingError: it cannot begin on such maps, or there are too few examples.
        """

    @property
    def widest_kernel(self) -> int:
        """As of `Network`."""

    @property
    def starts_fitted(self) -> bool:
        """As of `Network`: true."""

    def footprint(self, task: Task) -> Footprint:
        """As of `Network`."""


@dataclasses.dataclass(frozen=True)
class Family:
    """One file of this package, entered in `families.FAMILIES`.

    Attributes:
      name: the family's own.
      grammar: of the names, for people.
      parse: a name -> its network; None if the name is not in the grammar.
      space: what a search may vary; None where there is nothing.
      names: that are suggested to who mistypes one, its default network's first; none are needed
        where that has the family's name.
    """

    name: str
    grammar: str
    parse: Callable[[str], Network | StartingNetwork | FittedNetwork | None]
    space: type[Space] | None
    names: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """Names of some of its networks, its default's first."""
        return self.names or (self.name,)
