"""The TFDS dataset `lensing`: glue between the simulator and TensorFlow Datasets, nothing else."""

import argparse
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

from lensing_tfds import strict_json
from lensing_tfds.command_line import build_command
from lensing_tfds.config_fields.features import Feature
from lensing_tfds.configs import DATASET_VERSION, SPLITS, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records import dataset_files, seals, shards, storage, visualizer
from lensing_tfds.records.building import Building
from lensing_tfds.records.datasets import built_folder, opening
from lensing_tfds.records.file_formats import FILE_FORMATS, known_format
from lensing_tfds.records.local_executor import write_locally
from lensing_tfds.records.shard_plans import SplitPlan, maps_bytes
from lensing_tfds.records.shard_summary import ShardSummary
from lensing_tfds.records.stored_config import differing_examples, read_stored_config
from lensing_tfds.records.stored_dataset import (
    METADATA,
    PREPARED,
    read_dataset,
    refuse_damaged,
)
from lensing_tfds.versions import VERSIONS, get_config


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
    RELEASE_NOTES = dataset_files.RELEASE_NOTES
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
        self._asked_format = known_format(kwargs.pop("file_format", None))
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

        def tensor(feature: Feature) -> tfds.features.Tensor:
            return tfds.features.Tensor(
                shape=feature.shape(config.npix),
                dtype=np.float32,
                encoding=tfds.features.Encoding.BYTES,
                doc=tfds.features.Documentation(desc=feature.text, value_range=feature.unit),
            )

        written = self.get_metadata()  # the files beside this one
        return _Info(
            builder=self,
            description=written.description,
            citation=written.citation,
            features=tfds.features.FeaturesDict(
                {feature.name: tensor(feature) for feature in config.features}
                | {
                    "index": tfds.features.Scalar(
                        dtype=np.int64,
                        doc=tfds.features.Documentation(desc=dataset_files.INDEX_DOCUMENT),
                    ),
                }
            ),
            supervised_keys=("lensed", "kappa"),
            metadata=tfds.core.MetadataDict(dataset_files.metadata(config)),
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
          file_format: TFRecord or ArrayRecord; None for the builder's, the folder's, or TFRecord.
          permissions: not used: files get the mode that the user's umask gives.

        Raises:
          LensingError: the folder holds another config under the same name, another number of
            shards or another format, or is damaged, or cannot be written. Finished shards are kept.
        """
        del download_dir, permissions
        self.assert_is_not_blocked()
        download_config = download_config or tfds.download.DownloadConfig()
        self._asked_format = known_format(file_format) or self._asked_format
        num_shards = download_config.num_shards
        if num_shards is None and self.started_by_tfds:
            num_shards = self._typed("num_shards")  # a zero, which TFDS takes for no number
        if num_shards is not None and num_shards < 1:
            raise LensingError(f"num_shards is {num_shards}: must be at least 1")
        if download_config.download_mode == tfds.GenerateMode.UPDATE_DATASET_INFO:
            self._refuse_damage()
            self._building(self.builder_config).write_files(self._files())
            return
        if download_config.download_mode.overwrite_dataset and self.data_path.exists():
            self._remove_folder()
        building = self._building(self._with_at_most(download_config.max_examples_per_split))
        building.refuse_another()
        if self.check_shards or not building.is_prepared:
            self._download_and_prepare(None, download_config)
        else:
            self._refuse_damage()

    def as_dataset(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_damage()
        self._require_reader(tfds.core.FileFormat.with_tf_data(), "tf.data", "tfds.data_source")
        return super().as_dataset(*args, **kwargs)

    def as_data_source(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_damage()
        at_random = tfds.core.FileFormat.with_random_access()
        self._require_reader(at_random, "tfds.data_source", "tfds.load")
        return super().as_data_source(*args, **kwargs)

    def _require_reader(self, formats: set[Any], reader: str, other: str) -> None:
        """Refuses a dataset whose shards are in no format that something of TFDS's reads."""
        found = self.info.file_format
        if storage.size(str(self.data_path / PREPARED)) is not None and found not in formats:
            needed = " or ".join({form.value for form in formats} & FILE_FORMATS.keys())
            raise LensingError(
                f"{self.data_dir} has {found.value} shards, which {reader} does not read: use "
                f"{other} or lensing_tfds.StoredSource, or build {needed} ones in another data_dir"
            )

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
        building = self._building(config)
        self.info.set_file_format(building.file_format, override=True, override_if_initialized=True)
        count, size = download_config.num_shards, download_config.max_shard_size
        plans = [building.plan(split, count, size) for split in SPLITS]
        fields, summary = building.write_shards(plans, self._executor(download_config))
        self.info.metadata.update(fields)
        self.info.set_splits(tfds.core.SplitDict([self._split_info(p, summary) for p in plans]))
        building.write_files(self._files())
        self.info.damage = None
        self.summary = summary
        print(f"lensing/{config.name}: {summary.total}", file=sys.stderr)

    def _building(self, config: LensingConfig) -> Building:
        return Building(config, str(self._data_dir_root), self._asked_format)

    def _files(self) -> dict[str, bytes]:
        """The files by which TFDS knows the dataset, as it writes them."""
        with tempfile.TemporaryDirectory() as folder:
            self.info.write_to_directory(folder)
            return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}

    def _with_at_most(self, max_examples: int | None) -> LensingConfig:
        """Applies TFDS's debugging flag --max_examples_per_split."""
        config = self.builder_config
        if max_examples is None:
            return config
        fewer = {split: min(n, max_examples) for split, n in config.num_examples.items()}
        return dataclasses.replace(config, num_examples=fewer)

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


def _config_of_command_line(**fields: Any) -> LensingConfig:
    """The config of fields that TFDS parsed, if they are what was typed.

    TFDS takes the last of two equal keys; so what it was given is parsed once more.
    """
    for argument in sys.argv:
        text = argument.removeprefix("--config=")
        if text.startswith("{"):
            strict_json.parse(text, "the command line's JSON")
    return LensingConfig.from_json(fields)


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
