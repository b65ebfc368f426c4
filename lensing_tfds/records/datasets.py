"""`lensing/v8` -> an opened dataset, built first if it is one of the versions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from lensing_tfds.command_line import build_command
from lensing_tfds.configs import LensingConfig, differences
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.records.shards import SplitPlan
from lensing_tfds.versions import VERSIONS, dataset_name


def absolute_data_dir(data_dir: str | None) -> str:
    """The folder that holds the folder `lensing`; None is TFDS's own default."""
    data_dir = storage.expanded(data_dir or str(tfds.core.constants.DATA_DIR))
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
      LensingError: the dataset was not built by `lensing_tfds`.
    """
    config = (builder.info.metadata or {}).get("config")
    if config is None:
        raise LensingError(f"{builder.data_path} holds no lensing config in its metadata.json")
    return LensingConfig.from_json(config)


def split_plans(builder: tfds.core.DatasetBuilder) -> list[SplitPlan]:
    """How a built dataset is cut into shards, and which examples each must have.

    Raises:
      LensingError: the two files that say how many examples there are do not agree.
    """
    config = stored_config(builder)
    plans = []
    for name, split in builder.info.splits.items():
        prefix = str(split.filepaths[0]).rpartition("-00000-of-")[0]
        plan = SplitPlan(config, name, split.num_shards, prefix)
        if list(split.shard_lengths) != plan.shard_lengths:
            raise LensingError(
                f"{builder.data_path}: dataset_info.json has {split.num_examples:,} {name} "
                f"examples in shards of other lengths than the {plan.num_examples:,} of "
                f"metadata.json; to write both again: {rebuild_command(builder)}"
            )
        plans.append(plan)
    return plans


def rebuild_command(builder: tfds.core.DatasetBuilder) -> str:
    """The shell command that mends a built dataset."""
    # Not data_dir_root, which is another one for a dataset opened from its folder.
    return build_command(stored_config(builder), str(builder.data_path.parent.parent.parent))


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
    builder = tfds.builder("lensing", config=config, data_dir=data_dir)
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
      LensingError: it is not there, or its build was not finished.
    """
    folder = epath.Path(data_dir) / "lensing" / name
    versions = tfds.core.utils.version.list_all_versions(folder)
    built = [v for v in versions if (folder / str(v) / "dataset_info.json").exists()]
    if built:
        return tfds.builder_from_directory(folder / str(built[-1]))
    if versions:
        raise LensingError(
            f"the build of lensing/{name} in {folder / str(versions[-1])} was not finished: "
            "the command that began it goes on with it"
        )
    fields = f'{{"name": "{name}", "npix": ..., "lx": ...}}'
    command = build_command(VERSIONS.get(name, fields), data_dir)
    raise LensingError(f"lensing/{name} is not in {data_dir}; build it with: {command}")


def _open_custom(name: str, data_dir: str, command: str) -> tfds.core.DatasetBuilder:
    if not (epath.Path(data_dir) / "lensing" / name).exists():
        raise LensingError(
            f"lensing/{name} is neither a version ({', '.join(VERSIONS)}) nor a custom config in "
            f"{data_dir}; build it with: {command}"
        )
    return open_built(name, data_dir)
