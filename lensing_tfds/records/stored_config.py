"""The config of a dataset that was built, read from its folder without TFDS."""

import os

from lensing_tfds import strict_json
from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.versions import VERSIONS


def read_stored_config(name: str, data_dir: str | None = None) -> tuple[LensingConfig, str]:
    """Reads the config of a dataset of this data version.

    Args:
      name: the config's.
      data_dir: the folder that holds the folder `lensing`; None is TFDS's default.

    Returns:
      The config, and the dataset's folder.

    Raises:
      LensingError: there is no such dataset, or what it says of itself is damaged.
    """
    root = storage.expanded(
        data_dir or os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets")
    )
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
    return LensingConfig.from_json(config), folder
