"""`lensing/v8` -> an opened dataset, built first if it is one of the versions."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from lensing_tfds.command_line import build_command
from lensing_tfds.config_differences import differences
from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.records.building import build
from lensing_tfds.records.stored_config import default_data_dir
from lensing_tfds.records.stored_dataset import (
    PREPARED,
    StoredDataset,
    read_dataset,
    refuse_damaged,
    unreadable,
)
from lensing_tfds.versions import VERSIONS, dataset_name

_VERSION = re.compile(r"\d+\.\d+\.\d+")  # of data, as a folder is named by it


def absolute_data_dir(data_dir: str | os.PathLike[str] | None) -> str:
    """The folder that holds the folder `lensing`; None is TFDS's own default.

    Raises:
      LensingError: it is in a bucket that cannot be reached, or is no path.
    """
    data_dir = storage.folder_name(data_dir or default_data_dir())
    storage.require_reachable(data_dir)
    return data_dir if storage.is_remote(data_dir) else str(Path(data_dir).absolute())


def find_config(dataset: str, data_dir: str) -> LensingConfig:
    """The config that a dataset has, or will have once it is built.

    Args:
      dataset: "lensing/<config>".
      data_dir: the folder that holds the folder `lensing`.

    Raises:
      LensingError: the dataset is unknown, or is a custom config that was not built.
    """
    name = dataset_name(dataset)
    if name in VERSIONS:
        return VERSIONS[name]
    fields = f'{{"name": "{name}", "npix": ..., "lx": ...}}'  # the others are not known
    return _open_custom(name, data_dir, build_command(fields, data_dir)).config


def open_dataset(
    config: LensingConfig, data_dir: str, report: Callable[[str], None] = print
) -> StoredDataset:
    """Opens a dataset, building one of the versions if it is not there.

    Args:
      config: the dataset's own.
      data_dir: the folder that holds the folder `lensing`.
      report: prints a line.

    Raises:
      LensingError: the dataset is a custom config that was not built, or cannot be written; or
        the folder holds another config under a version's name.
    """
    if config.name not in VERSIONS:
        return _open_custom(config.name, data_dir, build_command(config, data_dir))
    folder = f"{data_dir}/lensing/{config.name}/{DATASET_VERSION}"
    if storage.size(f"{folder}/{PREPARED}") is None:
        _build(config, data_dir, report)
    return read_dataset(folder)


def _build(config: LensingConfig, data_dir: str, report: Callable[[str], None]) -> None:
    report(f"lensing/{config.name} is not in {data_dir} yet: building it, once")
    summary = build(config, data_dir)
    report(f"lensing/{config.name}: {summary.total}")


def refuse_another(
    stored: StoredDataset,
    config: LensingConfig,
    version: str,
    known_as: str = "what the run was trained on",
) -> None:
    """Refuses a dataset that holds other examples than a run was made with.

    Args:
      stored: the dataset.
      config: the one that it should have.
      version: of its data.
      known_as: how the message calls the right dataset.

    Raises:
      LensingError: the message names what differs.
    """
    here = stored.config.to_json() | {"dataset_version": stored.version}
    changed = differences(config.to_json() | {"dataset_version": version}, here)
    if changed:
        raise LensingError(f"{stored.data_path} is not {known_as}: {changed}")


def open_built(name: str, data_dir: str) -> StoredDataset:
    """Opens a dataset that is built, version or custom config, in its newest data version.

    Args:
      name: the config's.
      data_dir: the folder that holds the folder `lensing`.

    Raises:
      LensingError: it is not there, its build was not finished, or it is damaged.
    """
    return read_dataset(built_folder(name, data_dir))


def built_folder(name: str, data_dir: str) -> str:
    """Returns the folder of a dataset that is built, in its newest data version.

    Args:
      name: the config's.
      data_dir: the folder that holds the folder `lensing`.

    Raises:
      LensingError: it is not there, its build was not finished, or its folder cannot be read.
    """
    folder = f"{data_dir.rstrip('/')}/lensing/{name}"
    versions = sorted(filter(_VERSION.fullmatch, storage.folders(folder)), key=_numbers)
    built = [v for v in versions if storage.size(f"{folder}/{v}/{PREPARED}") is not None]
    if built:
        return f"{folder}/{built[-1]}"
    fields = f'{{"name": "{name}", "npix": ..., "lx": ...}}'
    command = build_command(VERSIONS.get(name, fields), data_dir)
    if versions:
        raise LensingError(
            f"the build of lensing/{name} in {folder}/{versions[-1]} was not finished: "
            "the command that began it goes on with it"
        )
    raise LensingError(f"lensing/{name} is not in {data_dir}; build it with: {command}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@contextlib.contextmanager
def opening(folder: str) -> Iterator[None]:
    """Lets a builder be made of a dataset's own files, if these are intact and agree.

    Args:
      folder: of the dataset, with its data version.

    Raises:
      LensingError: a file other than shards is damaged, or the dataset is not the folder's.
    """
    refuse_damaged(folder)
    try:
        yield
    except LensingError:
        raise
    except Exception as error:  # TFDS has many, for files that have no checksums yet
        raise unreadable(folder, error) from error
    read_dataset(folder)


def _open_custom(name: str, data_dir: str, command: str) -> StoredDataset:
    if not storage.folders(f"{data_dir}/lensing/{name}"):
        raise LensingError(
            f"lensing/{name} is neither a version ({', '.join(VERSIONS)}) nor a custom config in "
            f"{data_dir}; build it with: {command}"
        )
    return open_built(name, data_dir)
