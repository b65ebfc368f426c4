"""Predictions as `pipelines.predict` leaves them, without Beam and without a network."""

import json

import google_crc32c
import numpy as np

from estimators.sealed_predictions import DESCRIPTION, PredictionDescription, PredictionShard
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.records.shard_plans import SplitPlan


def write_predictions(folder, kappa, config, data_dir, num_shards=2, split="test", network=None):
    """Writes κ of a whole split, (n, npix, npix), with seals and a description."""
    description = PredictionDescription(
        dataset=f"lensing/{config.name}",
        config=config,
        dataset_version=DATASET_VERSION,
        split=split,
        num_examples=config.num_examples[split],
        num_shards=num_shards,
        model="1x4-3",
        network_sha256=network or "0123456789abcdef" * 4,
        workdir="/somewhere/run",
        data_dir=data_dir,
    )
    for spec in SplitPlan(config, split, num_shards, f"{folder}/kappa").shards():
        shard = PredictionShard(spec, description.network_sha256)
        np.save(shard.path, kappa[spec.start : spec.stop].astype("<f4"))
        np.save(shard.index_path, np.arange(spec.start, spec.stop))
        seal(shard)
    (folder / DESCRIPTION).write_text(json.dumps(description.to_json(), indent=2))
    return description


def seal(shard):
    with open(shard.path, "rb") as file:
        content = file.read()
    values = {
        "crc32c": f"{google_crc32c.value(content):08x}",
        "num_bytes": len(content),
        "fingerprint": shard.fingerprint,
    }
    with open(shard.seal_path, "w") as file:
        json.dump(values, file)
