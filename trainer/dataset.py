"""`lensing/v8` -> an opened dataset, built first if it is one of the versions."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from lensing_tfds.configs import VERSIONS, LensingConfig, LensingError
from trainer.config import dataset_name


def absolute_data_dir(data_dir: str | None) -> str:
    """The folder that holds the folder `lensing`; None is TFDS's own default."""
    data_dir = data_dir or tfds.core.constants.DATA_DIR
    is_bucket = "://" in data_dir
    return data_dir if is_bucket else str(Path(data_dir).expanduser().absolute())


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
    return stored_config(_open_custom(name, data_dir))


def stored_config(builder: tfds.core.DatasetBuilder) -> LensingConfig:
    """The config that a dataset was built from, as its own metadata says.

    Raises:
      LensingError: the dataset was not built by `lensing_tfds`.
    """
    config = (builder.info.metadata or {}).get("config")
    if config is None:
        raise LensingError(f"{builder.data_path} holds no lensing config in its metadata.json")
    return LensingConfig.from_json(config)


def build_command(builder: tfds.core.DatasetBuilder) -> str:
    """The shell command that builds a dataset as it was built."""
    config = stored_config(builder)
    name = config.name if config.name in VERSIONS else json.dumps(config.to_json())
    data_dir = builder.data_path.parent.parent.parent
    return (
        f"tfds build lensing_tfds --config {shlex.quote(name)} "
        f"--data_dir {shlex.quote(str(data_dir))}"
    )


def open_dataset(
    dataset: str, data_dir: str, report: Callable[[str], None] = print
) -> tfds.core.DatasetBuilder:
    """Opens a dataset, building one of the versions if it is not there.

    Args:
      dataset: "lensing/<config>".
      data_dir: the folder that holds the folder `lensing`.
      report: prints a line.

    Raises:
      LensingError: the dataset is unknown, is a custom config that was not built, or cannot be
        written; or the folder holds another config under a version's name.
    """
    name = dataset_name(dataset)
    if name not in VERSIONS:
        return _open_custom(name, data_dir)
    builder = tfds.builder(dataset, data_dir=data_dir)
    if not builder.is_prepared():
        report(f"{dataset} is not in {data_dir} yet: building it, once")
    builder.download_and_prepare()
    return builder


def _open_custom(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    folder = epath.Path(data_dir) / "lensing" / name
    versions = tfds.core.utils.version.list_all_versions(folder)
    if not versions:
        config = f'{{"name": "{name}", "npix": 50, "lx": 20.0, "kappa_lmax": 500}}'
        raise LensingError(
            f"lensing/{name} is neither a version ({', '.join(VERSIONS)}) nor a custom config in "
            f"{data_dir}; build it from its fields, as with: tfds build lensing_tfds "
            f"--config {shlex.quote(config)} --data_dir {shlex.quote(data_dir)}"
        )
    return tfds.builder_from_directory(folder / str(versions[-1]))
