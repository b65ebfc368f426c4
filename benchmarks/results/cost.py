"""The cost of a cell, cost.json in its folder: time, time of processors, memory, parameters.

A session is a process that trained: a run that was killed and goes on has several. All that they
spent counts, steps that were lost with a kill too, but for the last seconds before it.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
import resource
import time
from pathlib import Path

import lensing_tfds
from lensing_tfds import strict_json
from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_names, check_types
from lensing_tfds.records.storage import replacing

FILE = "cost.json"


@dataclasses.dataclass(frozen=True)
class Spent:
    """Time that a process spent on something.

    Attributes:
      seconds: that passed.
      cpu_seconds: of all its threads together.
      cores: that it was allowed.
      device: the processor, or the accelerator.
      peak_gib: the most memory that it had until then.
      date: of its end, in UTC, "2026-11-27"; None in files of an earlier release.
      release: of the code; None in files of an earlier release.
    """

    seconds: float
    cpu_seconds: float
    cores: int
    device: str
    peak_gib: float
    date: str | None = None
    release: str | None = None

    def __post_init__(self) -> None:
        check_types(self)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of a cell.

    Attributes:
      training: a session each.
      judging: of the test split; None before.
      parameters: that are trained, or fitted; None before the end of training.
    """

    training: tuple[Spent, ...] = ()
    judging: Spent | None = None
    parameters: int | None = None

    def __post_init__(self) -> None:
        check_types(self)

    @classmethod
    def read(cls, folder: Path) -> Cost:
        """Reads a cell's file; of a cell without one nothing is known.

        Raises:
          LensingError: it is damaged.
        """
        path = folder / FILE
        if not path.exists():
            return cls()
        try:
            values = strict_json.read(str(path))
            check_names(cls, values, FILE)
            judging = values["judging"]
            return cls(
                tuple(Spent(**spent) for spent in values["training"]),
                None if judging is None else Spent(**judging),
                values["parameters"],
            )
        except (TypeError, LensingError) as error:
            raise LensingError(f"{path} is damaged ({error}): remove it") from error

    def write(self, folder: Path) -> None:
        """Writes a cell's file, whole or not at all."""
        with replacing(folder / FILE) as temporary:
            temporary.write_text(f"{json.dumps(dataclasses.asdict(self))}\n", encoding="utf-8")


class Meter:
    """Measures what this process spends from now on.

    Args:
      device: what computes.
    """

    def __init__(self, device: str):
        self._device = device
        self._begun, self._cpu = time.monotonic(), time.process_time()

    def spent(self) -> Spent:
        """Returns what was spent until now."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        return Spent(
            time.monotonic() - self._begun,
            time.process_time() - self._cpu,
            len(os.sched_getaffinity(0)),
            self._device,
            peak,
            datetime.datetime.now(datetime.UTC).date().isoformat(),
            lensing_tfds.__version__,
        )


def processor() -> str:
    """Names the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
