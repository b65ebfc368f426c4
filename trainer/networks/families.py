"""The registry of families: a name -> its network, and what training that network needs."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from trainer.networks import iterated, qe_unet, stacks, unet, unrolled
from trainer.networks.family import Family, FittedNetwork, Network, StartingNetwork
from trainer.networks.memory import MemoryEstimate
from trainer.networks.sample import Sample
from trainer.networks.statistics import Statistics

if TYPE_CHECKING:
    import keras

_ALL = (
    stacks.FAMILY,
    unet.FAMILY,
    qe_unet.FAMILY,
    unrolled.FAMILY,
    iterated.FAMILY,
)
"""In the order in which they read a name; a new family is one line here."""

FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}


def parse(name: str) -> Network | StartingNetwork | FittedNetwork:
    """Reads a network's name.

    Raises:
      LensingError: it is in no family's grammar.
    """
    return _parsed(name)[1]


def family_of(name: str) -> str:
    """The name of a network's family.

    Raises:
      LensingError: the network's name is in no family's grammar.
    """
    return _parsed(name)[0].name


def _parsed(name: str) -> tuple[Family, Network | StartingNetwork | FittedNetwork]:
    for family in FAMILIES.values():
        network = family.parse(name)
        if network is not None:
            return family, network
    known = [near for family in FAMILIES.values() for near in family.known]
    nearest = " or ".join(difflib.get_close_matches(name.lower(), known, cutoff=0.7))
    meant = f"did you mean {nearest}? Known are" if nearest else "expected"
    grammars = "; or ".join(family.grammar for family in FAMILIES.values())
    raise LensingError(f"unknown model {name!r}: {meant} {grammars}")


def is_fitted(name: str) -> bool:
    """Says whether a network is fitted in closed form, and takes no setting of training.

    Raises:
      LensingError: the name is in no family's grammar.
    """
    return isinstance(parse(name), FittedNetwork)


def whitened(name: str) -> str:
    """Names the same network behind a layer that shows it whitened maps too.

    Raises:
      LensingError: the name is in no family's grammar, or there is no such network.
    """
    parse(name)
    try:
        parse(stacks.WHITEN + name)
    except LensingError as error:
        raise LensingError(
            f"{name} cannot be whitened, or is already: only the study's stacks can, as "
            f"{stacks.WHITEN}4x64-1x32-9"
        ) from error
    return stacks.WHITEN + name


def build(
    name: str,
    task: Task,
    statistics: Statistics,
    seed: int,
    precision: str = "float32",
    sample: Sample | None = None,
) -> keras.Model:
    """Builds a network from its name, not compiled, whatever Keras's own settings say.

    Args:
      name: the network's.
      task: what goes in and what comes out.
      statistics: of the dataset's training maps.
      seed: of the initial weights; the same seed gives the same weights.
      precision: of what it computes, as `Recipe.precision`.
      sample: training examples, for networks that begin as an estimator.

    Returns:
      A model from (batch, *task.input_shape) maps, µK, to (batch, *task.label_shape) labels,
      dimensionless, both float32, which holds the task and the scaling.

    Raises:
      LensingError: the name is in no family's grammar, or that of a network that is fitted; or
        the statistics are of other maps; or examples are needed, and missing or too few.
    """
    # Imported here: who only reads names does not wait for Keras.
    from trainer.networks.physical import in_physical_units
    from trainer.networks.settings import keras_settings

    with keras_settings(precision):
        network = parse(name)
        if isinstance(network, FittedNetwork):
            raise LensingError(f"{name} is fitted to examples, and has nothing to train from")
        statistics.refuse_another(task)
        if isinstance(network, StartingNetwork):
            if sample is None:
                raise LensingError(f"{name} begins as an estimator, and needs examples to be one")
            network = network.started(task, sample)
        return in_physical_units(network.build(task, statistics, seed), task, statistics.scaling)


def memory(
    name: str,
    task: Task,
    batch_size: int,
    optimizer: str,
    precision: str = "float32",
    averaged: bool = False,
) -> MemoryEstimate:
    """Estimates the memory of a training step, without building the network.

    Args:
      name: the network's.
      task: what goes in and what comes out.
      batch_size: examples a step.
      optimizer: "adam", "adamw" or "sgd", the last with momentum.
      precision: of layers' outputs, as `Recipe.precision`.
      averaged: whether a moving average of the weights is kept.

    Raises:
      LensingError: the name is in no family's grammar.
    """
    footprint = parse(name).footprint(task)
    return footprint.in_training(batch_size, optimizer, precision, averaged)
