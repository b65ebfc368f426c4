"""A dataset's folder while it is built: begun, interrupted, gone on with, repaired, finished.

Shards are written in place; `dataset_info.json`, by which a dataset is known to be prepared, comes
last, after the checksums of all other files.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lensing_tfds import cosmology, strict_json
from lensing_tfds.config_differences import differences
from lensing_tfds.configs import DATASET_VERSION, SPLITS, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records import dataset_files, seals, storage
from lensing_tfds.records.file_formats import FILE_FORMATS, TFRECORD, known_format
from lensing_tfds.records.local_executor import write_locally
from lensing_tfds.records.shard_plans import SplitPlan, default_num_shards
from lensing_tfds.records.shard_seals import read_seal
from lensing_tfds.records.shard_summary import ShardSummary
from lensing_tfds.records.shards import Executor
from lensing_tfds.records.stored_dataset import METADATA, PREPARED
from lensing_tfds.release import RELEASE


class Building:
    """A folder that holds a dataset, finished or not, or none yet.

    Args:
      config: of the dataset that is to be there.
      data_dir: the folder that holds the folder `lensing`.
      file_format: that is asked for; None for what it has, or was to have, or else TFRecord.

    Raises:
      LensingError: there is no such format.
    """

    def __init__(self, config: LensingConfig, data_dir: str, file_format: str | None = None):
        self.config = config
        self._asked_format = known_format(file_format)
        self.folder = f"{data_dir.rstrip('/')}/lensing/{config.name}/{DATASET_VERSION}"
        self._data_dir = data_dir

    @property
    def is_prepared(self) -> bool:
        """Says whether all its shards were written once."""
        return storage.size(f"{self.folder}/{PREPARED}") is not None

    @property
    def file_format(self) -> str:
        """Returns the name of its shards' format."""
        return self._asked_format or self._stored_format() or TFRECORD

    def refuse_another(self) -> None:
        """Makes sure that the folder holds no other config under the same name, nor format.

        Raises:
          LensingError: it does; the message names what differs.
        """
        self._refuse_another_config()
        if self._stored_format() not in (None, self.file_format):
            raise LensingError(
                f"{self.folder} has, or was to have, {self._stored_format()} shards, not "
                f"{self.file_format}: leave the format out, give another data_dir, or delete that "
                "folder (lensing_tfds.StoredSource reads either, at random)"
            )

    def _refuse_another_config(self) -> None:
        advice = "choose another name or data_dir, or delete that folder"
        stored = self._stored_metadata()
        if stored is None:
            ours, others = self._shards_there()
            if others > ours:
                raise LensingError(
                    f"{self.folder}/{METADATA} is damaged, and the shards there are of another "
                    f"config named {self.config.name!r}: give the one that they were built from, "
                    f"or {advice}"
                )
            return
        if not stored and not self.is_prepared:
            return
        differing = differences(_with_new_fields(stored.get("config", {})), self.config.to_json())
        if not differing:
            return
        if not seals.names(self.folder):
            # Without a checksum it may be that file which is damaged: the shards know.
            ours, others = self._shards_there()
            if ours and not others:
                return
        raise LensingError(
            f"{self.folder} holds another config named {self.config.name!r} ({differing}): {advice}"
        )

    def plan(
        self, split: str, num_shards: int | None = None, max_shard_bytes: int | None = None
    ) -> SplitPlan:
        """Returns a split's shards, as many as it has, or was to have, if it was begun.

        Args:
          split: `train`, `validation` or `test`.
          num_shards: that are asked for; None for what their size makes right.
          max_shard_bytes: no shard's maps are larger, if they hold more than one example.

        Raises:
          LensingError: it has, or was to have, another number.
        """
        stored = self._stored_num_shards(split)
        if num_shards is None:
            count = stored or default_num_shards(self.config, split, max_shard_bytes)
            return self._split_plan(split, count)
        count = min(num_shards, self.config.num_examples[split])  # no empty shards
        if stored not in (None, count):
            raise LensingError(
                f"{self.folder} has, or was to have, {stored} {split} shards, not {count}: "
                "leave the number out, or delete that folder to start anew"
            )
        return self._split_plan(split, count)

    def write_shards(
        self, plans: list[SplitPlan], executor: Executor
    ) -> tuple[dict[str, Any], ShardSummary]:
        """Writes what is missing or damaged of the shards, and what a dataset says of itself first.

        Args:
          plans: the splits.
          executor: what writes the shards.

        Returns:
          The dataset's metadata, and what was done.

        Raises:
          LensingError: the folder or a file cannot be written, or the executor left a shard out.
        """
        self._make_folder()
        fields = dataset_files.metadata(self.config)
        fields["num_shards"] = {plan.split: plan.num_shards for plan in plans}
        if self.file_format != TFRECORD:  # which datasets had before there was another
            fields["file_format"] = self.file_format
        stored = self._stored_metadata() or {}
        # The release is that which began the build.
        fields |= {name: stored[name] for name in (RELEASE, "spectra") if name in stored}
        is_new = not self.is_prepared
        if is_new:  # first of all: a build that is interrupted says what it was of
            self.write_files(dataset_files.metadata_file(fields))
        spectra = self._store_spectra(stored.get("spectra"))
        if spectra is not None:
            fields["spectra"] = spectra
            if is_new:
                self.write_files(dataset_files.metadata_file(fields))
        try:
            summary = executor(plans)
        finally:
            storage.remove_abandoned(self.folder)
        self._refuse_missing(plans, summary)
        return fields, summary

    def write_files(self, contents: Mapping[str, bytes]) -> None:
        """Puts files into the folder, each whole, with their checksums.

        Two builds may do so at once, and a reader may look on.

        Args:
          contents: all files of the dataset but shards, checksums and the table of a cosmology.
        """
        spectra = seals.content_of(self.folder, cosmology.FILE)
        table = {} if spectra is None else {cosmology.FILE: spectra}
        ordered = {name: x for name, x in contents.items() if name != PREPARED}
        ordered[seals.FILE] = seals.seal_of(dict(contents) | table)
        if PREPARED in contents:  # the file that says "prepared"
            ordered[PREPARED] = contents[PREPARED]
        for name, content in ordered.items():
            if seals.content_of(self.folder, name) != content:
                with storage.writing(f"{self.folder}/{name}") as file:
                    file.write(content)

    def _store_spectra(self, recorded: dict[str, str] | None) -> dict[str, str] | None:
        path = f"{self.folder}/{cosmology.FILE}"
        if cosmology.FILE in seals.faults(self.folder):
            storage.remove(path)
        spectra = cosmology.store(self.config, self.folder, recorded)
        if recorded is None and cosmology.FILE in seals.faults(self.folder):
            storage.remove(path)
            raise LensingError(
                f"{path} and {METADATA} were damaged, and CAMB gives other digits today: put back "
                "a copy of one, or delete that folder to start anew"
            )
        return spectra

    def _refuse_missing(self, plans: list[SplitPlan], summary: ShardSummary) -> None:
        for plan in plans:
            found = (summary[plan.split].shards, summary[plan.split].num_examples)
            if found != (plan.num_shards, plan.num_examples):
                raise LensingError(
                    f"{self.folder}: of {plan.num_shards} {plan.split} shards with "
                    f"{plan.num_examples} examples, {found[0]} with {found[1]} were reported: "
                    "run the same command again"
                )
        sizes = storage.sizes(self.folder)
        for spec in (spec for plan in plans for spec in plan.shards()):
            if spec.path.rpartition("/")[2] not in sizes:
                raise LensingError(
                    f"{spec.path} was written, and is gone: does anybody remove the dataset while "
                    "it is built? Run the same command again"
                )

    def _make_folder(self) -> None:
        if storage.is_remote(self.folder):
            return  # buckets have no folders, and a bucket is not made by mistyping its name
        try:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LensingError(
                f"data_dir {self._data_dir} cannot be written ({error.strerror or error}): "
                "choose another with --data_dir"
            ) from error

    def _split_plan(self, split: str, count: int, file_format: str | None = None) -> SplitPlan:
        prefix = f"{self.folder}/lensing-{split}.{file_format or self.file_format}"
        return SplitPlan(self.config, split, count, prefix)

    def _stored_metadata(self) -> dict[str, Any] | None:
        """Returns what the folder says that it holds, finished or not.

        Returns:
          Empty if it does not say so; None if what it says is damaged.
        """
        if {seals.FILE, METADATA} & seals.faults(self.folder).keys():
            return None
        content = seals.content_of(self.folder, METADATA)
        if content is None:
            return {}
        with contextlib.suppress(LensingError):
            stored = strict_json.parse(content, METADATA)
            if isinstance(stored.get("config"), dict):
                return stored
        return None

    def _stored_num_shards(self, split: str) -> int | None:
        """Returns the number of shards that a split has, or was to have."""
        stored = self._stored_metadata()
        if stored is not None:
            return stored.get("num_shards", {}).get(split)
        counts = {count for *_, count in self._sealed_shards(split)}
        return counts.pop() if len(counts) == 1 else None

    def _stored_format(self) -> str | None:
        """Returns the format of the shards that it has, or was to have; None if it is not known."""
        stored = self._stored_metadata()
        if stored:
            return str(stored.get("file_format", TFRECORD))
        formats = {form for split in SPLITS for form, *_ in self._sealed_shards(split)}
        return formats.pop() if len(formats) == 1 else None

    def _sealed_shards(self, split: str) -> list[tuple[str, int, int]]:
        """Format and number of each shard of a split that has a seal, and how many there are."""
        formats = "|".join(FILE_FORMATS)
        pattern = re.compile(rf"lensing-{split}\.({formats})-(\d+)-of-(\d+)\.crc32c")
        matches = map(pattern.fullmatch, storage.sizes(self.folder))
        return [(match[1], int(match[2]), int(match[3])) for match in matches if match]

    def _shards_there(self) -> tuple[int, int]:
        """Counts the shards whose seal says that they are of the config, and that they are not."""
        ours = others = 0
        for split in SPLITS:
            for file_format, number, count in self._sealed_shards(split):
                spec = self._split_plan(split, count, file_format).shard(number)
                with contextlib.suppress(seals.DamagedSealError):
                    seal = read_seal(spec)
                    if seal is not None:
                        is_ours = seal["fingerprint"] == spec.fingerprint
                        ours, others = ours + is_ours, others + (not is_ours)
        return ours, others


def build(
    config: LensingConfig,
    data_dir: str,
    num_shards: int | None = None,
    file_format: str | None = None,
) -> ShardSummary:
    """Builds a dataset on this machine without TFDS, goes on with it, or repairs it.

    Args:
      config: the dataset's.
      data_dir: the folder that holds the folder `lensing`.
      num_shards: of each split; None makes them about 128 MiB large.
      file_format: "tfrecord" or "array_record"; None for that of the folder, or else TFRecord.

    Returns:
      What was done. The files are those that `tfds build` writes, byte for byte.

    Raises:
      LensingError: the folder holds another config under the same name, another number of shards
        or another format, or cannot be written. Finished shards are kept.
    """
    if num_shards is not None and num_shards < 1:
        raise LensingError(f"num_shards is {num_shards}: must be at least 1")
    storage.require_reachable(data_dir)
    building = Building(config, data_dir, file_format)
    building.refuse_another()
    plans = [building.plan(split, num_shards) for split in SPLITS]
    fields, summary = building.write_shards(plans, write_locally)
    building.write_files(dataset_files.files(config, fields, plans, summary))
    return summary


def _with_new_fields(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored config with the fields that were added since, at their defaults."""
    try:
        return LensingConfig.from_json(stored).to_json()
    except LensingError:
        return stored
