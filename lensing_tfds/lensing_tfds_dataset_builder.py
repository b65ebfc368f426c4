"""The TFDS dataset `lensing`: glue between the simulator and TensorFlow Datasets, nothing else."""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
import wrapt

from lensing_tfds import cosmology, strict_json
from lensing_tfds.command_line import build_command
from lensing_tfds.configs import DATASET_VERSION, SPLITS, LensingConfig, differences
from lensing_tfds.errors import LensingError
from lensing_tfds.records import seals, shard_seals, shards, storage, visualizer
from lensing_tfds.records.datasets import built_folder, opening
from lensing_tfds.records.local_executor import write_locally
from lensing_tfds.records.shard_plans import SplitPlan, default_num_shards, maps_bytes
from lensing_tfds.records.shard_summary import ShardSummary
from lensing_tfds.records.stored_config import differing_examples, read_stored_config
from lensing_tfds.records.stored_dataset import (
    METADATA,
    PREPARED,
    read_dataset,
    refuse_damaged,
)
from lensing_tfds.release import RELEASE, stamped
from lensing_tfds.versions import VERSIONS, get_config

_MAP_DOCUMENTS = {  # description and unit
    "lensed": ("CMB as observed: lensed, with the config's beam and noise.", "µK"),
    "unlensed": ("CMB before lensing, through the same beam, without noise.", "µK"),
    "kappa": ("Convergence κ = −½∇²φ, positive where matter magnifies.", "dimensionless"),
    "unlensed_E": ("E polarization before lensing, through the same beam, without noise.", "µK"),
}


class Builder(tfds.core.dataset_builder.FileReaderBuilder):
    """Simulated pairs of lensed CMB maps and convergence maps.

    Shards are written by `executor`, by default a pool of processes on this machine;
    `pipelines.generate` puts a Beam pipeline there.

    Attributes:
      executor: what writes the shards.
      started_by_tfds: whether this process is the command `tfds`.
      check_shards: whether a dataset that is prepared is verified, and repaired.
      summary: what the last build did; None before.
    """

    name = "lensing"
    VERSION = tfds.core.Version(DATASET_VERSION)
    RELEASE_NOTES = {
        "1.0.0": "The eight versions of the study, rebuilt.",
        "2.0.0": "Other realisations of the same skies: other random numbers, another remap.",
    }
    BUILDER_CONFIGS = list(VERSIONS.values())

    executor: shards.Executor = staticmethod(write_locally)
    started_by_tfds: bool = False
    check_shards: bool = False
    summary: ShardSummary | None = None

    def __init__(self, *, data_dir: str | os.PathLike | None = None, **kwargs: Any):
        if data_dir is None:
            data_dir = tfds.core.constants.DATA_DIR
        if self.started_by_tfds:
            _require_a_config(sys.argv[1:])
        data_dir = storage.folder_name(data_dir)
        storage.require_reachable(data_dir)
        _require_tfrecord(kwargs.get("file_format"))
        self._root = data_dir  # TFDS asks for the config before it has stored the folder
        super().__init__(data_dir=data_dir, **kwargs)
        if self.started_by_tfds and self._typed("overwrite"):
            self._refuse_link()  # or TFDS would stumble over it

    @tfds.core.utils.classproperty
    @classmethod
    def builder_config_cls(cls) -> Callable[..., LensingConfig]:
        """The function that `tfds build --config '{...}'` calls with the JSON's fields."""
        return _config_of_command_line

    def _create_builder_config(self, builder_config: Any, version: Any) -> LensingConfig:
        is_name = isinstance(builder_config, str) and builder_config in self.builder_configs
        if builder_config is None or is_name:
            return super()._create_builder_config(builder_config, version)
        if isinstance(builder_config, str) and self._is_folder(builder_config):
            return self._config_of_folder(builder_config, version)
        return get_config(builder_config)

    def _is_folder(self, name: str) -> bool:
        """Says whether there is a dataset of this name, finished or not."""
        if not re.fullmatch(r"[\w.-]+", name):
            return False
        folder = f"{self._root.rstrip('/')}/lensing/{name}"
        storage.sizes(folder)  # or it says that it may not be read
        return bool(tfds.core.utils.version.list_all_versions(folder))

    def _config_of_folder(self, name: str, version: Any) -> LensingConfig:
        """The config of a dataset that TFDS itself did not open from its files.

        Raises:
          LensingError: the message says what is wrong with them.
        """
        folder = built_folder(name, self._root)
        found = folder.rpartition("/")[2]
        if found != DATASET_VERSION or (version is not None and str(version) != found):
            raise LensingError(
                f"lensing/{name} is in {self._root} in data version {found}, not in "
                f"{version or DATASET_VERSION}"
            )
        refuse_damaged(folder)
        return read_stored_config(name, self._root)[0]

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        documents = _MAP_DOCUMENTS
        if config.stokes != "T":
            stokes = ", ".join(config.channels)
            documents = {
                name: (f"{text} Channels: {stokes}.", unit)
                if config.map_features.get(name, 1) > 1
                else (text, unit)
                for name, (text, unit) in _MAP_DOCUMENTS.items()
            }

        def map_feature(name: str, channels: int) -> tfds.features.Tensor:
            description, unit = documents[name]
            return tfds.features.Tensor(
                shape=(config.npix, config.npix, channels),
                dtype=np.float32,
                encoding=tfds.features.Encoding.BYTES,
                doc=tfds.features.Documentation(desc=description, value_range=unit),
            )

        written = self.get_metadata()  # the files beside this one
        return _Info(
            builder=self,
            description=written.description,
            citation=written.citation,
            features=tfds.features.FeaturesDict(
                {name: map_feature(name, n) for name, n in config.map_features.items()}
                | {
                    "index": tfds.features.Scalar(
                        dtype=np.int64,
                        doc=tfds.features.Documentation(
                            desc="Address of the example: `lensing_tfds.simulate(config, split, "
                            "[index])` makes it again."
                        ),
                    ),
                }
            ),
            supervised_keys=("lensed", "kappa"),
            metadata=_metadata(config),
        )

    def download_and_prepare(
        self,
        *,
        download_dir: Any = None,
        download_config: tfds.download.DownloadConfig | None = None,
        file_format: Any = None,
        permissions: Any = None,
    ) -> None:
        """Builds the dataset, goes on with a build that was interrupted, or finds it built.

        Shards are written in place; `dataset_info.json`, by which TFDS knows a dataset that is
        prepared, comes last, after the checksums of all other files. A prepared dataset is taken as
        it is if these agree, unless `check_shards` is set: then every shard is verified too, and
        what is damaged is written again.

        Args:
          download_dir: not used, as there is nothing to download.
          download_config: TFDS's settings; `num_shards`, `max_shard_size`, `download_mode`,
            `max_examples_per_split`, `beam_options` and `beam_runner` are used.
          file_format: None or TFRecord.
          permissions: not used: files get the mode that the user's umask gives.

        Raises:
          LensingError: the folder holds another config under the same name, or another number of
            shards, or is damaged, or cannot be written. Finished shards are kept.
        """
        del download_dir, permissions
        self.assert_is_not_blocked()
        download_config = download_config or tfds.download.DownloadConfig()
        _require_tfrecord(file_format)
        if file_format is not None:
            self.info.set_file_format(file_format, override=True)
        if self.info.file_format != tfds.core.FileFormat.TFRECORD:
            raise LensingError(f"file format {self.info.file_format}: lensing is TFRecord only")
        num_shards = download_config.num_shards
        if num_shards is None and self.started_by_tfds:
            num_shards = self._typed("num_shards")  # a zero, which TFDS takes for no number
        if num_shards is not None and num_shards < 1:
            raise LensingError(f"num_shards is {num_shards}: must be at least 1")
        if download_config.download_mode == tfds.GenerateMode.UPDATE_DATASET_INFO:
            self._refuse_damage()
            self._write_files(self.info.write_to_directory)
            return
        if download_config.download_mode.overwrite_dataset and self.data_path.exists():
            self._remove_folder()
        self._refuse_another_config(self._with_at_most(download_config.max_examples_per_split))
        prepared = storage.size(str(self.data_path / PREPARED)) is not None
        if self.check_shards or not prepared:
            self._download_and_prepare(None, download_config)
        else:
            self._refuse_damage()

    def as_dataset(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_damage()
        return super().as_dataset(*args, **kwargs)

    def as_data_source(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_damage()
        return super().as_data_source(*args, **kwargs)

    def _refuse_damage(self) -> None:
        if self.info.damage is not None:
            command = build_command(self.builder_config, str(self._data_dir_root))
            raise LensingError(
                f"{self.data_dir}/{self.info.damage}; to write it again (intact shards are kept): "
                f"{command}"
            )
        if storage.size(str(self.data_path / PREPARED)) is None:
            return
        stored = read_dataset(str(self.data_path)).config
        if differing := differing_examples(self.builder_config, stored):
            raise LensingError(f"{self.data_dir} holds another config ({differing})")

    def _refuse_link(self) -> None:
        if not storage.is_remote(self.data_dir) and pathlib.Path(self.data_dir).is_symlink():
            raise LensingError(
                f"{self.data_dir} is a symbolic link, and what it points to is not removed: remove "
                "the link or what is in the folder, and leave --overwrite out"
            )

    def _typed(self, flag: str) -> Any:
        """Returns a flag of the command `tfds`; None if it is not there."""
        parser = argparse.ArgumentParser(add_help=False)
        parser.add_argument("--overwrite", action="store_true", default=None)
        parser.add_argument("--num_shards", type=int)
        return getattr(parser.parse_known_args(sys.argv[1:])[0], flag)

    def _remove_folder(self) -> None:
        """For --overwrite."""
        self._refuse_link()
        try:
            self.data_path.rmtree()
        except OSError as error:
            raise LensingError(
                f"{self.data_dir} cannot be removed ({error.strerror or error})"
            ) from error
        self.info.damage = None

    def _download_and_prepare(
        self, dl_manager: Any, download_config: tfds.download.DownloadConfig | None = None
    ) -> None:
        del dl_manager  # nothing to download
        download_config = download_config or tfds.download.DownloadConfig()
        config = self._with_at_most(download_config.max_examples_per_split)
        plans = [self._plan(config, split, download_config) for split in SPLITS]
        executor = self._executor(download_config)
        self._make_folder()
        self.info.metadata.update(_metadata(config))
        self.info.metadata["num_shards"] = {plan.split: plan.num_shards for plan in plans}
        folder = str(self.data_path)
        stored = self._stored_metadata() or {}
        if RELEASE in stored:  # that which began the build
            self.info.metadata[RELEASE] = stored[RELEASE]
        known_spectra = stored.get("spectra")
        if known_spectra is not None:
            self.info.metadata["spectra"] = known_spectra
        is_new = storage.size(f"{folder}/{PREPARED}") is None
        if is_new:  # first of all: a build that is interrupted says what it was of
            self._write_files(self.info.metadata.save_metadata)
        if cosmology.FILE in seals.faults(folder):
            storage.remove(f"{folder}/{cosmology.FILE}")
        spectra = cosmology.store(config, folder, known_spectra)
        if known_spectra is None and cosmology.FILE in seals.faults(folder):
            storage.remove(f"{folder}/{cosmology.FILE}")
            raise LensingError(
                f"{folder}/{cosmology.FILE} and {METADATA} were damaged, and CAMB gives other "
                "digits today: put back a copy of one, or start anew: tfds build --overwrite"
            )
        if spectra is not None:
            self.info.metadata["spectra"] = spectra
            if is_new:
                self._write_files(self.info.metadata.save_metadata)
        try:
            summary = executor(plans)
        finally:
            storage.remove_abandoned(self.data_dir)
        for plan in plans:
            found = (summary[plan.split].shards, summary[plan.split].num_examples)
            if found != (plan.num_shards, plan.num_examples):
                raise LensingError(
                    f"{self.data_dir}: of {plan.num_shards} {plan.split} shards with "
                    f"{plan.num_examples} examples, {found[0]} with {found[1]} were reported: "
                    "run the same command again"
                )
        sizes = storage.sizes(folder)
        for spec in (spec for plan in plans for spec in plan.shards()):
            if spec.path.rpartition("/")[2] not in sizes:
                raise LensingError(
                    f"{spec.path} was written, and is gone: does anybody remove the dataset while "
                    "it is built? Run the same command again"
                )
        self.info.set_splits(tfds.core.SplitDict([self._split_info(p, summary) for p in plans]))
        self._write_files(self.info.write_to_directory)
        self.info.damage = None
        self.summary = summary
        print(f"lensing/{config.name}: {summary.total}", file=sys.stderr)

    def _with_at_most(self, max_examples: int | None) -> LensingConfig:
        """Applies TFDS's debugging flag --max_examples_per_split."""
        config = self.builder_config
        if max_examples is None:
            return config
        fewer = {split: min(n, max_examples) for split, n in config.num_examples.items()}
        return dataclasses.replace(config, num_examples=fewer)

    def _plan(
        self, config: LensingConfig, split: str, download_config: tfds.download.DownloadConfig
    ) -> SplitPlan:
        asked = download_config.num_shards
        stored = self._stored_num_shards(split)
        if asked is not None:
            count = min(asked, config.num_examples[split])  # no empty shards
            if stored not in (None, count):
                raise LensingError(
                    f"{self.data_dir} has, or was to have, {stored} {split} shards, not {count}: "
                    "leave the number out, or start anew: tfds build --overwrite"
                )
        else:
            count = stored or default_num_shards(config, split, download_config.max_shard_size)
        return self._split_plan(config, split, count)

    def _executor(self, download_config: tfds.download.DownloadConfig) -> shards.Executor:
        options, runner = download_config.beam_options, download_config.beam_runner
        if options is None and runner is None:
            return self.executor
        from lensing_tfds.records.beam_executor import beam_executor  # slow, and few need it

        return beam_executor(options, runner)

    def _split_info(self, plan: SplitPlan, summary: ShardSummary) -> tfds.core.SplitInfo:
        return tfds.core.SplitInfo(
            name=plan.split,
            shard_lengths=plan.shard_lengths,
            num_bytes=summary[plan.split].num_bytes,
            filename_template=self._get_filename_template(plan.split),
        )

    def _stored_metadata(self) -> dict[str, Any] | None:
        """Returns what the folder says that it holds, finished or not.

        Returns:
          Empty if it does not say so; None if what it says is damaged.
        """
        folder = str(self.data_path)
        if {seals.FILE, METADATA} & seals.faults(folder).keys():
            return None
        content = seals.content_of(folder, METADATA)
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
        counts = {count for _, count in self._sealed_shards(split)}
        return counts.pop() if len(counts) == 1 else None

    def _sealed_shards(self, split: str) -> list[tuple[int, int]]:
        """Number of each shard of a split that has a seal, and of all, as its name says."""
        pattern = re.compile(rf"{self.name}-{split}\.tfrecord-(\d+)-of-(\d+)\.crc32c")
        matches = map(pattern.fullmatch, storage.sizes(str(self.data_path)))
        return [(int(match[1]), int(match[2])) for match in matches if match]

    def _refuse_another_config(self, config: LensingConfig) -> None:
        """TFDS itself would silently reuse whatever stands under the same name."""
        advice = "choose another name or data_dir, or delete that folder"
        stored = self._stored_metadata()
        if stored is None:
            ours, others = self._shards_of(config)
            if others > ours:
                raise LensingError(
                    f"{self.data_dir}/{METADATA} is damaged, and the shards there are of another "
                    f"config named {config.name!r}: give the one that they were built from, or "
                    f"{advice}"
                )
            return
        if not stored and storage.size(str(self.data_path / PREPARED)) is None:
            return
        differing = differences(_with_new_fields(stored.get("config", {})), config.to_json())
        if not differing:
            return
        if not seals.names(str(self.data_path)):
            # Without a checksum it may be that file which is damaged: the shards know.
            ours, others = self._shards_of(config)
            if ours and not others:
                return
        raise LensingError(
            f"{self.data_dir} holds another config named {config.name!r} ({differing}): {advice}"
        )

    def _shards_of(self, config: LensingConfig) -> tuple[int, int]:
        """Counts the shards whose seal says that they are of a config, and that they are not."""
        ours = others = 0
        for split in SPLITS:
            for number, count in self._sealed_shards(split):
                spec = self._split_plan(config, split, count).shard(number)
                with contextlib.suppress(seals.DamagedSealError):
                    seal = shard_seals.read_seal(spec)
                    if seal is not None:
                        is_ours = seal["fingerprint"] == spec.fingerprint
                        ours, others = ours + is_ours, others + (not is_ours)
        return ours, others

    def _split_plan(self, config: LensingConfig, split: str, count: int) -> SplitPlan:
        template = self._get_filename_template(split)
        only = template.sharded_filepath(shard_index=0, num_shards=1)
        return SplitPlan(config, split, count, str(only).removesuffix("-00000-of-00001"))

    def _write_files(self, write: Callable[[str], object]) -> None:
        """Lets TFDS write its files, and puts each into the dataset's folder whole, with a seal.

        Two builds may do so at once, and a reader may look on.
        """
        folder = str(self.data_path)
        with tempfile.TemporaryDirectory() as temporary:
            write(temporary)
            contents = {path.name: path.read_bytes() for path in pathlib.Path(temporary).iterdir()}
        spectra = seals.content_of(folder, cosmology.FILE)
        seal = seals.seal_of(contents | ({} if spectra is None else {cosmology.FILE: spectra}))
        last = contents.pop(PREPARED, None)  # the file that says "prepared"
        contents |= {seals.FILE: seal} | ({} if last is None else {PREPARED: last})
        for name, content in contents.items():
            if seals.content_of(folder, name) != content:
                with storage.writing(f"{folder}/{name}") as file:
                    file.write(content)

    def _make_folder(self) -> None:
        if storage.is_remote(self.data_dir):
            return  # buckets have no folders, and a bucket is not made by mistyping its name
        try:
            self.data_path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LensingError(
                f"data_dir {self._data_dir_root} cannot be written ({error.strerror or error}): "
                "choose another with --data_dir"
            ) from error


def _require_a_config(arguments: Sequence[str]) -> None:
    """Refuses `tfds build lensing_tfds`, by which TFDS means all versions, one after the other.

    Args:
      arguments: of the command `tfds`.
    """
    # TFDS takes short forms, and an empty name for none.
    named = re.compile(
        r"lensing/.+|--?(c|builder_config)[^=]*=.+|-c[^=].*|(?P<next>--?(c|builder_config)[^=]*)",
        re.DOTALL,
    )
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        match = named.fullmatch(argument)
        if match and (match["next"] is None or following):
            return
    sizes = {
        name: sum(maps_bytes(config, split) for split in SPLITS) / 1e9
        for name, config in VERSIONS.items()
    }
    each = ", ".join(f"{name} {size:.1f}" for name, size in sizes.items())
    raise LensingError(
        f"which version? Name it, as by: --config v7 (in GB: {each}; together "
        f"{sum(sizes.values()):.0f}; a loop of the shell builds them all)"
    )


def _require_tfrecord(file_format: Any) -> None:
    """Refuses every other format of TFDS's, given by its name or as TFDS has it."""
    name = getattr(file_format, "value", file_format)
    if name not in (None, tfds.core.FileFormat.TFRECORD.value):
        raise LensingError(f"file format {name}: lensing is TFRecord only")


class _Info(tfds.core.DatasetInfo):
    """A dataset's description, as TFDS has it.

    It takes nothing from files that are damaged: the builder that mends them begins without.
    """

    _metadata: Any
    _features: Any
    damage: str | None = None
    """Says what is wrong with the files, as in "<folder>/<damage>"."""

    def read_from_directory(self, dataset_info_dir: Any) -> None:
        folder = str(dataset_info_dir)
        for name, fault in seals.faults(folder).items():
            self.damage = f"{name} {fault}"
            return
        metadata, features = self._metadata, self._features
        try:
            super().read_from_directory(dataset_info_dir)
            strict_json.read(f"{folder}/{METADATA}")  # TFDS puts that off
        except Exception as error:  # TFDS has many, for files that have no checksums yet
            self._metadata, self._features = metadata, features
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            self.damage = f"{PREPARED}, features.json or {METADATA} is damaged ({reason})"

    def initialize_from_bucket(self) -> None:
        """Nothing: this dataset is not in TFDS's bucket.

        Looking there, TFDS leaves an empty folder among the temporary files, every time.
        """

    def __repr__(self) -> str:
        """The text that `tfds build` prints at its end, without three pages of BibTeX."""
        text = super().__repr__()
        before, citation, _ = text.partition("\n    citation=")
        count = self.citation.count("@")
        short = f"{citation}<{count} entries of BibTeX: builder.info.citation>,\n)"
        return before + short if citation else text


def _metadata(config: LensingConfig) -> tfds.core.MetadataDict:
    """Returns what is stored beside the data: the config, each map's channels, the release."""
    single = {"kappa": ["kappa"], "unlensed_E": ["E"]}
    channels = {name: single.get(name, list(config.channels)) for name in config.map_features}
    units = {name: _MAP_DOCUMENTS[name][1] for name in config.map_features}
    fields = {"config": config.to_json(), "channels": channels, "units": units}
    return tfds.core.MetadataDict(stamped(fields))


def _config_of_command_line(**fields: Any) -> LensingConfig:
    """The config of fields that TFDS parsed, if they are what was typed.

    TFDS takes the last of two equal keys; so what it was given is parsed once more.
    """
    for argument in sys.argv:
        text = argument.removeprefix("--config=")
        if text.startswith("{"):
            strict_json.parse(text, "the command line's JSON")
    return LensingConfig.from_json(fields)


def _with_new_fields(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored config with the fields that were added since, at their defaults."""
    try:
        return LensingConfig.from_json(stored).to_json()
    except LensingError:
        return stored


def _opened_from_files(
    wrapped: Callable[..., None], builder: Any, arguments: Sequence[Any], settings: Any
) -> None:
    """Guards `tfds.load("lensing/<custom>")`, for which TFDS uses no code but its own."""
    folder = pathlib.PurePath(os.fspath(arguments[0] if arguments else settings["builder_dir"]))
    if folder.parent.parent.name != Builder.name:
        wrapped(*arguments, **settings)
        return
    with opening(str(arguments[0] if arguments else settings["builder_dir"])):
        wrapped(*arguments, **settings)


wrapt.wrap_function_wrapper(
    tfds.core.read_only_builder.ReadOnlyBuilder, "__init__", _opened_from_files
)
visualizer.register()

if pathlib.Path(sys.argv[0]).name == "tfds":  # the command line of others, but our users
    Builder.started_by_tfds = Builder.check_shards = True
