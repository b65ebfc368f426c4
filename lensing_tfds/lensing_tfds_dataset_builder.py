"""The TFDS dataset `lensing`: glue between the simulator and TensorFlow Datasets, nothing else."""

import dataclasses
import json
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from lensing_tfds import cosmology, strict_json
from lensing_tfds.configs import DATASET_VERSION, SPLITS, LensingConfig, differences
from lensing_tfds.errors import LensingError
from lensing_tfds.records import shards, storage
from lensing_tfds.records.local_executor import write_locally
from lensing_tfds.versions import VERSIONS, get_config

_PREPARED = "dataset_info.json"  # what TFDS knows a prepared dataset by

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
    summary: shards.ShardSummary | None = None

    def __init__(self, *, data_dir: str | os.PathLike | None = None, **kwargs: Any):
        if data_dir is None:
            data_dir = tfds.core.constants.DATA_DIR
        if self.started_by_tfds:
            _require_a_config(sys.argv[1:])
        super().__init__(data_dir=storage.expanded(os.fspath(data_dir)), **kwargs)

    @tfds.core.utils.classproperty
    @classmethod
    def builder_config_cls(cls) -> Callable[..., LensingConfig]:
        """What `tfds build --config '{...}'` calls with the JSON's fields."""
        return _config_of_command_line

    def _create_builder_config(self, builder_config: Any, version: Any) -> LensingConfig:
        if builder_config is None or builder_config in self.builder_configs:
            return super()._create_builder_config(builder_config, version)
        if isinstance(builder_config, str):
            return get_config(builder_config)  # JSON, or one line that says what is wrong
        known = VERSIONS.get(builder_config.name)
        if known is None:
            return builder_config
        differing = differences(known.to_json(), builder_config.to_json())
        if differing:
            raise LensingError(
                f"the name {known.name!r} is taken by another version ({differing}): "
                "give your config a name of its own"
            )
        return known  # with its description too

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
        prepared, comes last. A prepared dataset is taken as it is, unless `check_shards` is set:
        then every shard is verified, and those that are damaged are written again.

        Args:
          download_dir: not used, as there is nothing to download.
          download_config: TFDS's settings; `num_shards`, `max_shard_size`, `download_mode`,
            `max_examples_per_split`, `beam_options` and `beam_runner` are used.
          file_format: None or TFRecord.
          permissions: not used: files get the mode that the user's umask gives.

        Raises:
          LensingError: the folder holds another config under the same name, or another number of
            shards, or it cannot be written. Finished shards are kept.
        """
        del download_dir, permissions
        self.assert_is_not_blocked()
        download_config = download_config or tfds.download.DownloadConfig()
        if file_format is not None:
            self.info.set_file_format(file_format, override=True)
        if self.info.file_format != tfds.core.FileFormat.TFRECORD:
            raise LensingError(f"file format {self.info.file_format}: lensing is TFRecord only")
        if download_config.num_shards is not None and download_config.num_shards < 1:
            raise LensingError(f"num_shards is {download_config.num_shards}: must be at least 1")
        if download_config.download_mode == tfds.GenerateMode.UPDATE_DATASET_INFO:
            self._update_dataset_info()
            return
        if download_config.download_mode.overwrite_dataset and self.data_path.exists():
            self.data_path.rmtree()
        self._refuse_another_config(self._with_at_most(download_config.max_examples_per_split))
        prepared = storage.size(str(self.data_path / _PREPARED)) is not None
        if self.check_shards or not prepared:
            self._download_and_prepare(None, download_config)

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
        known_spectra = self._stored_metadata().get("spectra")
        if known_spectra is not None:
            self.info.metadata["spectra"] = known_spectra
        # First of all: a build that is interrupted says what it was of.
        self._write_metadata(self.info.metadata.save_metadata)
        spectra = cosmology.store(config, str(self.data_path), known_spectra)
        if spectra != known_spectra:
            self.info.metadata["spectra"] = spectra
            self._write_metadata(self.info.metadata.save_metadata)
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
        self.info.set_splits(tfds.core.SplitDict([self._split_info(p, summary) for p in plans]))
        self._write_metadata(self.info.write_to_directory)
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
    ) -> shards.SplitPlan:
        asked = download_config.num_shards
        stored = self._stored_metadata().get("num_shards", {}).get(split)
        if asked is not None:
            count = min(asked, config.num_examples[split])  # no empty shards
            if stored not in (None, count):
                raise LensingError(
                    f"{self.data_dir} has, or was to have, {stored} {split} shards, not {count}: "
                    "leave the number out, or start anew: tfds build --overwrite"
                )
        else:
            count = stored or shards.default_num_shards(
                config, split, download_config.max_shard_size
            )
        template = self._get_filename_template(split)
        only = template.sharded_filepath(shard_index=0, num_shards=1)
        return shards.SplitPlan(config, split, count, str(only).removesuffix("-00000-of-00001"))

    def _executor(self, download_config: tfds.download.DownloadConfig) -> shards.Executor:
        options, runner = download_config.beam_options, download_config.beam_runner
        if options is None and runner is None:
            return self.executor
        from lensing_tfds.records.beam_executor import beam_executor  # slow, and few need it

        return beam_executor(options, runner)

    def _split_info(
        self, plan: shards.SplitPlan, summary: shards.ShardSummary
    ) -> tfds.core.SplitInfo:
        return tfds.core.SplitInfo(
            name=plan.split,
            shard_lengths=plan.shard_lengths,
            num_bytes=summary[plan.split].num_bytes,
            filename_template=self._get_filename_template(plan.split),
        )

    def _stored_metadata(self) -> dict[str, Any]:
        """What the folder says that it holds, finished or not; empty if it does not exist."""
        path = str(self.data_path / "metadata.json")
        if storage.size(path) is None:
            return {}
        with storage.reading(path) as file:
            return json.loads(file.read())

    def _refuse_another_config(self, config: LensingConfig) -> None:
        """TFDS itself would silently reuse whatever stands under the same name."""
        stored = self._stored_metadata()
        if not stored and storage.size(str(self.data_path / _PREPARED)) is None:
            return
        differing = differences(_with_new_fields(stored.get("config", {})), config.to_json())
        if differing:
            raise LensingError(
                f"{self.data_dir} holds another config named {config.name!r} "
                f"({differing}): choose another name or data_dir, or delete that folder"
            )

    def _write_metadata(self, write: Callable[[str], object]) -> None:
        """Lets TFDS write its files, and puts each into the dataset's folder whole.

        Two builds may do so at once, and a reader may look on.
        """
        with tempfile.TemporaryDirectory() as folder:
            write(folder)
            # The file that says "prepared" comes last.
            paths = sorted(pathlib.Path(folder).iterdir(), key=lambda p: p.name == _PREPARED)
            for path in paths:
                with storage.writing(str(self.data_path / path.name)) as file:
                    file.write(path.read_bytes())

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
    named = re.compile(r"--?(c|builder_config).*|lensing/.+", re.DOTALL)  # TFDS takes short forms
    if any(map(named.fullmatch, arguments)):
        return
    sizes = {
        name: sum(shards.maps_bytes(config, split) for split in SPLITS) / 1e9
        for name, config in VERSIONS.items()
    }
    each = ", ".join(f"{name} {size:.1f}" for name, size in sizes.items())
    raise LensingError(
        f"which version? Name it, as by: --config v7 (in GB: {each}; together "
        f"{sum(sizes.values()):.0f}; a loop of the shell builds them all)"
    )


class _Info(tfds.core.DatasetInfo):
    """A dataset's description, as TFDS has it."""

    def initialize_from_bucket(self) -> None:
        """Nothing: this dataset is not in TFDS's bucket.

        Looking there, TFDS leaves an empty folder among the temporary files, every time.
        """

    def __repr__(self) -> str:
        """What `tfds build` prints at its end, without three pages of BibTeX."""
        text = super().__repr__()
        before, citation, _ = text.partition("\n    citation=")
        count = self.citation.count("@")
        short = f"{citation}<{count} entries of BibTeX: builder.info.citation>,\n)"
        return before + short if citation else text


def _metadata(config: LensingConfig) -> tfds.core.MetadataDict:
    """What is stored beside the data: the config, and what each channel of each map is."""
    single = {"kappa": ["kappa"], "unlensed_E": ["E"]}
    channels = {name: single.get(name, list(config.channels)) for name in config.map_features}
    units = {name: _MAP_DOCUMENTS[name][1] for name in config.map_features}
    return tfds.core.MetadataDict(config=config.to_json(), channels=channels, units=units)


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


if pathlib.Path(sys.argv[0]).name == "tfds":  # the command line of others, but our users
    Builder.started_by_tfds = Builder.check_shards = True
