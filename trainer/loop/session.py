"""The arguments of a call of `train`, checked before any work is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from trainer.data import sources
from trainer.loop import errors
from trainer.loop.memory import refuse_too_large
from trainer.networks import families
from trainer.networks.family import FittedNetwork, Network, StartingNetwork
from trainer.runs.run_config import SEARCH
from trainer.settings.config import TrainerConfig
from trainer.settings.optimization import check_count


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """One call of `trainer.train.train`, whose arguments are checked before any work is done.

    Attributes:
      config: what to train, on what, and how.
      lensing: the config of the dataset.
      workdir: the run's folder.
      report: prints a line.
      live: whether to show the running epoch on standard output, as on a terminal.
      callbacks: more of them, called after those that keep the run.
      save_every: steps of an epoch after which they are kept; None for every ten minutes.
      simulators: processes that simulate skies where these are fresh; None for as many as leave the
        backend what it needs.

    Raises:
      TooLargeError: the network does not fit into memory.
      LensingError: the settings and the dataset do not go together, or the folder is a search's.
    """

    config: TrainerConfig
    lensing: LensingConfig
    workdir: Path
    report: Callable[[str], None]
    live: bool = False
    callbacks: Sequence[keras.callbacks.Callback] = ()
    save_every: int | None = None
    simulators: int | None = None

    def __post_init__(self) -> None:
        sources.refuse_impossible(self.config, self.lensing, self.simulators)
        network, model = self.network, self.config.model
        if isinstance(network, FittedNetwork):
            network.refuse_another(self.lensing)
            if self.config.fresh:
                raise LensingError(
                    f"fresh is for networks that are trained: {model} is fitted to "
                    f"{network.examples(self.lensing)} stored examples"
                )
        if self.config.uncertainty:
            errors.refuse_too_few(self.lensing)
        check_count("save_every", self.save_every)
        if self.save_every is not None and isinstance(network, FittedNetwork):
            raise LensingError(f"save_every is for networks that are trained: {model} is fitted")
        refuse_too_large(self.config, self.lensing)
        if (self.workdir / SEARCH).exists():
            raise LensingError(f"{self.workdir} holds a search ({SEARCH}): name another --workdir")

    @property
    def network(self) -> Network | StartingNetwork | FittedNetwork:
        """The network that the config names."""
        return families.parse(self.config.model)
