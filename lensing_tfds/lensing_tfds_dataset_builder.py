"""The TFDS dataset `lensing`: glue between the simulator and TensorFlow Datasets, nothing else."""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from lensing_tfds import shards
from lensing_tfds.configs import (
    DATASET_VERSION,
    SPLITS,
    VERSIONS,
    LensingConfig,
    LensingError,
    differences,
    get_config,
)


class Builder(tfds.core.dataset_builder.FileReaderBuilder):
    """Simulated pairs of lensed CMB maps and convergence maps.

    Shards are written by `executor`, by default one after the other in this process;
    `pipelines.generate` puts a Beam pipeline there.
    """

    name = "lensing"
    VERSION = tfds.core.Version(DATASET_VERSION)
    RELEASE_NOTES = {"1.0.0": "First release: the eight versions of the study, rebuilt."}
    BUILDER_CONFIGS = list(VERSIONS.values())

    executor: shards.Executor = staticmethod(shards.write_in_process)

    @tfds.core.utils.classproperty
    @classmethod
    def builder_config_cls(cls) -> Callable[..., LensingConfig]:
        """What `tfds build --config '{...}'` calls with the JSON's fields."""
        return lambda **fields: LensingConfig.from_json(fields)

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
        shape = (config.npix, config.npix, 1)

        def map_feature(description: str, unit: str) -> tfds.features.Tensor:
            return tfds.features.Tensor(
                shape=shape,
                dtype=np.float32,
                encoding=tfds.features.Encoding.BYTES,
                doc=tfds.features.Documentation(desc=description, value_range=unit),
            )

        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "lensed": map_feature(
                        "CMB temperature as observed: lensed, with noise if any.", "µK"
                    ),
                    "unlensed": map_feature("CMB temperature before lensing.", "µK"),
                    "kappa": map_feature(
                        "Convergence κ = −½∇²φ, positive where matter magnifies.", "dimensionless"
                    ),
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
            metadata=tfds.core.MetadataDict(config=config.to_json()),
        )

    def download_and_prepare(
        self, *, download_config: tfds.download.DownloadConfig | None = None, **kwargs: Any
    ) -> None:
        """Builds the dataset, or finds it built; see TFDS.

        Raises:
          LensingError: the folder holds another config under the same name, or it cannot be
            written.
        """
        download_config = download_config or tfds.download.DownloadConfig()
        num_shards = download_config.num_shards
        if num_shards is not None and num_shards < 1:
            raise LensingError(f"num_shards is {num_shards}: must be at least 1")
        if self.is_prepared() and not download_config.download_mode.overwrite_dataset:
            self._refuse_another_config(self._with_at_most(download_config.max_examples_per_split))
        else:
            self._check_writable()
        super().download_and_prepare(download_config=download_config, **kwargs)

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig | None = None,
    ) -> None:
        del dl_manager  # nothing to download
        download_config = download_config or tfds.download.DownloadConfig()
        if download_config.beam_options is not None or download_config.beam_runner is not None:
            raise LensingError(
                "tfds build writes lensing in this process; to use Beam: "
                f"python -m pipelines.generate --config {self.builder_config.name} ..."
            )
        if self.info.file_format != tfds.core.FileFormat.TFRECORD:
            raise LensingError(f"file format {self.info.file_format}: lensing is TFRecord only")
        config = self._with_at_most(download_config.max_examples_per_split)
        self.info.metadata["config"] = config.to_json()
        plans = [self._plan(config, split, download_config.num_shards) for split in SPLITS]
        self.executor(plans)
        self.info.set_splits(tfds.core.SplitDict([self._split_info(plan) for plan in plans]))

    def _with_at_most(self, max_examples: int | None) -> LensingConfig:
        """Applies TFDS's debugging flag --max_examples_per_split."""
        config = self.builder_config
        if max_examples is None:
            return config
        fewer = {split: min(n, max_examples) for split, n in config.num_examples.items()}
        return dataclasses.replace(config, num_examples=fewer)

    def _plan(self, config: LensingConfig, split: str, num_shards: int | None) -> shards.SplitPlan:
        count = num_shards or shards.default_num_shards(config, split)
        count = min(count, config.num_examples[split])  # no empty shards
        template = self._get_filename_template(split)
        only = template.sharded_filepath(shard_index=0, num_shards=1)
        return shards.SplitPlan(config, split, count, str(only).removesuffix("-00000-of-00001"))

    def _split_info(self, plan: shards.SplitPlan) -> tfds.core.SplitInfo:
        paths = [epath.Path(spec.path) for spec in plan.shards()]
        for path in paths:
            if not path.exists():
                raise LensingError(f"shard {path} was not written")
        return tfds.core.SplitInfo(
            name=plan.split,
            shard_lengths=plan.shard_lengths,
            num_bytes=sum(path.stat().length for path in paths),
            filename_template=self._get_filename_template(plan.split),
        )

    def _refuse_another_config(self, config: LensingConfig) -> None:
        """TFDS itself would silently reuse whatever stands under the same name."""
        metadata = self.data_path / "metadata.json"
        stored = json.loads(metadata.read_text())["config"] if metadata.exists() else {}
        differing = differences(stored, config.to_json())
        if differing:
            raise LensingError(
                f"{self.data_dir} holds another config named {config.name!r} "
                f"({differing}): choose another name or data_dir, or delete that folder"
            )

    def _check_writable(self) -> None:
        import tensorflow as tf  # slow; TFDS too imports it only to read or write

        root = epath.Path(self._data_dir_root)
        probe = root / ".lensing-write-test"
        try:
            root.mkdir(parents=True, exist_ok=True)
            probe.write_text("")
            probe.unlink()
        except (OSError, tf.errors.OpError) as error:  # the latter from buckets
            reason = getattr(error, "strerror", None) or error
            raise LensingError(
                f"data_dir {root} cannot be written ({reason}): choose another with --data_dir"
            ) from error


def _one_line_errors(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    if isinstance(error, LensingError):
        print(f"error: {error}", file=sys.stderr)
    elif isinstance(error, json.JSONDecodeError):
        print(f"error: --config is not valid JSON: {error}", file=sys.stderr)
    elif isinstance(error, KeyboardInterrupt):
        print("stopped; what was built of this dataset is gone", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


if pathlib.Path(sys.argv[0]).name == "tfds":  # the command line of others, but our users' errors
    sys.excepthook = _one_line_errors
