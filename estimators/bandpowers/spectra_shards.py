"""Spectra of a set of skies as sealed shards: what is finished is kept, and never simulated again.

A shard is a file of NumPy's, (skies, spectra, rings) float64, with its seal beside it, as a
dataset's are: whoever stops the command at any moment and runs it again gets the same numbers, bit
for bit. Shards have one size, so that these do not depend on the number of processes either.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from estimators.bandpowers.rings import Rings
from estimators.bandpowers.sky_sets import SkySet
from estimators.bandpowers.sky_spectra import SkySpectra, names_of
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from lensing_tfds import strict_json
from lensing_tfds.configs import SPLITS, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.records.local_executor import WORKERS_VARIABLE, each_shard
from lensing_tfds.records.shard_plans import ShardSpec, SplitPlan
from lensing_tfds.records.shard_seals import damage, write_seal
from lensing_tfds.records.shard_summary import ShardResult, ShardSummary

SKIES_A_SHARD = 8

_FORMAT = 1  # of the shards' content: another one is never taken for this


class EstimatorSource(Protocol):
    """The source of an estimator, which a worker process makes it from; picklable."""

    @property
    def digest(self) -> str:
        """Hash of all that its estimates are a function of, but for the maps."""

    @property
    def quadratic(self) -> bool:
        """Says whether its estimates are quadratic in the maps."""

    @property
    def ensemble(self) -> SkyEnsemble:
        """The ensemble of the skies that it is for."""

    def estimator(self) -> Estimator:
        """Makes the estimator."""


@dataclasses.dataclass(frozen=True)
class SpectraShard:
    """A shard of spectra.

    Attributes:
      spec: which skies of the set, counted from its first one, and where.
      skies: the set.
      digest: of the estimator.
      rdn0: simulated skies that each one is paired with.
    """

    spec: ShardSpec
    skies: SkySet
    digest: str
    rdn0: int

    @property
    def path(self) -> str:
        """The file of spectra, of a name that does not say how many others there are.

        So a command that is asked for more skies finds the ones there were.
        """
        folder = self.spec.path.rpartition("/")[0]
        return f"{folder}/{self.skies.name}-{self.spec.start:06}-{self.spec.stop:06}.npy"

    @property
    def seal_path(self) -> str:
        """The file that holds its checksum."""
        return f"{self.path}.crc32c"

    @property
    def fingerprint(self) -> str:
        """Hash of all that the spectra are a function of, and of nothing else."""
        skies = dataclasses.asdict(self.skies)
        return strict_json.digest([_FORMAT, self.spec.fingerprint, skies, self.digest, self.rdn0])


Write = Callable[[ShardSpec, Callable[[int], object]], ShardResult]
Executor = Callable[[Write, Sequence[SplitPlan]], ShardSummary]
"""Applies a function to all shards of the plans, wherever it likes."""


def locally(write: Write, plans: Sequence[SplitPlan]) -> ShardSummary:
    """Works on this machine's cores; an `Executor`."""
    # A sky's estimates cost far more than the executor reckons a sky with.
    workers = None if WORKERS_VARIABLE in os.environ else len(os.sched_getaffinity(0))
    shards = sum(plan.num_shards for plan in plans)
    if workers is not None:
        workers = min(workers, shards)
    return ShardSummary.of(each_shard(write, plans, workers))


def plan_of(config: LensingConfig, skies: SkySet, number: int, folder: str) -> SplitPlan:
    """Returns the plan of a set's shards.

    Args:
      config: the version.
      skies: the set.
      number: of its skies.
      folder: that the shards go to.
    """
    counts = dict.fromkeys(SPLITS, number)
    config = dataclasses.replace(config, num_examples=counts)
    return SplitPlan(config, skies.split, -(-number // SKIES_A_SHARD), f"{folder}/{skies.name}")


def measure_sets(
    source: EstimatorSource,
    sets: Sequence[tuple[SkySet, int]],
    rdn0: int,
    folder: str,
    execute: Executor = locally,
) -> tuple[dict[SkySet, dict[str, NDArray[np.float64]]], ShardSummary]:
    """Measures sets of skies, or finds them measured.

    Args:
      source: of the estimator.
      sets: each with the number of its skies.
      rdn0: simulated skies that each one is paired with.
      folder: where shards are kept; made if missing.
      execute: does the work.

    Returns:
      For each set the spectra by name, (skies, rings); and what was done.

    Raises:
      LensingError: a file cannot be written, a worker died, or the estimates are not finite.
    """
    if not storage.is_remote(folder):
        storage.make_folder(Path(folder))
    config = source.ensemble.config
    plans = {skies: plan_of(config, skies, number, folder) for skies, number in sets}
    summary = ShardSummary()
    for skies, plan in plans.items():
        write = functools.partial(measure_shard, source, skies, rdn0)
        summary += execute(write, [plan])
    return {skies: _read(source, skies, rdn0, plan) for skies, plan in plans.items()}, summary


def measure_shard(
    source: EstimatorSource,
    skies: SkySet,
    rdn0: int,
    spec: ShardSpec,
    on_examples: Callable[[int], object] | None = None,
) -> ShardResult:
    """Measures the skies of a shard and writes their spectra, or finds them written and intact.

    Args:
      source: of the estimator.
      skies: the set that they are of.
      rdn0: simulated skies that each one is paired with.
      spec: the shard.
      on_examples: called with the number of skies just measured.

    Returns:
      Its size and time.

    Raises:
      LensingError: the file cannot be written, or an estimate is not finite.
    """
    began = time.monotonic()
    shard = SpectraShard(spec, skies, source.digest, rdn0)

    def result(reused: bool) -> ShardResult:
        num_bytes, seconds = storage.size(shard.path) or 0, time.monotonic() - began
        return ShardResult(spec.split, shard.path, spec.num_examples, num_bytes, seconds, reused)

    if damage(shard) is None:
        if on_examples is not None:
            on_examples(spec.num_examples)
        return result(reused=True)
    parts = []
    for part in _spectra(source, rdn0).of_set(skies, spec.start, spec.stop):
        parts.append(part)
        if on_examples is not None:
            on_examples(len(part))
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(parts).astype("<f8"))
    content = buffer.getvalue()
    with storage.writing(shard.path) as file:
        file.write(content)
    write_seal(shard, google_crc32c.value(content), len(content))
    return result(reused=False)


def _read(
    source: EstimatorSource, skies: SkySet, rdn0: int, plan: SplitPlan
) -> dict[str, NDArray[np.float64]]:
    names, config = names_of(source.quadratic), source.ensemble.config
    parts = []
    for spec in plan.shards():
        shard = SpectraShard(spec, skies, source.digest, rdn0)
        if (wrong := damage(shard)) is not None:
            raise LensingError(f"{shard.path} {wrong}: run the same command again")
        with storage.reading(shard.path) as file:
            part = np.load(io.BytesIO(file.read()), allow_pickle=False)
        expected = (spec.num_examples, len(names), Rings(config.sky).num)
        if part.shape != expected:
            raise LensingError(f"{shard.path} has shape {part.shape}, must be {expected}")
        parts.append(part)
    spectra = np.concatenate(parts)
    return {name: spectra[:, i] for i, name in enumerate(names)}


_made: dict[tuple[str, int], SkySpectra] = {}


def _spectra(source: EstimatorSource, rdn0: int) -> SkySpectra:
    """Makes what measures, once a worker process: it gets many shards."""
    key = (source.digest, rdn0)
    if key not in _made:
        _made.clear()
        _made[key] = SkySpectra(source.ensemble, source.estimator(), source.quadratic, rdn0)
    return _made[key]
