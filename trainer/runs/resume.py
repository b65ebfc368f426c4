"""The state in which a run stopped, found and repaired."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import keras

from lensing_tfds.errors import LensingError
from trainer.runs import checkpoints
from trainer.runs.averages import averages_for_weights, swap_averages
from trainer.runs.checkpoints import ALL, BEST, LAST, RUNNING, Record
from trainer.runs.history import HISTORY, Row, read_history
from trainer.runs.plan import Plan
from trainer.runs.run_config import CONFIG, RunConfig, read_config, settings_changed
from trainer.settings.config import TrainerConfig


@dataclasses.dataclass(frozen=True)
class Stopped:
    """A run with at least one whole checkpoint.

    Attributes:
      workdir: the run's folder.
      config: the settings that it was made with.
      name: the checkpoint that it goes on from: that of its latest step.
      record: what that carries.
      best: the row of the epoch whose network is kept as the best one; None where there is none.
      repair: names of a checkpoint and of the one that replaces it, which is missing, damaged or
        older; None where there is nothing to repair.
      faults: a line for each file that is missing, damaged or does not fit, and what becomes of it.
    """

    workdir: Path
    config: RunConfig
    name: str
    record: Record
    best: Row | None
    repair: tuple[str, str] | None
    faults: tuple[str, ...]

    def plan(self, config: TrainerConfig, steps_per_pass: int) -> Plan:
        """Returns the run's plan: its own, or with as many epochs as are asked for now.

        Args:
          config: the settings that are asked for now, with which it may go on.
          steps_per_pass: steps that take each training example once.
        """
        old, done = self.config, self.record.epoch
        if config.epochs is not None:
            return Plan(max(config.epochs, done), steps_per_pass)
        assert config.minutes is not None and old.plan is not None, "what may change is as it was"
        assert old.trainer.minutes is not None
        if config.minutes == old.trainer.minutes:
            return old.plan
        if not done:
            epochs = round(old.plan.epochs * config.minutes / old.trainer.minutes)
            return dataclasses.replace(old.plan, epochs=max(1, epochs))
        mean = sum(row["seconds"] for row in self.record.history if row["epoch"]) / done
        return dataclasses.replace(old.plan, epochs=max(done, int(60 * config.minutes / mean)))

    def restore(self, report: Callable[[str], None]) -> keras.Model:
        """Repairs the checkpoints and loads the network.

        Args:
          report: prints a line.

        Raises:
          LensingError: the network cannot be read, or the folder not be written.
        """
        model = self._load(self.name)
        self._tell(report)
        if self.repair is not None:
            outdated, name = self.repair
            whole, record = model, checkpoints.read_record(self.workdir / name)
            assert record is not None, "a checkpoint that is whole replaces the other"
            if name != self.name:  # of the last epoch's end
                whole = self._load(name)
            with averages_for_weights(whole) if outdated == BEST else nullcontext():
                checkpoints.save(whole, self.workdir / outdated, record)
        return model

    def _load(self, name: str) -> keras.Model:
        """Loads a checkpoint's network, with the weights that training goes on from."""
        model = checkpoints.load(self.workdir / name)
        if name == BEST:
            swap_averages(model)  # which it has for its weights
        return model

    def discard(self, report: Callable[[str], None]) -> None:
        """Removes what a run has kept, which begins again.

        Args:
          report: prints a line.
        """
        self._tell(report)
        for name in (*ALL, HISTORY):
            (self.workdir / name).unlink(missing_ok=True)

    def _tell(self, report: Callable[[str], None]) -> None:
        for fault in self.faults:
            report(fault)


def stopped_run(workdir: Path) -> Stopped | None:
    """Finds what a run goes on from: the checkpoint of its latest step that is whole.

    Args:
      workdir: the run's folder.

    Returns:
      The run; None where nothing is kept.

    Raises:
      LensingError: all checkpoints are damaged, or they are of different runs; or a folder has the
        name of a file.
    """
    for name in (*ALL, CONFIG, HISTORY):
        if (workdir / name).is_dir():
            raise LensingError(f"{workdir / name} is a folder, where a file belongs: move it away")
    records = checkpoints.read_whole_records(workdir)
    if not records:
        if there := [name for name in ALL if (workdir / name).exists()]:
            raise LensingError(
                f"no checkpoint in {workdir} is whole: restore {' or '.join(there)}, or delete the "
                "folder and train again"
            )
        return None
    name, record = max(records.items(), key=lambda item: _place(item[1]))
    for other in records.values():
        if changed := settings_changed(other.config, record.config):
            raise LensingError(
                f"checkpoints in {workdir} are of different runs ({changed}): delete the one "
                "that you do not want"
            )
    checkpoints.refuse_other_epochs(workdir, records)
    config = RunConfig.from_json(record.config)
    ended = {name: record for name, record in records.items() if name != RUNNING}
    return Stopped(
        workdir,
        config,
        name,
        record,
        best=_best(ended),
        repair=_repair(ended),
        faults=tuple(
            f"{workdir / file} is {fault}"
            for file, fault in (
                *_checkpoint_faults(workdir, records, name),
                *_other_faults(workdir, config, record),
            )
        ),
    )


def _place(record: Record) -> tuple[int, int]:
    """The epochs and steps after which a checkpoint was kept."""
    return record.epoch, 0 if record.running is None else record.running.steps


def _best(ended: Mapping[str, Record]) -> Row | None:
    """The row of the best network, or of the one that is to replace it."""
    record = ended.get(LAST if _repair(ended) == (BEST, LAST) else BEST)
    return record.history[-1] if record is not None and record.history else None


def _repair(ended: Mapping[str, Record]) -> tuple[str, str] | None:
    """Names a checkpoint of a finished epoch and the one of a later epoch that replaces it."""
    if BEST in ended and (LAST not in ended or ended[LAST].epoch < ended[BEST].epoch):
        return LAST, BEST
    if LAST in ended and (BEST not in ended or _is_outdated(ended[BEST], ended[LAST])):
        return BEST, LAST
    return None


def _is_outdated(best: Record, last: Record) -> bool:
    """Says whether a later epoch's network is better than the best one, which is written first."""
    return last.history[-1]["val_loss"] < best.history[-1]["val_loss"]


def _checkpoint_faults(
    workdir: Path, records: Mapping[str, Record], name: str
) -> list[tuple[str, str]]:
    """Names each checkpoint that is not whole, with what is wrong and what becomes of it."""
    record, faults = records[name], []
    after = f"after {place(record)}"
    if RUNNING not in records and (workdir / RUNNING).exists():
        faults.append((RUNNING, f"{_state(workdir / RUNNING)}: going on from {name}, {after}"))
    if not record.history:  # no epoch is finished
        return faults
    if LAST not in records:
        faults.append((LAST, f"{_state(workdir / LAST)}: going on from {name}, {after}"))
    if BEST not in records:
        lost = min(record.history, key=lambda row: row["val_loss"])["epoch"]
        if LAST not in records:
            consequence = f"the network of epoch {lost:.0f} is lost, and the next one replaces it"
        elif lost == records[LAST].epoch:
            consequence = f"{LAST}, of the same epoch, replaces it"
        else:
            consequence = (
                f"the network of epoch {lost:.0f} is lost, and that of epoch "
                f"{records[LAST].epoch} replaces it until a later one has a lower loss"
            )
        faults.append((BEST, f"{_state(workdir / BEST)}: {consequence}"))
    elif LAST in records and _is_outdated(records[BEST], records[LAST]):
        outdated = f"of epoch {records[BEST].epoch}, and epoch {records[LAST].epoch} is better"
        faults.append((BEST, f"{outdated}: {LAST} replaces it"))
    return faults


def place(record: Record) -> str:
    """Says after which epoch and step a checkpoint was kept."""
    if record.running is None:
        return f"epoch {record.epoch}"
    return f"step {record.running.steps} of epoch {record.epoch + 1}"


def _other_faults(workdir: Path, config: RunConfig, record: Record) -> list[tuple[str, str]]:
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
        if record.history or (workdir / HISTORY).exists():
            read_history(workdir / HISTORY)
    except LensingError:
        faults.append((HISTORY, f"{_state(workdir / HISTORY)}: it is written again"))
    return faults


def _state(path: Path) -> str:
    return "damaged" if path.exists() else "missing"
