"""Checkpoints: a network with its run's settings and the epochs so far, in one sealed file.

A `.keras` file is a zip archive, to which a member and a seal are added:

    run.json       {"config": as config.json, "history": the rows of history.csv,
                    "uncertainty": of the network's estimates, null where it was not measured,
                    "running": the epoch that was running, or null,
                    "lensing_tfds_version": the release that wrote it}
    the comment    SHA-256 of all bytes before it, by which any damage is noticed

`keras.saving.load_model` reads such a file as any other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import tempfile
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing
from lensing_tfds.release import stamped
from trainer.runs.history import HISTORY, Row, last_epoch, read_history
from trainer.runs.run_config import TRAIN_AGAIN

if TYPE_CHECKING:
    import keras

# Of those of one epoch the first is gone on from: the best may hold averages of the weights.
LAST, BEST, RUNNING = ALL = ("last.keras", "best.keras", "running.keras")

_MEMBER = "run.json"
_SEAL_BYTES = 2 * hashlib.sha256().digest_size  # in hexadecimal digits
_BLOCK_BYTES = 2**20
_MOST_LETTERS = 200  # of what Keras says, which may end with the whole network


@dataclasses.dataclass(frozen=True)
class Running:
    """The epoch that was running when a checkpoint was written.

    Attributes:
      steps: of it that were done.
      metrics: what each variable of the network's metrics had counted in them, in their order.
      seconds: that they took.
    """

    steps: int
    metrics: tuple[float, ...]
    seconds: float


@dataclasses.dataclass(frozen=True)
class Record:
    """The run and the epochs that a checkpoint is of.

    Attributes:
      config: the run's settings, as config.json has them.
      history: the rows of the finished epochs, the checkpoint's own last.
      uncertainty: of the estimates of the checkpoint's network, as `Uncertainty.to_json` gives it;
        None where it was not measured.
      running: the epoch after them, in which the network was kept; None for one kept at their end.
    """

    config: dict[str, Any]
    history: tuple[Row, ...]
    uncertainty: dict[str, Any] | None = None
    running: Running | None = None

    @property
    def epoch(self) -> int:
        """The last finished epoch, counted from 1; 0 before the first."""
        return last_epoch(self.history)


def save(model: keras.Model, path: Path, record: Record) -> None:
    """Writes a checkpoint, whole or not at all.

    Raises:
      LensingError: it cannot be written.
    """
    with replacing(path) as temporary:
        model.save(temporary)
        _seal(temporary, record)


def rewrite_record(path: Path, record: Record) -> None:
    """Replaces the record in a checkpoint, whole or not at all; its network stays, bit for bit.

    Raises:
      LensingError: the file is damaged, or cannot be written.
    """
    _refuse_damaged(path)
    with replacing(path) as temporary:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(temporary, "w") as archive:
            for member in source.infolist():
                if member.filename != _MEMBER:
                    archive.writestr(member, source.read(member))
        _seal(temporary, record)


def _seal(path: Path, record: Record) -> None:
    """Adds the record and the seal to a model's file."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_MEMBER, json.dumps(stamped(dataclasses.asdict(record))))
        archive.comment = b"0" * _SEAL_BYTES
    seal = _digest(path)
    with path.open("r+b") as file:
        file.seek(-_SEAL_BYTES, 2)
        file.write(seal)


def read_record(path: Path) -> Record | None:
    """Reads the record in a checkpoint; None where there is no file.

    Raises:
      LensingError: the file is damaged, or was not written by `save`.
    """
    if not path.exists():
        return None
    _refuse_damaged(path)
    with zipfile.ZipFile(path) as archive:
        values = json.loads(archive.read(_MEMBER))
    # Checkpoints of earlier releases name neither uncertainty nor running epoch.
    running = values.get("running")
    if running is not None:
        running = Running(running["steps"], tuple(running["metrics"]), running["seconds"])
    history, uncertainty = tuple(values["history"]), values.get("uncertainty")
    return Record(values["config"], history, uncertainty, running)


def read_whole_record(path: Path) -> Record | None:
    """Reads the record in a checkpoint; None where there is no file, or a damaged one."""
    try:
        return read_record(path)
    except LensingError:
        return None


def read_whole_records(workdir: Path) -> dict[str, Record]:
    """Reads the records of a run's checkpoints that are there and whole, by their names."""
    found = {name: read_whole_record(workdir / name) for name in ALL}
    return {name: record for name, record in found.items() if record is not None}


def refuse_other_epochs(workdir: Path, records: Mapping[str, Record]) -> None:
    """Makes sure that the epochs of all checkpoints are those of one run.

    Two runs of the same settings, as on a GPU that sums in any order, differ in their losses.

    Args:
      workdir: the run's folder.
      records: of its checkpoints, by their names.

    Raises:
      LensingError: an epoch that two of them have had other losses.
    """
    longest = max(records, key=lambda name: len(records[name].history), default="")
    for name, record in records.items():
        for ours, theirs in zip(record.history, records[longest].history, strict=False):
            for column in ("epoch", "loss", "val_loss"):
                one, other = ours[column], theirs[column]
                if one != other and not math.isnan(one + other):  # of epoch 0
                    raise LensingError(
                        f"{workdir / name} and {longest} are of different runs: epoch "
                        f"{ours['epoch']:.0f} has {column} {one:.6g} in the one and {other:.6g} "
                        "in the other; delete the one that you do not want"
                    )


def read_epochs(workdir: Path) -> list[Row]:
    """Reads the rows of a run's finished epochs, from what a kill between two writes left newest.

    They are those of the latest whole checkpoint; without a whole last.keras, history.csv may
    have more.

    Raises:
      LensingError: the files that are there are damaged.
    """
    last, best = (read_whole_record(workdir / name) for name in (LAST, BEST))
    histories = [list(record.history) for record in (last, best) if record is not None]
    kept = max(histories, key=len, default=[])
    if last is not None:
        return kept
    if (workdir / HISTORY).exists():
        return max(read_history(workdir / HISTORY), kept, key=len)
    read_record(workdir / LAST)  # it may be damaged: then it is named
    read_record(workdir / BEST)
    return kept


def load(path: Path, compile: bool = True) -> keras.Model:
    """Reads a checkpoint's network.

    Args:
      path: a file that exists.
      compile: whether its optimizer is wanted too.

    Raises:
      LensingError: the file is damaged, was not written by `save`, or was written by a version of
        Keras that this one cannot read.
    """
    import keras

    from trainer.networks.settings import keras_settings

    _refuse_damaged(path)
    try:
        with keras_settings():
            return keras.saving.load_model(path, compile=compile)
    except (ValueError, TypeError, OSError, KeyError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # h5py's own have none
            raise LensingError(
                f"cannot read {path}: {error.strerror} (Keras unpacks it in "
                f"{tempfile.gettempdir()})"
            ) from error
        reason = textwrap.shorten(str(error), _MOST_LETTERS, placeholder=" ...")
        raise LensingError(
            f"{path} is whole, but Keras {keras.__version__} cannot read it ({reason}): read it "
            "with the version that trained it, or train again in another folder"
        ) from error


def _refuse_damaged(path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.seek(-min(_SEAL_BYTES, path.stat().st_size), 2)
            sealed = file.read() == _digest(path)
    except OSError as error:
        raise LensingError(f"cannot read {path}: {error.strerror}") from error
    if not sealed:
        raise LensingError(
            f"{path} is damaged, or was not written by this version of the trainer: {TRAIN_AGAIN}"
        )


def _digest(path: Path) -> bytes:
    """SHA-256 of all of a file but the seal, in hexadecimal."""
    digest, left = hashlib.sha256(), path.stat().st_size - _SEAL_BYTES
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, _BLOCK_BYTES))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest().encode()
