"""The config of a dataset that was built, read from its folder without TFDS."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from lensing_tfds import strict_json
from lensing_tfds.config_differences import differences
from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.versions import VERSIONS, config_name, get_config, is_json


def meant_config(
    config: str | Mapping[str, Any] | LensingConfig,
    data_dir: str | os.PathLike[str] | None = None,
) -> tuple[LensingConfig, str | None]:
    """Returns the config that somebody means.

    Args:
      config: a version's name, as "v8" or "lensing/v8"; a JSON mapping; a `LensingConfig`; or the
        name of a dataset that was built of a config of somebody's own, as "wide" or "lensing/wide".
      data_dir: where such a dataset was built, the folder that holds the folder `lensing`; None is
        TFDS's default.

    Returns:
      The config, and the folder of such a dataset, which has the table of a cosmology of its own;
      None for the others.

    Raises:
      LensingError: unknown version or dataset, or an impossible config.
    """
    if isinstance(config, str) and not is_json(config):
        name = config_name(config)
        if name not in VERSIONS:
            stored, folder = read_stored_config(name, data_dir)
            return get_config(stored), folder
        config = name
    return get_config(config), None


def read_stored_config(
    name: str, data_dir: str | os.PathLike[str] | None = None
) -> tuple[LensingConfig, str]:
    """Reads the config of a dataset of this data version.

    Args:
      name: the config's.
      data_dir: the folder that holds the folder `lensing`; None is TFDS's default.

    Returns:
      The config, and the dataset's folder.

    Raises:
      LensingError: there is no such dataset, or what it says of itself is damaged.
    """
    root = storage.folder_name(data_dir or default_data_dir())
    folder = f"{root}/lensing/{name}/{DATASET_VERSION}"
    path = f"{folder}/metadata.json"
    if storage.size(path) is None:
        raise LensingError(
            f"{name!r} is neither a version ({', '.join(VERSIONS)}) nor a dataset of data version "
            f"{DATASET_VERSION} in {root}/lensing: give data_dir=..., the folder that it was built "
            "in, or the config itself"
        )
    try:
        from lensing_tfds.records import seals  # its checksums are an extra
    except ImportError as error:
        raise LensingError(
            f"{path}: its checksum needs google-crc32c: pip install 'lensing-tfds[worker]'"
        ) from error
    found = seals.faults(folder)
    for file in (seals.FILE, "metadata.json"):
        if file in found:
            raise LensingError(
                f"{folder}/{file} {found[file]}: the command that built the dataset writes it again"
            )
    config = strict_json.read(path).get("config")
    if not isinstance(config, dict):
        raise LensingError(f"{path} holds no config: it was not built by lensing_tfds")
    stored = LensingConfig.from_json(config)
    refuse_misplaced(stored, folder)
    return stored, folder


def default_data_dir() -> str:
    """Returns TFDS's own folder of datasets."""
    return os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets")


def refuse_misplaced(config: LensingConfig, folder: str) -> None:
    """Refuses a dataset that lies in the folder of another: copied, renamed or linked there.

    Args:
      config: what the dataset says of itself.
      folder: of the dataset, with its data version.

    Raises:
      LensingError: its name is not the folder's, or is a version's that has another config.
    """
    _, name, version = f"/{folder}".rstrip("/").rsplit("/", 2)
    if config.name != name:
        raise LensingError(
            f"{folder} holds lensing/{config.name}, by its metadata.json, copied or renamed: a "
            f"dataset is known by its folder's name; rename {name!r} to {config.name!r}"
        )
    is_version = name in VERSIONS and version == DATASET_VERSION
    # No `:=`: TensorFlow's AutoGraph reads this where a stream is traced, and warns of one.
    differing = differing_examples(VERSIONS[name], config) if is_version else ""
    if differing:
        raise LensingError(
            f"{folder} is not the version {name} ({differing}): move it away, and build that"
        )


def differing_examples(expected: LensingConfig, found: LensingConfig) -> str:
    """Names the fields in which a dataset differs from a config.

    Fewer examples do not count, as TFDS's --max_examples_per_split makes them: these are the same.
    """
    if all(n <= expected.num_examples[split] for split, n in found.num_examples.items()):
        expected = dataclasses.replace(expected, num_examples=found.num_examples)
    return differences(expected.to_json(), found.to_json())
