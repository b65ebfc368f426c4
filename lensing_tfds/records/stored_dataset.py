"""A built dataset, opened from its own files without TFDS."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from lensing_tfds import strict_json
from lensing_tfds.command_line import build_command
from lensing_tfds.configs import DATASET_VERSION, KAPPA, LENSED, SPLITS, LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.records import seals, storage
from lensing_tfds.records.file_formats import FILE_FORMATS, TFRECORD, format_of
from lensing_tfds.records.shard_plans import SplitPlan
from lensing_tfds.records.shard_seals import read_seal
from lensing_tfds.records.stored_config import refuse_misplaced
from lensing_tfds.sky.spectra import PowerSpectra
from lensing_tfds.task import Task
from lensing_tfds.versions import VERSIONS

PREPARED = "dataset_info.json"
"""Name of the file that TFDS knows a prepared dataset by."""

METADATA = "metadata.json"
"""Name of the file that holds a dataset's config."""

FEATURES = "features.json"
"""Name of the file that says what an example holds."""

_FAMILY = "lensing"


@dataclasses.dataclass(frozen=True)
class StoredDataset:
    """A built dataset whose files, but for its shards, are intact and agree.

    Attributes:
      data_path: its folder, with its data version.
      config: its own.
      version: of its data.
      plans: its shards and the examples that each must have, by split.
    """

    data_path: str
    config: LensingConfig
    version: str
    plans: Mapping[str, SplitPlan]

    @property
    def data_dir(self) -> str:
        """The folder that holds the folder `lensing`."""
        return _place(self.data_path)[0]

    @property
    def file_format(self) -> str:
        """Name of its shards' format: "tfrecord" or "array_record"."""
        return format_of(next(iter(self.plans.values())).prefix)

    @property
    def task(self) -> Task:
        """The task that it was made for."""
        return Task(self.config, self.version)

    def spectra(self) -> PowerSpectra:
        """Reads the spectra from which its skies were drawn.

        Raises:
          LensingError: its table of them is not there or damaged.
        """
        return spectra_of(self.config, self.data_path)

    def plan(self, split: str) -> SplitPlan:
        """Returns a split's shards.

        Raises:
          LensingError: there is no such split.
        """
        if split not in self.plans:
            raise LensingError(
                f"lensing/{self.config.name} has no split {split!r}; it has {', '.join(self.plans)}"
            )
        return self.plans[split]


def read_dataset(folder: str) -> StoredDataset:
    """Opens a dataset's folder.

    Args:
      folder: of the dataset, with its data version.

    Raises:
      LensingError: a file other than shards is damaged or missing, they do not agree, or the
        dataset lies in another's folder; the message names it, and says what mends it.
    """
    folder = folder.rstrip("/")
    refuse_damaged(folder)
    found = {name: _read(folder, name) for name in (METADATA, PREPARED, FEATURES)}
    if not isinstance(config := found[METADATA].get("config"), dict):
        raise LensingError(f"{folder} holds no lensing config in its {METADATA}")
    stored = LensingConfig.from_json(config)
    refuse_misplaced(stored, folder)
    try:
        return _agreeing(folder, stored, **{name[:-5]: x for name, x in found.items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, LensingError):
            raise
        raise unreadable(folder, error) from error


def _read(folder: str, name: str) -> dict[str, Any]:
    path = f"{folder}/{name}"
    try:
        return strict_json.read(path)
    except LensingError as error:
        fault = str(error).removeprefix(f"{path}: ")
        raise LensingError(
            f"{path} is damaged ({fault}); to write it again: {mending_command(folder)}"
        ) from error


def _agreeing(
    folder: str,
    config: LensingConfig,
    metadata: dict[str, Any],
    dataset_info: dict[str, Any],
    features: dict[str, Any],
) -> StoredDataset:
    """Compares what the files say with what the config implies.

    Raises:
      LensingError: they do not agree.
      KeyError, TypeError, ValueError, AttributeError: a file is not as TFDS writes it.
    """
    version, directory = str(dataset_info["version"]), folder.rpartition("/")[2]
    if version != directory:
        raise LensingError(
            f"{folder} holds data version {version}, by its {PREPARED}: it is known by its "
            "folder's name; rename that"
        )
    lengths = {s["name"]: list(map(int, s["shardLengths"])) for s in dataset_info["splits"]}
    if set(lengths) != set(SPLITS):
        raise unreadable(folder, f"splits: {', '.join(lengths) or 'none'}")
    plans = {}
    file_format = dataset_info.get("fileFormat", TFRECORD)
    if file_format not in FILE_FORMATS:
        raise unreadable(folder, f"file format: {file_format}")
    for split in lengths:
        prefix = f"{folder}/{_FAMILY}-{split}.{file_format}"
        plan = plans[split] = SplitPlan(config, split, len(lengths[split]), prefix)
        if lengths[split] != plan.shard_lengths:
            raise LensingError(
                f"{folder}: {PREPARED} has {sum(lengths[split]):,} {split} "
                f"examples in shards of other lengths than the {plan.num_examples:,} of "
                f"{METADATA}; to write both again: {mending_command(folder)}"
            )
    if version == DATASET_VERSION:  # what the files of another one said is not known here
        maps = {name: (shape, "float32", "bytes") for name, shape in config.feature_shapes.items()}
        keys = [item["featureKey"] for item in dataset_info["supervisedKeys"]["tuple"]["items"]]
        counts = {split: plan.num_shards for split, plan in plans.items()}
        pairs = {
            "name": (
                f"{dataset_info['name']}/{dataset_info['configName']}",
                f"{_FAMILY}/{config.name}",
            ),
            "features": (_features(features), maps | {"index": ((), "int64", "none")}),
            "supervised keys": (keys, [LENSED, KAPPA]),
            "num_shards": (metadata.get("num_shards", counts), counts),
            "file format": (metadata.get("file_format", TFRECORD), file_format),
        }
        for what, (found, implied) in pairs.items():
            if found != implied:
                raise unreadable(folder, f"{what}: {found} in place of {implied}")
    return StoredDataset(folder, config, version, plans)


def _features(content: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], str, str]]:
    """Shape, dtype and encoding of each feature of a features.json."""
    features = {}
    for name, feature in content["featuresDict"]["features"].items():
        tensor = feature["tensor"]
        shape = tuple(map(int, tensor["shape"].get("dimensions", ())))
        features[name] = (shape, tensor["dtype"], tensor["encoding"])
    return features


def unreadable(folder: str, reason: object) -> LensingError:
    """Returns the error of files that are not as TFDS writes them, nor sealed."""
    line = (str(reason).strip() or type(reason).__name__).splitlines()[0]
    return LensingError(
        f"{folder}: {PREPARED}, {FEATURES} or {METADATA} is damaged ({line}); "
        f"to write them again: {mending_command(folder)}"
    )


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
    data_dir, name = _place(folder)
    config: LensingConfig | str = f'{{"name": "{name}", "npix": ..., "lx": ...}}'
    if name in VERSIONS:
        config = VERSIONS[name]
    elif not {seals.FILE, METADATA} & seals.faults(folder).keys() or _is_of_shards(folder):
        with contextlib.suppress(LensingError, KeyError):
            config = LensingConfig.from_json(strict_json.read(f"{folder}/{METADATA}")["config"])
    return build_command(config, data_dir)


def _is_of_shards(folder: str) -> bool:
    """Says whether a config that no checksum vouches for is the one that the first shard has."""
    formats = "|".join(FILE_FORMATS)
    seal_name = rf"(.+-(\w+)\.(?:{formats}))-(\d+)-of-(\d+){re.escape(seals.SHARD_SEAL)}"
    shard = re.compile(seal_name)
    with contextlib.suppress(LensingError, KeyError, seals.DamagedSealError):
        config = LensingConfig.from_json(strict_json.read(f"{folder}/{METADATA}")["config"])
        for match in filter(None, map(shard.fullmatch, sorted(storage.sizes(folder)))):
            prefix, split, number, count = match.groups()
            spec = SplitPlan(config, split, int(count), f"{folder}/{prefix}").shard(int(number))
            seal = read_seal(spec)
            return seal is not None and seal["fingerprint"] == spec.fingerprint
    return False


def _place(folder: str) -> tuple[str, str]:
    """The folder that holds the folder `lensing`, and the config's name, of a dataset's folder."""
    data_dir, _, name, _ = f"./{folder}".rstrip("/").rsplit("/", 3)
    return data_dir.removeprefix("./") or ".", name
