"""The state in which a run stopped, found and repaired."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import keras

from lensing_tfds.errors import LensingError
from trainer.loop.averages import averages_for_weights, swap_averages
from trainer.runs import checkpoints
from trainer.runs.checkpoints import BEST, LAST, Record
from trainer.runs.history import HISTORY, Row, read_history
from trainer.runs.run import CONFIG, RunConfig, read_config, settings_changed


@dataclasses.dataclass(frozen=True)
class Stopped:
    """A run with at least one whole checkpoint.

    Attributes:
      workdir: the run's folder.
      config: the settings that it was made with.
      name: the checkpoint of its latest epoch, best.keras or last.keras.
      record: what that carries.
      best: the row of the epoch whose network is kept as the best one.
      outdated: the checkpoint that this one replaces, if any: missing, damaged or older.
      faults: a line for each file that is missing, damaged or does not fit, and what becomes of it.
    """

    workdir: Path
    config: RunConfig
    name: str
    record: Record
    best: Row
    outdated: str | None
    faults: tuple[str, ...]

    def restore(self, report: Callable[[str], None]) -> keras.Model:
        """Repairs the checkpoints and loads the network.

        Args:
          report: prints a line.

        Raises:
          LensingError: the network cannot be read, or the folder not be written.
        """
        model = checkpoints.load(self.workdir / self.name)
        self._tell(report)
        if self.name == BEST:
            swap_averages(model)  # which it has for its weights
        if self.outdated is not None:
            kept = averages_for_weights(model) if self.outdated == BEST else nullcontext()
            with kept:
                checkpoints.save(model, self.workdir / self.outdated, self.record)
        return model

    def discard(self, report: Callable[[str], None]) -> None:
        """Removes what a run has kept, which begins again.

        Args:
          report: prints a line.
        """
        self._tell(report)
        for name in (LAST, BEST, HISTORY):
            (self.workdir / name).unlink(missing_ok=True)

    def _tell(self, report: Callable[[str], None]) -> None:
        for fault in self.faults:
            report(fault)


def stopped_run(workdir: Path) -> Stopped | None:
    """Finds what a run goes on from: the checkpoint of its latest epoch that is whole.

    Args:
      workdir: the run's folder.

    Returns:
      The run; None where no epoch is finished.

    Raises:
      LensingError: all checkpoints are damaged, or they are of different runs.
    """
    found = {name: checkpoints.read_whole_record(workdir / name) for name in (LAST, BEST)}
    records = {name: record for name, record in found.items() if record is not None}
    if not records:
        if any((workdir / name).exists() for name in found):
            raise LensingError(
                f"no checkpoint in {workdir} is whole: restore {LAST} or {BEST}, or delete the "
                "folder and train again"
            )
        return None
    name, record = max(records.items(), key=lambda item: item[1].epoch)
    for other in records.values():
        if changed := settings_changed(other.config, record.config):
            raise LensingError(
                f"{LAST} and {BEST} in {workdir} are of different runs ({changed}): delete the one "
                "that you do not want"
            )
    config = RunConfig.from_json(record.config)
    return Stopped(
        workdir,
        config,
        name,
        record,
        best=records.get(BEST, record).history[-1],
        outdated=LAST if name == BEST else BEST if BEST not in records else None,
        faults=tuple(
            f"{workdir / file} is {fault}"
            for file, fault in (
                *_checkpoint_faults(workdir, records, record),
                *_other_faults(workdir, config),
            )
        ),
    )


def _checkpoint_faults(
    workdir: Path, records: Mapping[str, Record], record: Record
) -> list[tuple[str, str]]:
    """Names each checkpoint that is not whole, with what is wrong and what becomes of it."""
    faults = []
    if LAST not in records:
        state = _state(workdir / LAST)
        faults.append((LAST, f"{state}: going on from {BEST}, after epoch {record.epoch}"))
    if BEST not in records:
        lost = min(record.history, key=lambda row: row["val_loss"])["epoch"]
        consequence = (
            f"{LAST}, of the same epoch, replaces it"
            if lost == record.epoch
            else f"the network of epoch {lost:.0f} is lost, and that of epoch {record.epoch} "
            "replaces it until a later one has a lower loss"
        )
        faults.append((BEST, f"{_state(workdir / BEST)}: {consequence}"))
    return faults


def _other_faults(workdir: Path, config: RunConfig) -> list[tuple[str, str]]:
    faults = []
    try:
        found = read_config(workdir)
        changed = found is not None and settings_changed(found.to_json(), config.to_json())
        if found is None or changed:
            fault = "missing" if found is None else f"not the checkpoints' ({changed})"
            faults.append((CONFIG, f"{fault}: it is written again"))
    except LensingError:
        faults.append((CONFIG, "damaged: it is written again"))
    try:
        read_history(workdir / HISTORY)
    except LensingError:
        faults.append((HISTORY, f"{_state(workdir / HISTORY)}: it is written again"))
    return faults


def _state(path: Path) -> str:
    return "damaged" if path.exists() else "missing"
