"""Statistics of the maps that a network will see, measured once, on training examples alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.fields import fields_of
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.binning import Bins
from lensing_tfds.task import Task
from trainer.networks.scaling import Scaling, measure_scaling


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Statistics of a dataset's maps that a network may be built from.

    Attributes:
      scaling: means and standard deviations per pixel.
      ring_power: of each field of `fields`, "T" or "E" and "B" or all three, the mean observed
        |f(l)|² / area, µK², in each ring of `Bins.fundamental` of the task's patch: with beam and
        noise as they are in the maps, and of a patch with edges the power of its own FFT.
    """

    scaling: Scaling
    ring_power: Mapping[str, tuple[float, ...]] = dataclasses.field(hash=False)

    def __post_init__(self) -> None:
        rings = {name: tuple(map(float, power)) for name, power in self.ring_power.items()}
        object.__setattr__(self, "ring_power", rings)  # a copy that nobody else can change
        for name, power in rings.items():
            if not all(0 <= x < math.inf for x in power) or not any(power):
                raise LensingError(
                    f"ring_power of {name} is {power}: must be finite, not negative, and above "
                    "zero somewhere"
                )

    def refuse_another(self, task: Task) -> None:
        """Makes sure that these can be statistics of a task's maps.

        Raises:
          LensingError: they are of other fields, or of other rings.
        """
        if tuple(self.ring_power) != fields(task):
            raise LensingError(
                f"ring_power is of {', '.join(self.ring_power)}: maps of "
                f"{', '.join(task.inputs.channels)} have {', '.join(fields(task))}"
            )
        num = Bins.fundamental(task.lensing.sky).num
        for name, power in self.ring_power.items():
            if len(power) != num:
                raise LensingError(
                    f"ring_power of {name} has {len(power)} rings: maps of {task.npix} x "
                    f"{task.npix} pixels have {num}"
                )


def fields(task: Task) -> tuple[str, ...]:
    """The scalar fields that a task's maps hold: "T", or "E" and "B", or all three."""
    has = {"T": "T", "E": "Q", "B": "U"}
    return tuple(name for name, channel in has.items() if channel in task.inputs.channels)


def measure_statistics(batches: Iterable[Mapping[str, NDArray]], task: Task) -> Statistics:
    """Measures statistics in one pass over some examples, of which only sums are kept.

    Args:
      batches: dicts of the task's maps, each of shape (n, npix, npix, channels).
      task: what goes in and what comes out.

    Raises:
      LensingError: there is no map, or the maps are all constant or not finite.
    """
    power = _Power(task)
    scaling = measure_scaling(power.seen(batches), task)
    return Statistics(scaling, power.of_rings())


class _Power:
    """Sums of the maps' power, mode by mode."""

    def __init__(self, task: Task) -> None:
        self._inputs, self._sky = task.inputs, task.lensing.sky
        self._sums = {name: np.zeros(self._sky.ell.shape) for name in fields(task)}
        self._count = 0

    def seen(self, batches: Iterable[Mapping[str, NDArray]]) -> Iterator[Mapping[str, NDArray]]:
        """Adds batches while they pass."""
        for batch in batches:
            maps = batch[self._inputs.name]
            with np.errstate(invalid="ignore"):  # `Scaling` refuses maps that are not finite
                for name, modes in fields_of(maps, self._inputs.channels, self._sky).items():
                    self._sums[name] += np.sum(np.abs(modes).astype(np.float64) ** 2, axis=0)
            self._count += len(maps)
            yield batch

    def of_rings(self) -> dict[str, tuple[float, ...]]:
        """Mean |f(l)|² / area of each ring, µK²."""
        rings, norm = Bins.fundamental(self._sky), self._sky.area / self._count
        return {
            name: tuple((rings.mean(power) * norm).tolist()) for name, power in self._sums.items()
        }
