"""`lensing/v8` -> an opened dataset, built first if it is one of the versions."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from etils import epath

from lensing_tfds import strict_json
from lensing_tfds.command_line import build_command
from lensing_tfds.configs import DATASET_VERSION, SPLITS, LensingConfig, differences
from lensing_tfds.errors import LensingError
from lensing_tfds.records import seals, storage
from lensing_tfds.records.shards import SplitPlan, read_seal
from lensing_tfds.records.stored_config import refuse_misplaced
from lensing_tfds.task import Task
from lensing_tfds.versions import VERSIONS, dataset_name

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

PREPARED = "dataset_info.json"
"""Name of the file that TFDS knows a prepared dataset by."""

METADATA = "metadata.json"
"""Name of the file that holds a dataset's config."""


def _tfds() -> ModuleType:
    """TFDS; not imported with this module, which the builder that its import registers needs."""
    import tensorflow_datasets

    return tensorflow_datasets


def absolute_data_dir(data_dir: str | os.PathLike[str] | None) -> str:
    """The folder that holds the folder `lensing`; None is TFDS's own default.

    Raises:
      LensingError: it is in a bucket that cannot be reached, or is no path.
    """
    if data_dir is None or data_dir == "":
        data_dir = str(_tfds().core.constants.DATA_DIR)
    data_dir = storage.folder_name(data_dir)
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
    return stored_config(_open_custom(name, data_dir, build_command(fields, data_dir)))


def stored_config(builder: tfds.core.DatasetBuilder) -> LensingConfig:
    """The config that a dataset was built from, as its own metadata says.

    Raises:
      LensingError: the dataset was not built by `lensing_tfds`, or lies in another's folder.
    """
    try:
        config = (builder.info.metadata or {}).get("config")
    except ValueError as error:
        raise LensingError(
            f"{builder.data_path}/metadata.json is damaged ({error}); to write it again: "
            f"{mending_command(str(builder.data_path))}"
        ) from error
    if config is None:
        raise LensingError(f"{builder.data_path} holds no lensing config in its metadata.json")
    stored = LensingConfig.from_json(config)
    refuse_misplaced(stored, str(builder.data_path))
    return stored


def task_of(builder: tfds.core.DatasetBuilder) -> Task:
    """The task that a dataset was made for.

    Raises:
      LensingError: the dataset was not built by `lensing_tfds`.
    """
    return Task(stored_config(builder), str(builder.version))


def split_plans(builder: tfds.core.DatasetBuilder) -> list[SplitPlan]:
    """Returns a built dataset's shards, and the examples that each must have.

    Raises:
      LensingError: the two files that say how many examples there are do not agree.
    """
    config = stored_config(builder)
    if set(builder.info.splits) != set(SPLITS):
        raise _unreadable(
            str(builder.data_path), f"splits: {', '.join(builder.info.splits) or 'none'}"
        )
    plans = []
    for name, split in builder.info.splits.items():
        prefix = str(split.filepaths[0]).rpartition("-00000-of-")[0]
        plan = SplitPlan(config, name, split.num_shards, prefix)
        if list(split.shard_lengths) != plan.shard_lengths:
            raise LensingError(
                f"{builder.data_path}: dataset_info.json has {split.num_examples:,} {name} "
                f"examples in shards of other lengths than the {plan.num_examples:,} of "
                f"metadata.json; to write both again: {mending_command(str(builder.data_path))}"
            )
        plans.append(plan)
    return plans


def open_dataset(
    config: LensingConfig, data_dir: str, report: Callable[[str], None] = print
) -> tfds.core.DatasetBuilder:
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
    builder = _tfds().builder("lensing", config=config, data_dir=data_dir)
    if not builder.is_prepared():
        report(f"lensing/{config.name} is not in {data_dir} yet: building it, once")
    builder.download_and_prepare()
    return builder


def refuse_another(
    builder: tfds.core.DatasetBuilder,
    config: LensingConfig,
    version: str,
    known_as: str = "what the run was trained on",
) -> None:
    """Refuses a dataset that holds other examples than a run was made with.

    Args:
      builder: the dataset.
      config: the one that it should have.
      version: of its data.
      known_as: how the message calls the right dataset.

    Raises:
      LensingError: the message names what differs.
    """
    here = stored_config(builder).to_json() | {"dataset_version": str(builder.version)}
    changed = differences(config.to_json() | {"dataset_version": version}, here)
    if changed:
        raise LensingError(f"{builder.data_path} is not {known_as}: {changed}")


def open_built(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    """Opens a dataset that is built, version or custom config, in its newest data version.

    Args:
      name: the config's.
      data_dir: the folder that holds the folder `lensing`.

    Raises:
      LensingError: it is not there, its build was not finished, or it is damaged.
    """
    return open_folder(built_folder(name, data_dir))


def built_folder(name: str, data_dir: str) -> str:
    """Returns the folder of a dataset that is built, in its newest data version.

    Args:
      name: the config's.
      data_dir: the folder that holds the folder `lensing`.

    Raises:
      LensingError: it is not there, its build was not finished, or its folder cannot be read.
    """
    folder = epath.Path(data_dir) / "lensing" / name
    storage.sizes(str(folder))  # TFDS takes a folder that may not be read for an empty one
    versions = _tfds().core.utils.version.list_all_versions(folder)
    built = [v for v in versions if storage.size(f"{folder / str(v)}/{PREPARED}") is not None]
    if built:
        return str(folder / str(built[-1]))
    fields = f'{{"name": "{name}", "npix": ..., "lx": ...}}'
    command = build_command(VERSIONS.get(name, fields), data_dir)
    if versions:
        raise LensingError(
            f"the build of lensing/{name} in {folder / str(versions[-1])} was not finished: "
            "the command that began it goes on with it"
        )
    raise LensingError(f"lensing/{name} is not in {data_dir}; build it with: {command}")


def open_folder(folder: str) -> tfds.core.DatasetBuilder:
    """Opens a built dataset from its own files, once these are found to be intact.

    Args:
      folder: of the dataset, with its data version.

    Raises:
      LensingError: one of its files other than shards is damaged; the message names it.
    """
    return _tfds().builder_from_directory(folder)  # guarded by `opening`


@contextlib.contextmanager
def opening(builder: tfds.core.DatasetBuilder, folder: str) -> Iterator[None]:
    """Lets a builder be made of a dataset's own files, if these are intact and agree.

    Args:
      builder: the one that is made of them in the block.
      folder: of the dataset, with its data version.

    Raises:
      LensingError: a file other than shards is damaged, or the dataset is not the folder's.
    """
    refuse_damaged(folder)
    try:
        yield
        require_agreement(builder)
    except LensingError:
        raise
    except Exception as error:  # TFDS has many, for files that have no checksums yet
        raise _unreadable(folder, error) from error


def _unreadable(folder: str, reason: object) -> LensingError:
    line = (str(reason).strip() or type(reason).__name__).splitlines()[0]
    return LensingError(
        f"{folder}: dataset_info.json, features.json or metadata.json is damaged ({line}); "
        f"to write them again: {mending_command(folder)}"
    )


def require_agreement(builder: tfds.core.DatasetBuilder) -> None:
    """Compares what the files of a dataset say of it, and its folder's name, with its config.

    Raises:
      LensingError: they do not agree, or the dataset lies in another's folder.
    """
    config, folder = stored_config(builder), str(builder.data_path)
    split_plans(builder)
    _, family, _, version = f"/{folder}".rstrip("/").rsplit("/", 3)
    if str(builder.version) != version:
        raise LensingError(
            f"{folder} holds data version {builder.version}, by its {PREPARED}: it is known by its "
            "folder's name; rename that"
        )
    if version != DATASET_VERSION:
        return  # what its files said is not known here
    info, npix = builder.info, config.npix
    maps = {name: ((npix, npix, n), "float32") for name, n in config.map_features.items()}
    counts = {name: split.num_shards for name, split in info.splits.items()}
    pairs = {
        "name": (f"{info.name}/{builder.builder_config.name}", f"{family}/{config.name}"),
        "features": (
            {name: (f.shape, np.dtype(f.np_dtype).name) for name, f in info.features.items()},
            maps | {"index": ((), "int64")},
        ),
        "supervised keys": (info.supervised_keys, ("lensed", "kappa")),
        "num_shards": (info.metadata.get("num_shards", counts), counts),
    }
    for what, (found, implied) in pairs.items():
        if found != implied:
            raise _unreadable(folder, f"{what}: {found} in place of {implied}")


def refuse_damaged(folder: str) -> None:
    """Compares the files of a dataset, but for its shards, with their checksums.

    Raises:
      LensingError: one is damaged or missing; the message names it, and says what mends it.
    """
    found = seals.faults(folder)
    for name, fault in found.items():
        raise LensingError(
            f"{folder}/{name} {fault}; to write it again (intact shards are kept): "
            f"{mending_command(folder)}"
        )


def mending_command(folder: str) -> str:
    """The shell command that writes again what is damaged in a dataset.

    Args:
      folder: of the dataset, with its data version.
    """
    path = epath.Path(folder)
    name, data_dir = path.parent.name, str(path.parent.parent.parent)
    config: LensingConfig | str = f'{{"name": "{name}", "npix": ..., "lx": ...}}'
    if name in VERSIONS:
        config = VERSIONS[name]
    elif not {seals.FILE, METADATA} & seals.faults(folder).keys() or _is_of_shards(folder):
        with contextlib.suppress(LensingError, KeyError):
            config = LensingConfig.from_json(strict_json.read(f"{folder}/{METADATA}")["config"])
    return build_command(config, data_dir)


def _is_of_shards(folder: str) -> bool:
    """Whether a config that no checksum vouches for is the one that the first shard has."""
    shard = re.compile(rf"(.+-(\w+)\.tfrecord)-(\d+)-of-(\d+){re.escape(seals.SHARD_SEAL)}")
    with contextlib.suppress(LensingError, KeyError, seals.DamagedSealError):
        config = LensingConfig.from_json(strict_json.read(f"{folder}/{METADATA}")["config"])
        for match in filter(None, map(shard.fullmatch, sorted(storage.sizes(folder)))):
            prefix, split, number, count = match.groups()
            spec = SplitPlan(config, split, int(count), f"{folder}/{prefix}").shard(int(number))
            seal = read_seal(spec)
            return seal is not None and seal["fingerprint"] == spec.fingerprint
    return False


def _open_custom(name: str, data_dir: str, command: str) -> tfds.core.DatasetBuilder:
    folder = epath.Path(data_dir) / "lensing" / name
    storage.sizes(str(folder))  # or it says that it may not be read
    if not folder.exists():
        raise LensingError(
            f"lensing/{name} is neither a version ({', '.join(VERSIONS)}) nor a custom config in "
            f"{data_dir}; build it with: {command}"
        )
    return open_built(name, data_dir)
