"""The files that describe a dataset, as TFDS writes and reads them, without TFDS."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from lensing_tfds.configs import DATASET_VERSION, KAPPA, LENSED, LensingConfig
from lensing_tfds.records.file_formats import format_of
from lensing_tfds.records.shard_plans import SplitPlan
from lensing_tfds.records.shard_summary import ShardSummary
from lensing_tfds.records.stored_dataset import FEATURES, METADATA, PREPARED
from lensing_tfds.release import stamped

RELEASE_NOTES = {
    "1.0.0": "The eight versions of the study, rebuilt.",
    "2.0.0": "Other realisations of the same skies: other random numbers, another remap.",
}
"""News of each version of the data."""

INDEX_DOCUMENT = (
    "Address of the example: `lensing_tfds.simulate(config, split, [index])` makes it again."
)

_MODULE = "lensing_tfds.lensing_tfds_dataset_builder"
_TFDS_FEATURES = "tensorflow_datasets.core.features"


def metadata(config: LensingConfig) -> dict[str, Any]:
    """Returns what is stored beside the data: the config, each map's channels, the release."""
    channels = {f.name: list(f.channels) for f in config.features if f.channels is not None}
    units = {feature.name: feature.unit for feature in config.features}
    return stamped({"config": config.to_json(), "channels": channels, "units": units})


def metadata_file(fields: Mapping[str, Any]) -> dict[str, bytes]:
    """Returns the file of a dataset's metadata, by its name."""
    return {METADATA: json.dumps(fields).encode()}


def files(
    config: LensingConfig,
    fields: Mapping[str, Any],
    plans: Sequence[SplitPlan],
    summary: ShardSummary,
) -> dict[str, bytes]:
    """Returns the files of a dataset whose shards are written.

    Args:
      config: the dataset's.
      fields: its metadata.
      plans: its splits.
      summary: of their shards.

    Returns:
      Content by name, byte for byte what TFDS writes of the same dataset.
    """
    info = {
        "citation": _text("CITATIONS.bib"),
        "configDescription": config.description,
        "configName": config.name,
        "description": _text("README.md"),
        "fileFormat": format_of(plans[0].prefix),
        "moduleName": _MODULE,
        "name": "lensing",
        "releaseNotes": RELEASE_NOTES,
        "splits": [_split(plan, summary) for plan in plans],
        "supervisedKeys": {"tuple": {"items": [{"featureKey": k} for k in (LENSED, KAPPA)]}},
        "version": DATASET_VERSION,
    }
    present = {name: value for name, value in info.items() if value}
    return metadata_file(fields) | {
        FEATURES: json.dumps(_features(config), indent=4, sort_keys=True).encode(),
        PREPARED: json.dumps(present, indent=2, sort_keys=True).encode(),
    }


def _split(plan: SplitPlan, summary: ShardSummary) -> dict[str, Any]:
    return {
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        "name": plan.split,
        "numBytes": str(summary[plan.split].num_bytes),
        "shardLengths": list(map(str, plan.shard_lengths)),
    }


def _features(config: LensingConfig) -> dict[str, Any]:
    features: dict[str, Any] = {
        "index": {
            "description": INDEX_DOCUMENT,
            "pythonClassName": f"{_TFDS_FEATURES}.scalar.Scalar",
            "tensor": {"dtype": "int64", "encoding": "none", "shape": {}},
        }
    }
    for feature in config.features:
        shape = feature.shape(config.npix)
        features[feature.name] = {
            "description": feature.text,
            "pythonClassName": f"{_TFDS_FEATURES}.tensor_feature.Tensor",
            "tensor": {
                "dtype": "float32",
                "encoding": "bytes",
                "shape": {"dimensions": list(map(str, shape))} if shape else {},
            },
            "valueRange": feature.unit,
        }
    return {
        "featuresDict": {"features": features},
        "pythonClassName": f"{_TFDS_FEATURES}.features_dict.FeaturesDict",
    }


def _text(name: str) -> str:
    """Returns one of the texts beside the builder, as TFDS has it."""
    return (resources.files("lensing_tfds") / name).read_text("utf-8").strip()
